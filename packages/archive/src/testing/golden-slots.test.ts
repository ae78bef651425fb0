import assert from 'node:assert/strict';
import { argon2Sync, createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';

import { hkdf } from '../crypto/derive.node.ts';
import { archiveErrors } from '../errors.ts';
import { openHpkeWeb } from '../crypto/hpke-web.ts';
import { ByteWriter, equalBytes, joinBytes } from '../format/cursor.ts';
import { defineFields, FieldReader } from '../format/fields.ts';
import { encodeKeyring, type KeyringSlot, parseKeyring, slotKinds } from '../format/keyring.ts';
import { splitRecord } from '../format/record.ts';
import { openArchive } from '../tree/open-archive.ts';
import type { OpenSlot, ReadAccess } from '../tree/record-source.ts';
import { fixedTools, folderSource } from './folder-source.ts';

const golden = join(import.meta.dirname, '../../testdata/v1-draft/slots');

type Expected = {
  readonly archiveId: string;
  readonly secrets: {
    readonly passwords: readonly { readonly password: string; readonly keyring: number; readonly head: number }[];
    readonly customKey: string;
  };
  readonly slots: readonly (Readonly<Record<string, string>> & { readonly kind: number })[];
};

const expected = JSON.parse(await readFile(join(golden, 'expected.json'), 'utf8')) as Expected;
const ascii = (text: string) => new TextEncoder().encode(text);

/** Opens slots by whatever gives their slot keys, as the format document says. */
function openWith(slotKeyOf: (slot: KeyringSlot, salt: Uint8Array) => Uint8Array | undefined): OpenSlot {
  return async (slot, { archiveId, keyringNumber }) => {
    const salt = joinBytes(archiveId, slot.slotId);
    const slotKey = slotKeyOf(slot, salt);
    if (slotKey === undefined) return undefined;
    const commitment = createHmac('sha256', slotKey).update('holdfast v1 slot commitment').update(salt).digest();
    if (!equalBytes(commitment, slot.commitment)) return undefined;
    const info = new ByteWriter().put(ascii('holdfast v1 slot')).put(archiveId).u32(keyringNumber).put(slot.slotId);
    return openHpkeWeb(joinBytes(slotKey), info.written(), joinBytes(slot.wrappedRingKey));
  };
}

const costFields = defineFields('password slot', { 1: 'must', 2: 'must', 3: 'must', 4: 'must' });

function byPassword(password: string): OpenSlot {
  return openWith(({ kind, parameters }, salt) => {
    if (kind !== slotKinds.password) return undefined;
    const fields = new FieldReader(parameters!, costFields);
    const cost = { nonce: new Uint8Array(), memory: 0, passes: 0, parallelism: 0 };
    while (fields.next()) {
      if (fields.tag === 1) cost.nonce = joinBytes(fields.exactly(16));
      else if (fields.tag === 2) cost.memory = fields.number();
      else if (fields.tag === 3) cost.passes = fields.number();
      else cost.parallelism = fields.number();
    }
    const secret = argon2Sync('argon2id', { message: password.normalize('NFC'), ...cost, tagLength: 32 });
    return hkdf(secret, salt, 'holdfast v1 password slot');
  });
}

function byCustomKey(key: Uint8Array): OpenSlot {
  return openWith(({ kind }, salt) =>
    kind === slotKinds.customKey ? hkdf(key, salt, 'holdfast v1 custom key slot') : undefined,
  );
}

async function open(access: ReadAccess) {
  const source = await folderSource(join(golden, 'archive'), expected.archiveId);
  try {
    const { head, keyring, problems } = await openArchive(source, access, fixedTools);
    return { head: head.number, keyring: keyring.number, problems: problems.map(({ problem }) => problem) };
  } finally {
    await source.close();
  }
}

async function keyringOpen(number: number): Promise<Uint8Array> {
  return splitRecord(joinBytes(await readFile(join(golden, `archive/keys/keyring-${number}.1`)))).open;
}

test('the golden archive of slots opens by each password, by the custom key and by each slot key', async () => {
  for (const { password, keyring, head } of expected.secrets.passwords) {
    const opened = await open({ openSlot: byPassword(password) });
    // A password that was struck reads no later commit; who may write is told by the keyrings that follow.
    const said = keyring < 4 ? ['no commit that opens names keyring 4: that its writers count is not proven'] : [];
    assert.deepEqual([opened.keyring, opened.head, opened.problems.slice(0, 1)], [4, head, said]);
  }
  const newest = { head: 3, keyring: 4, problems: [] };
  assert.deepEqual(await open({ openSlot: byCustomKey(Uint8Array.fromBase64(expected.secrets.customKey)) }), newest);
  for (const { slotId, slotKey } of expected.slots) {
    const own = openWith((slot) => (slot.slotId.toHex() === slotId ? Uint8Array.fromHex(slotKey!) : undefined));
    assert.deepEqual(await open({ openSlot: own }), newest);
  }
});

test('a secret that fits no slot of the golden archive opens nothing', async () => {
  for (const openSlot of [byPassword('another password'), byCustomKey(new Uint8Array(32)), openWith(() => undefined)])
    await assert.rejects(open({ openSlot }), { code: 'archive.no_keyring' });
  assert.equal((await open({ openSlot: byPassword(expected.secrets.passwords[0]!.password) })).head, 3);
});

test('a slot that throws is said and passed over, and the one behind it opens the keyring', async () => {
  const good = byCustomKey(Uint8Array.fromBase64(expected.secrets.customKey));
  const openSlot: OpenSlot = (slot, place, effort) => {
    if (slot.kind === slotKinds.password) throw archiveErrors.corrupt();
    return good(slot, place, effort);
  };
  const opened = await open({ openSlot });
  const problems = Array.from({ length: 2 }, () => 'a slot of a keyring does not open');
  assert.deepEqual(opened, { head: 3, keyring: 4, problems });
  // What nobody declared is a defect, or something that is missing where it runs: it ends the reading.
  const broken: OpenSlot = () => Promise.reject(new TypeError('of no use'));
  await assert.rejects(open({ openSlot: broken }), TypeError);
});

test('its newest keyring has a slot of every kind, as expected.json writes them, and one that no version knows', async () => {
  const { slots } = parseKeyring(await keyringOpen(4));
  assert.deepEqual(
    slots.map(({ kind }) => kind),
    [200, 1, 2, 3, 4],
  );
  const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');
  for (const [index, slot] of slots.slice(1).entries()) {
    const { slotKey, ...written } = expected.slots[index]!;
    const { slotId, kind, commitment, wrappedRingKey, parameters } = slot;
    const fields = { slotId: hex(slotId), kind, commitment: hex(commitment), wrappedRingKey: hex(wrappedRingKey) };
    assert.deepEqual({ ...fields, ...(parameters && { parameters: hex(parameters) }) }, written);
    assert.equal(slotKey?.length, 64);
  }
});

test('a slot goes on over keyrings with its parameters, while the ring key in it is another', async () => {
  const rings = await Promise.all([2, 3, 4].map(async (number) => parseKeyring(await keyringOpen(number)).slots));
  const escrow = rings.map((slots) => slots.find(({ kind }) => kind === slotKinds.escrow)!);
  for (const slot of escrow.slice(1)) {
    const { slotId, commitment, parameters } = escrow[0]!;
    assert.deepEqual([slot.slotId, slot.commitment, slot.parameters], [slotId, commitment, parameters]);
    assert.notDeepEqual(slot.wrappedRingKey, escrow[0]!.wrappedRingKey);
  }
});

test('a slot of an unknown kind has fields of any length and is written as it was; one of a known kind has its lengths', async () => {
  const open = await keyringOpen(4);
  const keyring = parseKeyring(open);
  assert.deepEqual(Buffer.from(encodeKeyring(keyring)), Buffer.from(open));
  const [strange, ...known] = keyring.slots;
  assert.deepEqual([strange!.slotId.length, strange!.commitment.length, strange!.wrappedRingKey.length], [16, 20, 73]);
  const written = (slot: KeyringSlot) => parseKeyring(encodeKeyring({ ...keyring, slots: [slot] })).slots[0]!;
  for (const slot of known) {
    for (const wrong of [
      { ...slot, commitment: slot.commitment.subarray(1) },
      { ...slot, commitment: joinBytes(slot.commitment, Uint8Array.of(0)) },
      { ...slot, wrappedRingKey: new Uint8Array() },
    ]) {
      assert.throws(() => written(wrong), { code: 'archive.corrupt' });
      assert.equal(written({ ...wrong, kind: 5 }).kind, 5);
      assert.equal(written(slot).kind, slot.kind);
    }
  }
});
