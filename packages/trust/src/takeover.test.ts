import assert from 'node:assert/strict';
import { createHmac, sign } from 'node:crypto';
import { test } from 'node:test';
import { systemRandom } from '@holdfast/base';
import fc from 'fast-check';
import { makeRecoverySlot, openSlot, rewrapSlot } from './slots.ts';
import { takeoverKeyIn, takeoverKeyOf, takeoverParameters } from './takeover-key.ts';
import { openTakeoverProof, signTakeoverProof, type TakeoverClaim } from './takeover.ts';
import { newSigner } from './testing/leaf-arbitraries.ts';

const { publicKey: signerKey, sign: signIt } = newSigner();
const uid = '0198c0de-0000-7000-8000-000000000001';
const claim: TakeoverClaim = {
  kind: 'hand_over',
  installationId: uid,
  tenantUid: uid,
  archiveId: uid,
  device: uid,
  newDeviceKey: newSigner().publicKey,
  signerKey,
  expiresAt: '2026-11-22T18:00:00.000Z',
  proofId: Buffer.from(systemRandom(16)).toString('base64url'),
};
const byCode: TakeoverClaim = { ...claim, kind: 'recovery_code', archiveId: null, device: 'büro laptop' };

const outcomeOf = (work: () => unknown): string => {
  try {
    work();
    return 'read';
  } catch (error) {
    return (error as { code?: string }).code ?? 'thrown';
  }
};

test('a proof that was signed reads back as it was', () => {
  for (const one of [claim, byCode, { ...claim, kind: 'approval' as const }])
    assert.deepEqual(openTakeoverProof(signTakeoverProof(one, signIt)), one);
});

test('a claim that is not of its kind is neither signed nor read, and its genuine neighbour is', () => {
  const wrong: readonly Partial<Record<keyof TakeoverClaim, unknown>>[] = [
    { archiveId: null },
    { archiveId: 'no identifier' },
    { device: 'büro laptop' },
    { kind: 'password' },
    { newDeviceKey: claim.newDeviceKey.slice(1) },
    { expiresAt: '2026-11-22' },
    { proofId: 'short' },
    { more: 1 } as object,
  ];
  for (const change of wrong) {
    const changed = { ...claim, ...change } as TakeoverClaim;
    assert.equal(
      outcomeOf(() => signTakeoverProof(changed, signIt)),
      'takeover_proof.malformed',
      JSON.stringify(change),
    );
  }
  assert.equal(
    outcomeOf(() => signTakeoverProof({ ...byCode, archiveId: uid }, signIt)),
    'takeover_proof.malformed',
  );
  assert.equal(
    outcomeOf(() => signTakeoverProof({ ...claim, archiveId: uid.replace('1', '2') }, signIt)),
    'read',
  );
});

test('no byte of a proof can be changed, and another key signs nothing in the name of this one', () => {
  const proof = signTakeoverProof(claim, signIt);
  const other = newSigner();
  assert.equal(
    outcomeOf(() => openTakeoverProof(signTakeoverProof(claim, other.sign))),
    'takeover_proof.forged',
  );
  assert.equal(
    outcomeOf(() => openTakeoverProof(signTakeoverProof({ ...claim, signerKey: other.publicKey }, other.sign))),
    'read',
  );
  fc.assert(
    fc.property(fc.nat(proof.text.length - 1), fc.integer({ min: 1, max: 127 }), (at, by) => {
      const letter = String.fromCharCode(proof.text.charCodeAt(at) ^ by);
      const text = proof.text.slice(0, at) + letter + proof.text.slice(at + 1);
      assert.notEqual(
        outcomeOf(() => openTakeoverProof({ ...proof, text })),
        'read',
      );
    }),
  );
});

test('the takeover key follows from the code alone, stands in its slot, stays there and opens nothing', () => {
  const secret = systemRandom(32);
  const place = { archiveId: systemRandom(16), keyringNumber: 1 };
  const ringKey = systemRandom(32);
  const { slot, publicKey } = makeRecoverySlot(place, ringKey, secret, systemRandom);
  const key = takeoverKeyOf(secret);
  assert.deepEqual(takeoverKeyIn(slot), key.publicKey);
  assert.deepEqual(openSlot(slot, place, secret), ringKey, 'who does not know the field reads the slot');
  const next = rewrapSlot(slot, { ...place, keyringNumber: 2 }, { ringKey, publicKey }, systemRandom);
  assert.deepEqual(takeoverKeyIn(next), key.publicKey);
  // HKDF-SHA-256 a second time, as RFC 5869 has it, with a salt of zeros.
  const pseudorandom = createHmac('sha256', Buffer.alloc(32)).update(secret).digest();
  const seed = createHmac('sha256', pseudorandom).update('holdfast v1 takeover key').update('\u0001').digest();
  assert.deepEqual(key.privateKey.export({ format: 'jwk' }).d, seed.toString('base64url'));
  assert.equal(sign(null, Buffer.from('x'), key.privateKey).length, 64);
  for (const parameters of [undefined, new Uint8Array(), takeoverParameters(key).subarray(1)])
    assert.equal(takeoverKeyIn({ kind: 1, ...(parameters && { parameters }) }), undefined);
  assert.equal(takeoverKeyIn({ kind: 2, parameters: takeoverParameters(key) }), undefined);
});
