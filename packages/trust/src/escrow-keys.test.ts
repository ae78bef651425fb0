import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { canonicalJson } from './canonical-json.ts';
import {
  escrowKeysSha256,
  formatEscrowKeys,
  keystoreKeyName,
  parseEscrowKeys,
  sealingKeysOf,
  type TenantEscrowKeys,
} from './escrow-keys.ts';
import { formatVerifierKey, noteSigner } from './signed-note.ts';

const installationId = '0198aaaa-0000-7000-8000-000000000001';
const tenantUid = '0198aaaa-0000-7000-8000-000000000002';
const verifierOf = (tenant: string) => {
  const { privateKey } = generateKeyPairSync('ed25519');
  return formatVerifierKey(noteSigner(keystoreKeyName(installationId, tenant), privateKey).key);
};
const key = (byte: number) => Buffer.alloc(32, byte).toString('base64url');
const keys: TenantEscrowKeys = {
  version: 1,
  installationId,
  tenantUid,
  number: 1,
  keystoreKey: key(1),
  keystoreVerifier: verifierOf(tenantUid),
  logSealingKey: key(2),
};

test('escrow keys are read as they were written, and no two documents have one hash', () => {
  const text = formatEscrowKeys(keys);
  assert.deepEqual(parseEscrowKeys(text), keys);
  const next = formatEscrowKeys({ ...keys, number: 2, keystoreKey: key(3) });
  assert.equal(parseEscrowKeys(next).number, 2);
  assert.notEqual(escrowKeysSha256(text), escrowKeysSha256(next));
  const bytes = (byte: number) => new Uint8Array(32).fill(byte);
  assert.deepEqual(sealingKeysOf(text), { logKey: bytes(2), keystoreKey: bytes(1) });
  assert.deepEqual(sealingKeysOf(next), { logKey: bytes(2), keystoreKey: bytes(3) });
  assert.throws(() => sealingKeysOf('{}'), { code: 'escrow_keys.malformed' });
});

test('a document with a wrong, missing or further member is refused, and its genuine neighbour is read', () => {
  const { logSealingKey: _, ...without } = keys;
  const wrong: readonly [field: string | undefined, text: string][] = [
    ['version', canonicalJson({ ...keys, version: 2 })],
    ['number', canonicalJson({ ...keys, number: 0 })],
    ['number', canonicalJson({ ...keys, number: 1.5 })],
    ['tenantUid', canonicalJson({ ...keys, tenantUid: 'other' })],
    ['keystoreKey', canonicalJson({ ...keys, keystoreKey: 'AAAA' })],
    ['keystoreKey', canonicalJson({ ...keys, keystoreKey: `${key(1).slice(0, -1)}F` })],
    ['logSealingKey', canonicalJson(without)],
    ['more', canonicalJson({ ...keys, more: true })],
    ['keystoreVerifier', canonicalJson({ ...keys, keystoreVerifier: 'none' })],
    ['keystoreVerifier', canonicalJson({ ...keys, keystoreVerifier: verifierOf(installationId) })],
    [undefined, JSON.stringify(keys, undefined, 1)],
    [undefined, '[]'],
    [undefined, 'null'],
    [undefined, ''],
  ];
  for (const [field, text] of wrong)
    assert.throws(
      () => parseEscrowKeys(text),
      { code: 'escrow_keys.malformed', details: field === undefined ? {} : { field } },
      text,
    );
  for (const number of wrong.keys())
    assert.equal(parseEscrowKeys(formatEscrowKeys({ ...keys, number: number + 1 })).number, number + 1);
});
