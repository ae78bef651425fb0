import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '@holdfast/base';
import {
  escrowSlotKind,
  openEscrowInner,
  openEscrowOuter,
  parseEscrowParameters,
  prepareEscrowSlot,
} from './escrow-slot.ts';
import { hpkeKeyId, importHpkeKey, openHpke, sealHpke } from './hpke.ts';
import { encodeParameters, parseParameters } from './slot-parameters.ts';
import { openSlotWithKey, rewrapSlot, type Slot, wrapSlot } from './slots.ts';

const archiveId = new Uint8Array(16).fill(0xa1);
const place = { archiveId, keyringNumber: 3 };
const ringKey = new Uint8Array(32).fill(0x52);
const logKey = importHpkeKey(systemRandom(32));
const keystoreKey = importHpkeKey(systemRandom(32));
const keys = { logKey: logKey.publicKey, keystoreKey: keystoreKey.publicKey };

function newSlot() {
  const made = wrapSlot(prepareEscrowSlot(archiveId, keys, systemRandom), place, ringKey, systemRandom);
  return { ...made, slotKey: openBoth(made.slot) };
}

function openBoth(slot: Slot, id = archiveId): Uint8Array {
  return openEscrowInner(slot, id, openEscrowOuter(slot, id, logKey), keystoreKey);
}

const label = (text: string, ...rest: Uint8Array[]) =>
  new Uint8Array(Buffer.concat([new TextEncoder().encode(text), ...rest]));
const flip = (bytes: Uint8Array, at: number) => bytes.with(at, bytes[at]! ^ 1);
const flips = (bytes: Uint8Array) => Array.from(bytes, (_, at) => flip(bytes, at));
/** The same slot with another third parameter. */
const resealed = (slot: Slot, sealed: Uint8Array): Slot => {
  const [outer, inner] = parseParameters(slot.parameters, 3);
  return { ...slot, parameters: encodeParameters([outer!, inner!, sealed]) };
};

test('log key and keystore key together give the slot key, and that the ring key', () => {
  const { slot, slotKey, publicKey } = newSlot();
  assert.equal(slot.kind, escrowSlotKind);
  assert.deepEqual(openBoth(slot), slotKey);
  assert.deepEqual(importHpkeKey(slotKey).publicKey, publicKey);
  assert.deepEqual(openSlotWithKey(slot, place, slotKey), ringKey);
});

test('the layers of a slot are those of the format document', () => {
  const { slot, slotKey } = newSlot();
  const { outerKeyId, innerKeyId, sealed } = parseEscrowParameters(slot);
  assert.deepEqual([outerKeyId, innerKeyId], [hpkeKeyId(keys.logKey), hpkeKeyId(keys.keystoreKey)]);
  assert.deepEqual([sealed.length, slot.parameters?.length], [128, 2 + 8 + 2 + 8 + 3 + 128]);
  const outer = { info: label('holdfast v1 escrow outer', archiveId, slot.slotId) };
  const inner = { info: label('holdfast v1 escrow inner', archiveId, slot.slotId) };
  const between = openHpke(logKey, outer, sealed);
  assert.equal(between?.length, 80);
  assert.deepEqual(openHpke(keystoreKey, inner, between), slotKey);
});

test('a slot goes on into the next keyring without either key, and both open it there as before', () => {
  const { slot, publicKey } = newSlot();
  const next = { archiveId, keyringNumber: 4 };
  const carried = rewrapSlot(slot, next, { ringKey: new Uint8Array(32).fill(0x53), publicKey }, systemRandom);
  assert.deepEqual(carried.parameters, slot.parameters);
  assert.deepEqual(openSlotWithKey(carried, next, openBoth(carried)), new Uint8Array(32).fill(0x53));
});

test('each slot has a slot key of its own', () => {
  const [one, two] = [newSlot(), newSlot()];
  assert.notDeepEqual(one.slotKey, two.slotKey);
  assert.notDeepEqual(one.slot.slotId, two.slot.slotId);
});

