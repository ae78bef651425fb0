import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatRequest, type HandOverRequest, parseRequest } from './hand-over-documents.ts';

const uid = '0198c0de-0000-7000-8000-000000000001';
const key = 'A'.repeat(43);
const request: HandOverRequest = {
  type: 'holdfast-takeover-request',
  version: 1,
  installationId: uid,
  tenantUid: uid,
  device: uid,
  name: 'laptop',
  newDeviceUid: uid,
  newDeviceKey: key,
  recipientKey: key,
  writerKey: key,
};

test('a request whose name would show as something else is refused, and one in any language is read', () => {
  for (const name of ['lap\ntop', 'lap\u001b[2Ktop', 'lap\u009btop', 'lap\u202etop', 'lap\u2028top', 'lap\u200btop'])
    for (const field of ['name', 'device'])
      assert.throws(() => parseRequest(JSON.stringify({ ...request, [field]: name })), {
        code: 'agent_takeover.document_invalid',
      });
  for (const name of ['laptop', 'Büro 2 (alt)', '電腦', '']) {
    const one = { ...request, name };
    assert.deepEqual(parseRequest(formatRequest(one)), one);
  }
});
