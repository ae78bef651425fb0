import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { assert, defineErrors, type Random } from '@holdfast/base';
import { openXaes, sealXaes, xaesBytes } from './xaes.ts';

/** Failures of opening a slot. That a secret does not fit is not one of them: it is an answer. */
export const slotErrors = defineErrors('slot', {
  corrupt: ['corrupt', 'The secret fits the slot, but the ring key in it does not open'],
  bad_parameters: ['corrupt', 'The parameters of the slot are not as its kind has them'],
});

/** The format's number for a slot that a recovery code opens. */
export const recoverySlotKind = 1;

/**
 * One way into an archive's keyring: the ring key, wrapped under a key that a secret leads to.
 *
 * A plain value; how it is written in a keyring record says the format document (section 5).
 */
export type Slot = {
  /** 16 random bytes; stays when the slot is wrapped anew. */
  readonly slotId: Uint8Array;
  readonly kind: number;
  /** 32 bytes that only the right wrapping key gives, so a forged slot is no oracle. */
  readonly commitment: Uint8Array;
  /** Nonce (24) and the sealed ring key (48). */
  readonly wrappedRingKey: Uint8Array;
  /** Of escrow and passwords: fields, as the format document lays them out. */
  readonly parameters?: Uint8Array;
};

/**
 * A slot for any keyring of its archive, before the ring key is wrapped: what takes long, or is sealed to somebody's
 * public key, is done.
 */
export type PreparedSlot = { readonly slot: Omit<Slot, 'wrappedRingKey'>; readonly wrappingKey: Uint8Array };

/** Where a slot stands; another archive's or another keyring's slot does not open here. */
export type SlotPlace = { readonly archiveId: Uint8Array; readonly keyringNumber: number };

/** What an opened slot gives: the ring key (32 bytes), and the wrapping key it was under. */
export type OpenedSlot = { readonly ringKey: Uint8Array; readonly wrappingKey: Uint8Array };

/**
 * Makes the slot that a recovery code opens.
 *
 * `secret` is the 32 bytes of the code (`parseRecoveryCode`). The wrapping key goes into the ring, so that the next
 * keyring can be wrapped for this slot without the code.
 */
export function makeRecoverySlot(
  place: SlotPlace,
  ringKey: Uint8Array,
  secret: Uint8Array,
  random: Random,
): { readonly slot: Slot; readonly wrappingKey: Uint8Array } {
  const slotId = random(16);
  const { archiveId } = place;
  const wrappingKey = deriveWrappingKey({ archiveId, slotId }, secret, recoveryLabel);
  return wrapSlot(prepareSlot(archiveId, { slotId, kind: recoverySlotKind }, wrappingKey), place, ringKey, random);
}

/** A slot with the commitment to its wrapping key. */
export function prepareSlot(
  archiveId: Uint8Array,
  facts: Pick<Slot, 'slotId' | 'kind' | 'parameters'>,
  wrappingKey: Uint8Array,
): PreparedSlot {
  assert(archiveId.length === 16 && facts.slotId.length === 16, 'an archive id has 16 bytes, a slot id too');
  assert(wrappingKey.length === 32, 'a wrapping key has 32 bytes');
  return { slot: { ...facts, commitment: commitmentOf(archiveId, facts.slotId, wrappingKey) }, wrappingKey };
}

/** Wraps the ring key of a keyring for a prepared slot; the wrapping key goes into the ring. */
export function wrapSlot(
  { slot, wrappingKey }: PreparedSlot,
  place: SlotPlace,
  ringKey: Uint8Array,
  random: Random,
): { readonly slot: Slot; readonly wrappingKey: Uint8Array } {
  const empty = { ...slot, wrappedRingKey: new Uint8Array() };
  return { slot: rewrapSlot(empty, place, { ringKey, wrappingKey }, random), wrappingKey };
}

/** The same slot in another keyring: a fresh ring key under the wrapping key it had. */
export function rewrapSlot<S extends Slot>(slot: S, place: SlotPlace, keys: OpenedSlot, random: Random): S {
  assert(keys.ringKey.length === 32, 'a ring key has 32 bytes');
  assert(isCommitted(slot, place, keys.wrappingKey), 'the wrapping key belongs to the slot');
  const nonce = random(xaesBytes.nonce);
  const sealed = sealXaes(wrapInput(slot, place, keys.wrappingKey, nonce), keys.ringKey);
  return { ...slot, wrappedRingKey: joined(nonce, sealed) };
}

/**
 * Opens a slot with the 32 bytes of a recovery code; undefined when the code is another slot's or of another kind.
 *
 * @throws slot.corrupt when the code is right and the slot is damaged.
 */
export function openSlot(slot: Slot, place: SlotPlace, secret: Uint8Array): OpenedSlot | undefined {
  if (slot.kind !== recoverySlotKind || secret.length !== 32) return undefined;
  const wrappingKey = deriveWrappingKey({ ...place, slotId: slot.slotId }, secret, recoveryLabel);
  return openSlotWithKey(slot, place, wrappingKey);
}

/** Opens a slot of any kind with its wrapping key; undefined when the key is another slot's. @throws slot.corrupt */
export function openSlotWithKey(slot: Slot, place: SlotPlace, wrappingKey: Uint8Array): OpenedSlot | undefined {
  if (!isCommitted(slot, place, wrappingKey)) return undefined;
  const nonce = slot.wrappedRingKey.subarray(0, xaesBytes.nonce);
  const sealed = slot.wrappedRingKey.subarray(xaesBytes.nonce);
  if (sealed.length !== 32 + xaesBytes.tag) throw slotErrors.corrupt();
  const ringKey = openXaes(wrapInput(slot, place, wrappingKey, nonce), sealed);
  if (!ringKey) throw slotErrors.corrupt();
  return { ringKey, wrappingKey };
}

const recoveryLabel = 'holdfast v1 recovery slot';

/** The wrapping key that 32 secret bytes give for one slot of one archive, by the label of the slot's kind. */
export function deriveWrappingKey(
  { archiveId, slotId }: { readonly archiveId: Uint8Array; readonly slotId: Uint8Array },
  secret: Uint8Array,
  label: string,
): Uint8Array {
  assert(archiveId.length === 16 && secret.length === 32, 'an archive id has 16 bytes, a secret 32');
  return new Uint8Array(hkdfSync('sha256', secret, joined(archiveId, slotId), label, 32));
}

function commitmentOf(archiveId: Uint8Array, slotId: Uint8Array, wrappingKey: Uint8Array): Uint8Array {
  const mac = createHmac('sha256', wrappingKey).update('holdfast v1 slot commitment');
  return new Uint8Array(mac.update(archiveId).update(slotId).digest());
}

/** Whether a slot is this wrapping key's, by its commitment. */
export function isCommitted(
  { slotId, commitment }: Pick<Slot, 'slotId' | 'commitment'>,
  { archiveId }: Pick<SlotPlace, 'archiveId'>,
  wrappingKey: Uint8Array,
): boolean {
  return commitment.length === 32 && timingSafeEqual(commitment, commitmentOf(archiveId, slotId, wrappingKey));
}

function wrapInput(slot: Slot, place: SlotPlace, key: Uint8Array, nonce: Uint8Array) {
  const number = new Uint8Array(4);
  new DataView(number.buffer).setUint32(0, place.keyringNumber, true);
  const label = new TextEncoder().encode('holdfast v1 slot');
  return { key, nonce, associatedData: joined(label, place.archiveId, number, slot.slotId) };
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