test('the outer layer opens with its log key, archive and slot alone, and with no bit changed', () => {
  const { slot } = newSlot();
  const { sealed } = parseEscrowParameters(slot);
  const other = newSlot();
  const refused: readonly (readonly [() => unknown, string])[] = [
    [() => openEscrowOuter(slot, flip(archiveId, 0), logKey), 'escrow.not_opened'],
    [() => openEscrowOuter({ ...slot, slotId: flip(slot.slotId, 15) }, archiveId, logKey), 'escrow.not_opened'],
    [() => openEscrowOuter(slot, archiveId, keystoreKey), 'escrow.other_key'],
    [() => openEscrowOuter(slot, archiveId, importHpkeKey(systemRandom(32))), 'escrow.other_key'],
    [() => openEscrowOuter({ ...slot, parameters: other.slot.parameters! }, archiveId, logKey), 'escrow.not_opened'],
    ...flips(sealed).map(
      (bytes) => [() => openEscrowOuter(resealed(slot, bytes), archiveId, logKey), 'escrow.not_opened'] as const,
    ),
  ];
  for (const [opening, code] of refused) assert.throws(opening, { code });
  for (let run = 0; run < refused.length; run += 1) {
    const genuine = run % 4 === 0 ? newSlot().slot : { ...slot };
    assert.equal(openEscrowOuter(genuine, archiveId.slice(), logKey).length, 80);
  }
});

test('the inner layer opens with its keystore key, archive and slot alone, and with no bit changed', () => {
  const { slot, slotKey } = newSlot();
  const inner = openEscrowOuter(slot, archiveId, logKey);
  const other = newSlot();
  const otherInner = openEscrowOuter(other.slot, archiveId, logKey);
  const open = (bytes: Uint8Array, key = keystoreKey) => openEscrowInner(slot, archiveId, bytes, key);
  const refused: readonly (readonly [() => unknown, string])[] = [
    [() => openEscrowInner(slot, flip(archiveId, 15), inner, keystoreKey), 'escrow.not_opened'],
    [
      () => openEscrowInner({ ...slot, slotId: flip(slot.slotId, 0) }, archiveId, inner, keystoreKey),
      'escrow.not_opened',
    ],
    [
      () => openEscrowInner({ ...slot, commitment: flip(slot.commitment, 9) }, archiveId, inner, keystoreKey),
      'escrow.not_committed',
    ],
    [
      () => openEscrowInner({ ...slot, commitment: new Uint8Array() }, archiveId, inner, keystoreKey),
      'escrow.not_committed',
    ],
    [() => open(inner, logKey), 'escrow.other_key'],
    [() => open(inner, importHpkeKey(systemRandom(32))), 'escrow.other_key'],
    [() => open(otherInner), 'escrow.not_opened'],
    [() => open(parseEscrowParameters(slot).sealed), 'escrow.not_opened'],
    [() => open(inner.subarray(1)), 'escrow.not_opened'],
    [() => open(new Uint8Array()), 'escrow.not_opened'],
    ...flips(inner).map((bytes) => [() => open(bytes), 'escrow.not_opened'] as const),
  ];
  for (const [opening, code] of refused) assert.throws(opening, { code });
  for (let run = 0; run < refused.length; run += 1)
    assert.deepEqual(openEscrowInner({ ...slot }, archiveId.slice(), inner.slice(), keystoreKey), slotKey);
});

test('layers the wrong way round, or one in place of two, open nothing', () => {
  const swapped = prepareEscrowSlot(archiveId, { logKey: keys.keystoreKey, keystoreKey: keys.logKey }, systemRandom);
  const slot = { ...swapped.slot, wrappedRingKey: new Uint8Array(80) };
  assert.throws(() => openEscrowOuter(slot, archiveId, logKey), { code: 'escrow.other_key' });
  const genuine = newSlot();
  const { slotId } = genuine.slot;
  const inner = openEscrowOuter(genuine.slot, archiveId, logKey);
  /** As `prepareEscrowSlot` would, but with labels and keys of choice. */
  const forged = (layers: { outer: string; inner: string }) => {
    const within = sealHpke(
      keys.keystoreKey,
      { info: label(layers.inner, archiveId, slotId) },
      genuine.slotKey,
      systemRandom,
    );
    const sealed = sealHpke(keys.logKey, { info: label(layers.outer, archiveId, slotId) }, within, systemRandom);
    return resealed(genuine.slot, sealed);
  };
  const [outer, within] = ['holdfast v1 escrow outer', 'holdfast v1 escrow inner'];
  for (const wrong of [
    { outer: within, inner: outer },
    { outer, inner: outer },
    { outer: within, inner: within },
  ])
    assert.throws(() => openBoth(forged(wrong)), { code: 'escrow.not_opened' });
  const bare = sealHpke(keys.logKey, { info: label(outer, archiveId, slotId) }, genuine.slotKey, systemRandom);
  assert.throws(() => openBoth(resealed(genuine.slot, bare)), { code: 'slot.bad_parameters' });
  assert.throws(() => openBoth(resealed(genuine.slot, inner)), { code: 'slot.bad_parameters' });
  for (let run = 0; run < 6; run += 1) assert.deepEqual(openBoth(forged({ outer, inner: within })), genuine.slotKey);
});

