import { argon2Sync, createHmac, hash } from 'node:crypto';

import type { Random } from '@holdfast/base';

import { hkdf } from '../crypto/derive.node.ts';
import { ByteWriter, joinBytes } from '../format/cursor.ts';
import { defineFields, FieldWriter } from '../format/fields.ts';
import { type KeyringSlot, slotKinds } from '../format/keyring.ts';
import type { Time } from '../format/time.ts';
import { publicHalf, sealToPublicKey } from './seal-to-public-key.ts';

/** A slot before the ring key is wrapped; it stays the same over keyrings. */
export type MadeSlot = Pick<KeyringSlot, 'slotId' | 'kind' | 'parameters'> & {
  /** 32 bytes. */
  readonly slotKey: Uint8Array;
};

type SlotMaker = { readonly archiveId: Uint8Array; readonly random: Random };

/** The two public keys (X25519, 32 bytes) that an escrow slot is sealed to. */
export type EscrowPublicKeys = { readonly logKey: Uint8Array; readonly keystoreKey: Uint8Array };

const escrowFields = defineFields('escrow slot', { 1: 'must', 2: 'must', 3: 'must' });
const passwordFields = defineFields('password slot', { 1: 'must', 2: 'must', 3: 'must', 4: 'must' });
const ascii = (text: string) => new TextEncoder().encode(text);

/** A slot that the 32 bytes of a recovery code open. */
export function recoverySlot({ archiveId, random }: SlotMaker, entropy: Uint8Array): MadeSlot {
  const slotId = random(16);
  const slotKey = hkdf(entropy, joinBytes(archiveId, slotId), 'holdfast v1 recovery slot');
  return { slotId, kind: slotKinds.recoveryCode, slotKey };
}

/** A slot that a custom key opens. */
export function customKeySlot({ archiveId, random }: SlotMaker, key: Uint8Array): MadeSlot {
  const slotId = random(16);
  const slotKey = hkdf(key, joinBytes(archiveId, slotId), 'holdfast v1 custom key slot');
  return { slotId, kind: slotKinds.customKey, slotKey };
}

/** A slot that a password in normal form opens; `cost` is KiB of memory, passes, lanes. */
export function passwordSlot(
  { archiveId, random }: SlotMaker,
  password: string,
  cost: readonly [memory: number, passes: number, lanes: number],
): MadeSlot {
  const [slotId, salt] = [random(16), random(16)];
  const [memory, passes, parallelism] = cost;
  const message = Buffer.from(password, 'utf8');
  const secret = argon2Sync('argon2id', { message, nonce: salt, memory, passes, parallelism, tagLength: 32 });
  const slotKey = hkdf(secret, joinBytes(archiveId, slotId), 'holdfast v1 password slot');
  const fields = new FieldWriter(passwordFields).bytes(1, salt).number(2, memory).number(3, passes);
  return { slotId, kind: slotKinds.password, slotKey, parameters: fields.number(4, parallelism).finish() };
}

/** A slot that the keys of log and keystore open together. */
export function escrowSlot({ archiveId, random }: SlotMaker, { logKey, keystoreKey }: EscrowPublicKeys): MadeSlot {
  const [slotId, slotKey] = [random(16), random(32)];
  const info = (layer: string) => joinBytes(ascii(`holdfast v1 escrow ${layer}`), archiveId, slotId);
  const within = sealToPublicKey(keystoreKey, info('inner'), slotKey, random(32));
  const sealed = sealToPublicKey(logKey, info('outer'), within, random(32));
  const keyId = (key: Uint8Array) => hash('sha256', key, 'buffer').subarray(0, 8);
  const fields = new FieldWriter(escrowFields).bytes(1, keyId(logKey)).bytes(2, keyId(keystoreKey)).bytes(3, sealed);
  return { slotId, kind: slotKinds.escrow, slotKey, parameters: fields.finish() };
}

/** A slot of a kind that no version knows, and with fields of other lengths but for its id: readers pass over it. */
export function strangeSlot(madeAt: Time, random: Random): KeyringSlot {
  const lengths = { slotId: random(16), commitment: random(20), wrappedRingKey: random(73) };
  return { ...lengths, kind: 200, madeAt, parameters: new Uint8Array([2, 1, 7]) };
}

/** The slot as a keyring has it. */
export function wrapMadeSlot(
  { slotKey, ...slot }: MadeSlot,
  place: { readonly archiveId: Uint8Array; readonly number: number; readonly ringKey: Uint8Array },
  { madeAt, random }: { readonly madeAt: Time; readonly random: Random },
): KeyringSlot {
  const { archiveId, number, ringKey } = place;
  const info = new ByteWriter().put(ascii('holdfast v1 slot')).put(archiveId).u32(number).put(slot.slotId);
  const wrappedRingKey = sealToPublicKey(publicHalf(slotKey), info.written(), ringKey, random(32));
  const mac = createHmac('sha256', slotKey).update('holdfast v1 slot commitment').update(archiveId);
  return { ...slot, madeAt, commitment: mac.update(slot.slotId).digest(), wrappedRingKey };
}
