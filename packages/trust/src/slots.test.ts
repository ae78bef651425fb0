import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { systemRandom } from '@holdfast/base';
import { openCustomKeySlot, prepareCustomKeySlot } from './custom-key-slot.ts';
import { importHpkeKey, openHpke } from './hpke.ts';
import { formatKeyFile, parseKeyFile } from './key-file.ts';
import { makeRecoveryCode, parseRecoveryCode } from './recovery-code.ts';
import {
  makeRecoverySlot,
  openSlot,
  openSlotWithKey,
  recoverySlotKind,
  rewrapSlot,
  type Slot,
  type SlotPlace,
  wrapSlot,
} from './slots.ts';

const place = { archiveId: new Uint8Array(16).fill(0xa1), keyringNumber: 3 };
const ringKey = new Uint8Array(32).fill(0x52);

function newSlot() {
  const secret = parseRecoveryCode(makeRecoveryCode(systemRandom));
  return { secret, ...makeRecoverySlot(place, ringKey, secret, systemRandom) };
}

/** WebCrypto only, and nothing of slots.ts: the derivations of the format document a second time. */
async function deriveByDocument(secret: Uint8Array<ArrayBuffer>, slotId: Uint8Array) {
  const salt = new Uint8Array([...place.archiveId, ...slotId]);
  const info = new TextEncoder().encode('holdfast v1 recovery slot');
  const material = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
  const bits = await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info }, material, 256);
  const mac = createHmac('sha256', new Uint8Array(bits)).update('holdfast v1 slot commitment').update(salt).digest();
  return { slotKey: new Uint8Array(bits), commitment: new Uint8Array(mac) };
}

test('a recovery code opens its slot and gives the ring key', () => {
  const { slot, secret } = newSlot();
  assert.deepEqual(openSlot(slot, place, secret), ringKey);
});

test('slot key, public key and commitment are those of the format document', async () => {
  const { slot, secret, publicKey } = newSlot();
  const { slotKey, commitment } = await deriveByDocument(new Uint8Array(secret), slot.slotId);
  assert.deepEqual(commitment, slot.commitment);
  assert.deepEqual(openSlotWithKey(slot, place, slotKey), ringKey);
  const own = importHpkeKey(slotKey);
  assert.deepEqual(own.publicKey, publicKey);
  const number = Uint8Array.of(3, 0, 0, 0);
  const info = Buffer.concat([Buffer.from('holdfast v1 slot'), place.archiveId, number, slot.slotId]);
  assert.deepEqual(openHpke(own, { info }, slot.wrappedRingKey), ringKey);
  assert.deepEqual([slot.kind, slot.slotId.length, slot.wrappedRingKey.length], [recoverySlotKind, 16, 80]);
});

test('another code, another archive and another kind do not open a slot; the right ones do', () => {
  const { slot, secret } = newSlot();
  const other = parseRecoveryCode(makeRecoveryCode(systemRandom));
  assert.equal(openSlot(slot, place, other), undefined);
  assert.equal(openSlot(slot, { ...place, archiveId: new Uint8Array(16) }, secret), undefined);
  assert.equal(openSlot({ ...slot, kind: 3 }, place, secret), undefined);
  assert.equal(openSlot({ ...slot, slotId: new Uint8Array(16) }, place, secret), undefined);
  assert.equal(
    openSlot({ ...slot, commitment: slot.commitment.with(0, slot.commitment[0]! ^ 1) }, place, secret),
    undefined,
  );
  assert.equal(openSlot({ ...slot, commitment: new Uint8Array() }, place, secret), undefined);
  assert.equal(openSlot(slot, place, secret.subarray(1)), undefined);
  assert.deepEqual(openSlot({ ...slot }, { ...place }, secret.slice()), ringKey);
});

test('a damaged wrap is called corrupt, not a wrong code', () => {
  const { slot, secret } = newSlot();
  const wrap = slot.wrappedRingKey;
  for (const wrappedRingKey of [
    wrap.with(0, wrap[0]! ^ 1),
    wrap.with(79, wrap[79]! ^ 1),
    wrap.subarray(1),
    new Uint8Array(),
  ])
    assert.throws(() => openSlot({ ...slot, wrappedRingKey }, place, secret), { code: 'slot.corrupt' });
  assert.throws(() => openSlot(slot, { ...place, keyringNumber: 4 }, secret), { code: 'slot.corrupt' });
  assert.deepEqual(openSlot({ ...slot, wrappedRingKey: wrap.slice() }, place, secret), ringKey);
});

test('a slot goes on into the next keyring without its secret, keeping what else it carries', () => {
  const { slot, secret, publicKey } = newSlot();
  const next = { ...place, keyringNumber: 4 };
  const nextRingKey = new Uint8Array(32).fill(0x53);
  const carried = rewrapSlot({ ...slot, madeAt: 'kept' }, next, { ringKey: nextRingKey, publicKey }, systemRandom);
  assert.deepEqual(openSlot(carried, next, secret), nextRingKey);
  assert.deepEqual(openSlot(slot, place, secret), ringKey);
  assert.equal(carried.madeAt, 'kept');
  assert.notDeepEqual(carried.wrappedRingKey.subarray(0, 32), slot.wrappedRingKey.subarray(0, 32));
  const unusable = { ringKey: nextRingKey, publicKey: new Uint8Array(32) };
  assert.throws(() => rewrapSlot(slot, next, unusable, systemRandom), { code: 'hpke.bad_public_key' });
});

