import assert from 'node:assert/strict';
import test from 'node:test';

import { createSigningKey } from '../crypto/ed25519.node.ts';
import { distinctKeys, mostKeysOfEpoch } from '../tree/epoch-keys.ts';
import { encodeKeyring, encodeRing, type Keyring, mostSlots, parseKeyring, parseRing, slotKinds } from './keyring.ts';
import { openRecoverySlot } from './slot.ts';

const { publicKey } = createSigningKey(new Uint8Array(32).fill(1));
const slot = {
  slotId: new Uint8Array(16),
  kind: slotKinds.recoveryCode,
  commitment: new Uint8Array(32),
  wrappedRingKey: new Uint8Array(80),
};
const keyring: Keyring = {
  number: 1,
  previous: new Uint8Array(32),
  slots: [slot],
  writers: [{ number: 0, publicKey, firstCommit: 1, origin: 'first' }],
};
const read = (changed: Partial<Keyring>) => parseKeyring(encodeKeyring({ ...keyring, ...changed }));

test('keyrings are numbered from 1 to 2^32 - 1', () => {
  for (const number of [0, 2 ** 32, 2 ** 40]) assert.throws(() => read({ number }), { code: 'archive.corrupt' });
  for (const number of [1, 2, 2 ** 32 - 1]) assert.equal(read({ number }).number, number);
});

test('a keyring of more than 64 slots is corrupt, whatever their kinds are', () => {
  for (const kind of [slotKinds.recoveryCode, 200]) {
    const slots = Array.from({ length: mostSlots }, () => ({ ...slot, kind }));
    assert.equal(read({ slots }).slots.length, 64);
    assert.throws(() => read({ slots: [...slots, { ...slot, kind }] }), { code: 'archive.corrupt' });
  }
});

test('no slot is opened at a number that no keyring has', async () => {
  const place = (keyringNumber: number) => ({ archiveId: new Uint8Array(16), keyringNumber });
  for (const number of [1, 2 ** 32 - 1])
    assert.equal(await openRecoverySlot(slot, place(number), new Uint8Array(32)), undefined);
  for (const number of [0, 2 ** 32, 1.5])
    await assert.rejects(openRecoverySlot(slot, place(number), new Uint8Array(32)), /2\^32 - 1/);
});

test('an epoch of a suite that is not known opens nothing and is written again as it was', () => {
  const key = (byte: number) => new Uint8Array(32).fill(byte);
  const ring = {
    epochs: [
      { number: 0, suite: 1, key: key(1) },
      { number: 1, suite: 2, key: key(2) },
    ],
    slotKeys: [],
  };
  const { epochs } = parseRing(encodeRing(parseRing(encodeRing(ring))));
  assert.deepEqual(
    epochs.map(({ number, suite }) => [number, suite]),
    [
      [0, 1],
      [1, 2],
    ],
  );
  assert.deepEqual(
    distinctKeys(epochs).map(({ number }) => number),
    [0],
  );
});

test('of the keys that rings name for one epoch so many are tried, each once, in their order', () => {
  const key = (byte: number) => ({ number: 3, suite: 1, key: new Uint8Array(32).fill(byte) });
  const named = Array.from({ length: 40 }, (_, at) => key(at >> 1));
  const others = [{ number: 4, suite: 1, key: new Uint8Array(32) }];
  const kept = distinctKeys([...named, ...others]);
  assert.deepEqual(
    kept.map(({ number, key: [first] }) => [number, first]),
    [...Array.from({ length: mostKeysOfEpoch }, (_, at) => [3, at]), [4, 0]],
  );
});
