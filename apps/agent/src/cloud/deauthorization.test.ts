import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { CodedError } from '@holdfast/base';
import { authErrors, deviceErrors } from '@holdfast/contract';
import {
  canonicalJson,
  formatVerifierKey,
  leafHash,
  noteSigner,
  signCheckpoint,
  signDeauthorization,
  type NoteSigner,
} from '@holdfast/trust';
import { isDeauthorized, judgeRefusal } from './deauthorization.ts';
import type { DeviceKey, Enrollment } from './enrollment-store.ts';

const [installationId, tenantUid, deviceUid, stranger] = [1, 2, 3, 4].map(
  (number) => `0190a000-0000-7000-8000-00000000000${number}`,
) as [string, string, string, string];
const at = new Date('2026-11-22T07:00:00Z');

function newKey(): DeviceKey {
  const { x = '', d = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return { kty: 'OKP', crv: 'Ed25519', x, d };
}

/** RFC 7638: the required members in order, hashed. */
function thumbprintOf({ x }: DeviceKey): string {
  return createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url');
}

const signerOf = (tenant: string) =>
  noteSigner(`holdfast/${installationId}/${tenant}/audit`, generateKeyPairSync('ed25519').privateKey);

function enrolled() {
  const signer = signerOf(tenantUid);
  const logKey = formatVerifierKey(signer.key);
  const about = { version: 1, url: 'https://localhost', orgUid: stranger, caPem: null, escrowKeys: '' } as const;
  const enrollment: Enrollment = { ...about, installationId, tenantUid, deviceUid, deviceKey: newKey(), logKey };
  const identity = { installationId, tenantUid, deviceUid, keyThumbprint: thumbprintOf(enrollment.deviceKey) };
  return { enrollment, signer, identity };
}

function judge(enrollment: Enrollment, details: Record<string, unknown>): { code: string; isBelieved: boolean } {
  const judged = judgeRefusal(deviceErrors.deauthorized(details), enrollment);
  assert.ok(judged instanceof CodedError);
  return { code: judged.code, isBelieved: isDeauthorized(judged) };
}

test('only a statement about this enrolment, under the key of its own log, is believed', () => {
  const { enrollment, signer, identity } = enrolled();
  const state = (change: Partial<typeof identity> = {}, signers: readonly NoteSigner[] = [signer]) =>
    signDeauthorization({ ...identity, ...change }, at, signers);
  const genuine = state();
  const head = signCheckpoint({ origin: signer.key.name, treeSize: 9, root: leafHash(new Uint8Array()) }, [signer]);
  const forged: Readonly<Record<string, Record<string, unknown>>> = {
    'no statement': {},
    'a statement that is no text': { statement: { proved: true } },
    'an empty one': { statement: '' },
    'an endless one': { statement: `${genuine}${genuine.split('\n').at(-2)}\n`.padEnd(5_000, ' ') },
    'one that nobody signed': { statement: genuine.slice(0, genuine.indexOf('\n\n') + 2) },
    'by the log key of another tenant': { statement: state({}, [signerOf(stranger)]) },
    'by another key of the same name': { statement: state({}, [signerOf(tenantUid)]) },
    'by that key, in the name of ours': { statement: state({}, [{ ...signerOf(tenantUid), key: signer.key }]) },
    'of another tenant': { statement: state({ tenantUid: stranger }) },
    'of another device': { statement: state({ deviceUid: stranger }) },
    'of another installation': { statement: state({ installationId: stranger }) },
    'of an older enrolment, with another key': { statement: state({ keyThumbprint: thumbprintOf(newKey()) }) },
    'a head of the audit log': { statement: head },
    'the facts alone': { statement: canonicalJson({ ...identity, deauthorizedAt: at.toISOString() }) },
    'one that was changed': { statement: genuine.replace('2026-11-22', '2026-11-23') },
  };
  for (const [about, details] of Object.entries(forged)) {
    const judged = judge(enrollment, details);
    assert.deepEqual(judged, { code: 'cloud_link.deauthorization_unproven', isBelieved: false }, about);
    const proved = judge(enrollment, { statement: genuine, requestId: 'r' });
    assert.deepEqual(proved, { code: 'devices.deauthorized', isBelieved: true }, `after ${about}`);
  }
  const cosigned = state({}, [signerOf(stranger), signer]);
  assert.ok(judge(enrollment, { statement: cosigned }).isBelieved, 'with a signature more');
});

test('an enrolment whose log key cannot be read believes nothing', () => {
  const { enrollment, signer, identity } = enrolled();
  const statement = signDeauthorization(identity, at, [signer]);
  assert.ok(judge(enrollment, { statement }).isBelieved);
  assert.ok(!judge({ ...enrollment, logKey: 'rubbish' }, { statement }).isBelieved);
});

test('any other error stays what it is', () => {
  const { enrollment, signer, identity } = enrolled();
  const statement = signDeauthorization(identity, at, [signer]);
  for (const error of [authErrors.ended({ statement }), new Error('a fault'), undefined]) {
    assert.equal(judgeRefusal(error, enrollment), error);
    assert.ok(!isDeauthorized(error));
  }
});