test('bytes cannot be shifted from the archive id to the slot id: both have 16', () => {
  const { slot, secret, publicKey } = newSlot();
  const [archiveId, slotId] = [place.archiveId.subarray(0, 15), new Uint8Array([0xa1, ...slot.slotId])];
  const refused = { code: 'slot.bad_parameters' };
  const pairs: readonly (readonly [Slot, SlotPlace])[] = [
    [
      { ...slot, slotId },
      { ...place, archiveId },
    ],
    [{ ...slot, slotId }, place],
    [slot, { ...place, archiveId }],
  ];
  for (const one of pairs) {
    assert.throws(() => openSlot(...one, secret), refused);
    assert.throws(() => openSlotWithKey(...one, secret), refused);
    assert.throws(() => rewrapSlot(...one, { ringKey, publicKey }, systemRandom), refused);
  }
  for (const open of [openSlot, openSlot, openSlot]) assert.deepEqual(open({ ...slot }, { ...place }, secret), ringKey);
});

test('parameters that must be understood are refused where the kind has none, and others passed over', () => {
  const { slot, secret } = newSlot();
  const custom = wrapSlot(
    prepareCustomKeySlot(place.archiveId, secret, systemRandom),
    place,
    ringKey,
    systemRandom,
  ).slot;
  for (const [one, open] of [[slot, openSlot] as const, [custom, openCustomKeySlot] as const]) {
    for (const parameters of [[3, 0], [1], [255, 1, 0]])
      assert.throws(() => open({ ...one, parameters: new Uint8Array(parameters) }, place, secret), {
        code: 'slot.bad_parameters',
      });
    for (const parameters of [[], [2, 0], [2, 1, 7]])
      assert.deepEqual(open({ ...one, parameters: new Uint8Array(parameters) }, place, secret), ringKey);
  }
});

const epochs = [
  { epoch: 0, suite: 1, key: new Uint8Array(32).fill(0x11) },
  { epoch: 7, suite: 1, key: new Uint8Array(32).fill(0x22) },
];
const keyFile = formatKeyFile({ archiveId: place.archiveId, epochs });

test('a key file is the text of the format document and reads back', () => {
  const body = `holdfast-key-v1\narchive ${'a1'.repeat(16)}\nepoch 0 1 ${'11'.repeat(32)}\nepoch 7 1 ${'22'.repeat(32)}\n`;
  assert.match(keyFile, /\ncheck [0-9a-f]{16}\n$/);
  assert.equal(keyFile.slice(0, body.length), body);
  assert.deepEqual(parseKeyFile(keyFile), { archiveId: place.archiveId, epochs });
});

test('a wrong line of a key file is named by its number, and a lost character by the check', () => {
  const lines = keyFile.split('\n');
  const malformed: readonly (readonly [string, number])[] = [
    ['', 1],
    [keyFile.replace('v1', 'v2'), 1],
    [keyFile.replaceAll('\n', '\r\n'), 1],
    [lines.with(1, lines[1]!.slice(1)).join('\n'), 2],
    [lines.with(2, lines[2]!.toUpperCase()).join('\n'), 3],
    [lines.with(3, '').join('\n'), 4],
    [lines.toSpliced(2, 2).join('\n'), 3],
    [lines.with(4, 'check 0').join('\n'), 5],
    [keyFile.slice(0, -1), 5],
    [`${keyFile}\n`, 5],
  ];
  for (const [text, line] of malformed)
    assert.throws(
      () => parseKeyFile(text),
      (error: { code: string; details: { line: number } }) => {
        assert.deepEqual([error.code, error.details.line], ['key_file.malformed', line], JSON.stringify(text));
        return true;
      },
    );
  assert.throws(() => parseKeyFile(keyFile.replace('22222', '22322')), { code: 'key_file.damaged' });
  assert.throws(() => parseKeyFile(keyFile.replace('epoch 7', 'epoch 8')), { code: 'key_file.damaged' });
  assert.equal(
    parseKeyFile(formatKeyFile({ archiveId: place.archiveId, epochs: epochs.slice(1) })).epochs[0]?.epoch,
    7,
  );
});

test('keyrings are numbered from 1 to 2^32 - 1, and a slot for another number is not made', () => {
  const { secret } = newSlot();
  const at = (keyringNumber: number) => makeRecoverySlot({ ...place, keyringNumber }, ringKey, secret, systemRandom);
  for (const number of [0, -1, 1.5, Number.NaN, 2 ** 32, 2 ** 32 + 3]) assert.throws(() => at(number), /2\^32 - 1/);
  for (const keyringNumber of [1, 2, 2 ** 31, 2 ** 32 - 1])
    assert.deepEqual(openSlot(at(keyringNumber).slot, { ...place, keyringNumber }, secret), ringKey);
});