test('the keystore cannot open a slot that the log key did not open first, and the log key gives nothing by itself', () => {
  const { slot, slotKey } = newSlot();
  const { sealed } = parseEscrowParameters(slot);
  for (const text of ['holdfast v1 escrow outer', 'holdfast v1 escrow inner'])
    assert.equal(openHpke(keystoreKey, { info: label(text, archiveId, slot.slotId) }, sealed), undefined);
  const inner = openEscrowOuter(slot, archiveId, logKey);
  assert.equal(Buffer.from(inner).includes(slotKey), false);
  assert.equal(openHpke(logKey, { info: label('holdfast v1 escrow inner', archiveId, slot.slotId) }, inner), undefined);
  assert.deepEqual(openBoth(slot), slotKey);
});

test('parameters that are not those of an escrow slot are refused before a key is used', () => {
  const { slot, slotKey } = newSlot();
  const [outer, inner, sealed] = parseParameters(slot.parameters, 3);
  const { parameters, ...bare } = slot;
  const refused: readonly Slot[] = [
    bare,
    { ...slot, kind: 3 },
    { ...slot, kind: 1 },
    { ...slot, parameters: encodeParameters([outer!, inner!]) },
    { ...slot, parameters: encodeParameters([outer!.subarray(1), inner!, sealed!]) },
    { ...slot, parameters: encodeParameters([outer!, new Uint8Array([...inner!, 0]), sealed!]) },
    { ...slot, parameters: encodeParameters([outer!, inner!, sealed!.subarray(1)]) },
    { ...slot, parameters: encodeParameters([outer!, inner!, new Uint8Array([...sealed!, 0])]) },
    { ...slot, parameters: encodeParameters([outer!, inner!, sealed!, 1]) },
    ...Array.from({ length: parameters!.length }, (_, at) => ({ ...slot, parameters: parameters!.subarray(0, at) })),
  ];
  for (const one of refused) {
    assert.throws(() => openEscrowOuter(one, archiveId, logKey), { code: 'slot.bad_parameters' });
    assert.throws(() => openEscrowInner(one, archiveId, new Uint8Array(80), keystoreKey), {
      code: 'slot.bad_parameters',
    });
  }
  // A parameter of a later version that need not be understood.
  const later = { ...slot, parameters: new Uint8Array([...parameters!, 8, 1, 1]) };
  assert.deepEqual(openBoth(later), slotKey);
  for (let run = 0; run < refused.length; run += 1) assert.deepEqual(openBoth({ ...slot }), slotKey);
});

test('a slot made from views of larger memory opens, and its slot key is none of zeros', () => {
  const random = (bytes: number) => Buffer.from(systemRandom(bytes));
  const made = prepareEscrowSlot(Buffer.from(archiveId), keys, random);
  const { slot } = wrapSlot(made, place, Buffer.from(ringKey), random);
  const slotKey = openBoth(slot);
  assert.ok(slotKey.some((byte) => byte !== 0));
  assert.deepEqual(importHpkeKey(slotKey).publicKey, made.publicKey);
  assert.deepEqual(openSlotWithKey(slot, place, slotKey), ringKey);
});

test('of the random bytes that become a slot key no copy is left', () => {
  const drawn: Uint8Array[] = [];
  const random = (bytes: number) => {
    const fresh = systemRandom(bytes);
    drawn.push(fresh);
    return fresh;
  };
  const { slot } = prepareEscrowSlot(archiveId, keys, random);
  // The slot id is public and stays.
  assert.deepEqual(
    drawn.filter((bytes) => bytes.some((byte) => byte !== 0)),
    [slot.slotId],
  );
  assert.equal(drawn.length, 4);
});

test('bytes cannot be shifted from the archive id to the slot id of an escrow slot', () => {
  const { slot } = newSlot();
  const shifted = { ...slot, slotId: new Uint8Array([...slot.slotId, 0xa1]) };
  assert.throws(() => openEscrowOuter(shifted, archiveId.subarray(1), logKey), { code: 'slot.bad_parameters' });
  assert.throws(() => openEscrowOuter(shifted, archiveId, logKey), { code: 'slot.bad_parameters' });
  assert.throws(() => prepareEscrowSlot(archiveId.subarray(1), keys, systemRandom), { code: 'slot.bad_parameters' });
  assert.equal(openEscrowOuter(slot, archiveId, logKey).length, 80);
});
