import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { newSigner } from './testing/leaf-arbitraries.ts';
import {
  canonicalJson,
  openReleaseCall,
  parseReleaseCall,
  signReleaseApproval,
  signReleaseCall,
  type Json,
  type ReleaseCall,
} from './index.ts';

const signer = newSigner();
const uuid = '0190a5b0-0000-7000-8000-000000000001';
const genuine: ReleaseCall = {
  version: 1,
  installationId: uuid,
  tenantUid: uuid,
  call: 'take',
  about: 'ab'.repeat(32),
  callerKey: signer.publicKey,
  at: '2026-03-04T05:06:07.000Z',
  nonce: Buffer.alloc(16, 7).toString('base64url'),
};

test('a call is read as it was signed, and by no other key or label', () => {
  const signed = signReleaseCall(genuine, signer.sign);
  assert.deepEqual(openReleaseCall(signed), genuine);
  const other = signReleaseCall(genuine, newSigner().sign);
  assert.throws(() => openReleaseCall(other), { code: 'release.forged' });
  const altered = { ...signed, text: canonicalJson({ ...genuine, call: 'refuse' }) };
  assert.throws(() => openReleaseCall(altered), { code: 'release.forged' });
  const approval = {
    version: 1,
    requestSha256: genuine.about!,
    approverKey: signer.publicKey,
    at: genuine.at,
  } as const;
  const { signature } = signReleaseApproval(approval, signer.sign);
  assert.throws(() => openReleaseCall({ text: signed.text, signature }), { code: 'release.forged' });
});

test('a call with a wrong, missing or further member is refused, and its genuine neighbour is read', () => {
  const wrong: readonly (readonly [Record<string, Json>, Record<string, Json>])[] = [
    [{ version: 2 }, { version: 1 }],
    [{ call: 'release' }, { call: 'list' }],
    [{ about: '' }, { about: null }],
    [{ about: 'a\nb' }, { about: 'laptop of Zoë' }],
    [{ about: 'x'.repeat(201) }, { about: 'x'.repeat(200) }],
    [{ at: 'now' }, { at: '2026-03-04T05:06:08.000Z' }],
    [{ nonce: 'short' }, {}],
    [{ extra: 1 }, {}],
  ];
  for (const [change, neighbour] of wrong) {
    assert.throws(() => parseReleaseCall(canonicalJson({ ...genuine, ...change })), { code: 'release.malformed_call' });
    parseReleaseCall(canonicalJson({ ...genuine, ...neighbour }));
  }
  const { nonce: _, ...missing } = genuine;
  assert.throws(() => parseReleaseCall(canonicalJson(missing)), { code: 'release.malformed_call' });
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      assert.throws(() => parseReleaseCall(text), { code: 'release.malformed_call' });
    }),
  );
});
