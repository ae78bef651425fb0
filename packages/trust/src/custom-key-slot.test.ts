import assert from 'node:assert/strict';
import { hkdfSync } from 'node:crypto';
import { test } from 'node:test';
import { CodedError, systemRandom } from '@holdfast/base';
import fc from 'fast-check';
import { customKeySlotKind, openCustomKeySlot, parseCustomKey, prepareCustomKeySlot } from './custom-key-slot.ts';
import { importHpkeKey } from './hpke.ts';
import { openSlotWithKey, rewrapSlot, wrapSlot } from './slots.ts';

const archiveId = new Uint8Array(16).fill(0xa1);
const place = { archiveId, keyringNumber: 3 };
const ringKey = new Uint8Array(32).fill(0x52);
const key = systemRandom(32);
const newSlot = () => wrapSlot(prepareCustomKeySlot(archiveId, key, systemRandom), place, ringKey, systemRandom);
/** Of the format document. */
const slotKeyOf = (slotId: Uint8Array) =>
  new Uint8Array(hkdfSync('sha256', key, Buffer.concat([archiveId, slotId]), 'holdfast v1 custom key slot', 32));
const flip = (bytes: Uint8Array, at: number) => bytes.with(at, bytes[at]! ^ 1);

test('a custom key opens its slot, whose slot key is that of the format document', () => {
  const { slot, publicKey } = newSlot();
  assert.deepEqual(openCustomKeySlot(slot, place, key), ringKey);
  const slotKey = slotKeyOf(slot.slotId);
  assert.deepEqual(openSlotWithKey(slot, place, slotKey), ringKey);
  assert.deepEqual(importHpkeKey(slotKey).publicKey, publicKey);
  assert.deepEqual([slot.kind, slot.parameters], [customKeySlotKind, undefined]);
});

test('another key, archive, slot and kind do not open it; the right ones do', () => {
  const { slot } = newSlot();
  const refused = [
    ...Array.from(key, (_, at) => openCustomKeySlot(slot, place, flip(key, at))),
    ...Array.from(archiveId, (_, at) => openCustomKeySlot(slot, { ...place, archiveId: flip(archiveId, at) }, key)),
    ...Array.from(slot.slotId, (_, at) => openCustomKeySlot({ ...slot, slotId: flip(slot.slotId, at) }, place, key)),
    ...Array.from(slot.commitment, (_, at) =>
      openCustomKeySlot({ ...slot, commitment: flip(slot.commitment, at) }, place, key),
    ),
    openCustomKeySlot({ ...slot, commitment: new Uint8Array() }, place, key),
    openCustomKeySlot({ ...slot, kind: 1 }, place, key),
    openCustomKeySlot({ ...slot, kind: 3 }, place, key),
    openCustomKeySlot(slot, place, key.subarray(1)),
    openCustomKeySlot(slot, place, new Uint8Array()),
  ];
  assert.deepEqual(new Set(refused), new Set([undefined]));
  for (const _ of refused) assert.deepEqual(openCustomKeySlot({ ...slot }, { ...place }, key.slice()), ringKey);
});

test('a damaged wrap is called corrupt, and another keyring does not take it', () => {
  const { slot } = newSlot();
  const wrap = slot.wrappedRingKey;
  for (let at = 0; at < wrap.length; at += 1) {
    const damaged = { ...slot, wrappedRingKey: flip(wrap, at) };
    assert.throws(() => openCustomKeySlot(damaged, place, key), { code: 'slot.corrupt' });
    assert.throws(() => openCustomKeySlot({ ...slot, wrappedRingKey: wrap.subarray(0, at) }, place, key), {
      code: 'slot.corrupt',
    });
    assert.deepEqual(openCustomKeySlot({ ...slot, wrappedRingKey: wrap.slice() }, place, key), ringKey);
  }
  assert.throws(() => openCustomKeySlot(slot, { ...place, keyringNumber: 4 }, key), { code: 'slot.corrupt' });
});

test('a slot goes on into the next keyring without the key', () => {
  const { slot, publicKey } = newSlot();
  const next = { archiveId, keyringNumber: 4 };
  const carried = rewrapSlot(slot, next, { ringKey: new Uint8Array(32).fill(0x53), publicKey }, systemRandom);
  assert.deepEqual(openCustomKeySlot(carried, next, key), new Uint8Array(32).fill(0x53));
  assert.deepEqual(openSlotWithKey(carried, next, slotKeyOf(slot.slotId)), new Uint8Array(32).fill(0x53));
});

test('a key file says its key in hexadecimal or base64, and anything else is refused without being repeated', () => {
  const hex = key.toHex();
  const base64 = key.toBase64();
  const accepted = [
    hex,
    hex.toUpperCase(),
    ` ${hex}\r\n`,
    `\u{feff}${hex}\n`,
    base64,
    `\n${base64}\n\n`,
    `\t${base64}`,
  ];
  for (const text of accepted) assert.deepEqual(parseCustomKey(text), key, JSON.stringify(text));
  const refused = [
    '',
    hex.slice(1),
    `${hex}0`,
    `${hex.slice(0, 63)}g`,
    `${hex.slice(0, 32)} ${hex.slice(32)}`,
    `0x${hex}`,
    base64.slice(0, 43),
    base64.replace('=', ''),
    `${base64}=`,
    base64.replace(/.=$/, '-='),
    // The same 32 bytes and two bits more: not their one spelling.
    systemRandom(32).toBase64().replace(/.=$/, 'B='),
    `${hex}\n${hex}`,
    systemRandom(31).toBase64(),
    systemRandom(33).toBase64(),
  ];
  for (const text of refused)
    assert.throws(
      () => parseCustomKey(text),
      (error) => {
        assert.ok(error instanceof CodedError && error.code === 'custom_key.malformed', JSON.stringify(text));
        assert.deepEqual(Object.keys(error.details), ['characters']);
        return true;
      },
    );
});

test('a key of one byte over and over is refused where a slot is made, and reads where one is there', () => {
  for (const byte of [0, 0x41, 0xff]) {
    const equal = new Uint8Array(32).fill(byte);
    for (const text of [equal.toHex(), equal.toBase64()]) assert.deepEqual(parseCustomKey(text), equal);
    assert.throws(() => prepareCustomKeySlot(archiveId, equal, systemRandom), { code: 'custom_key.not_random' });
    assert.equal(prepareCustomKeySlot(archiveId, equal.with(31, byte ^ 1), systemRandom).slot.kind, customKeySlotKind);
  }
});

test('every key reads back from both spellings, and no text crashes the parser', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const copy = new Uint8Array(bytes);
      assert.deepEqual(parseCustomKey(copy.toHex()), copy);
      assert.deepEqual(parseCustomKey(copy.toBase64()), copy);
    }),
  );
  const digits = fc.string({
    unit: fc.constantFrom(...'0123456789abcdefABCDEFghXYZ+/=-_ '.split('')),
    minLength: 40,
    maxLength: 66,
  });
  fc.assert(
    fc.property(fc.oneof(fc.string(), digits), (text) => {
      try {
        assert.equal(parseCustomKey(text).length, 32);
      } catch (error) {
        assert.ok(error instanceof CodedError && error.code.startsWith('custom_key.'), String(error));
      }
    }),
  );
});
