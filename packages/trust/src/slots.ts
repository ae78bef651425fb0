import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { assert, type Random } from '@holdfast/base';
import { hpkeBytes, importHpkeKey, openHpke, sealHpke } from './hpke.ts';
import { slotErrors } from './slot-errors.ts';
import { parseParameters } from './slot-parameters.ts';
import { takeoverKeyOf, takeoverParameters } from './takeover-key.ts';

/** The format's number for a slot that a recovery code opens. */
export const recoverySlotKind = 1;

/**
 * One way into an archive's keyring: the ring key, sealed to the public key of a slot key that a secret leads to.
 *
 * A plain value; how it is written in a keyring record says the format document (section 5).
 */
export type Slot = {
  /** 16 random bytes; stays when the slot is wrapped anew. */
  readonly slotId: Uint8Array;
  readonly kind: number;
  /** 32 bytes that only the right slot key gives, so a forged slot is no oracle. */
  readonly commitment: Uint8Array;
  /** Encapsulated key (32) and the sealed ring key (48). */
  readonly wrappedRingKey: Uint8Array;
  /** Of escrow, passwords and recovery codes: fields, as the format document lays them out. */
  readonly parameters?: Uint8Array;
};

/** A slot and the public half (X25519, 32 bytes) of its slot key, which goes into the ring. */
export type SlotWithKey<S> = { readonly slot: S; readonly publicKey: Uint8Array };

/**
 * A slot for any keyring of its archive, before the ring key is wrapped: what takes long is done, and of the slot key
 * only the public half is left.
 */
export type PreparedSlot = SlotWithKey<Omit<Slot, 'wrappedRingKey'>>;

/** Where a slot stands; another archive's or another keyring's slot does not open here. */
export type SlotPlace = { readonly archiveId: Uint8Array; readonly keyringNumber: number };

/**
 * Makes the slot that a recovery code opens.
 *
 * `secret` is the 32 bytes of the code (`parseRecoveryCode`). The public key goes into the ring, so that the next
 * keyring can be wrapped for this slot without the code.
 */
export function makeRecoverySlot(
  place: SlotPlace,
  ringKey: Uint8Array,
  secret: Uint8Array,
  random: Random,
): SlotWithKey<Slot> {
  const slotId = random(16);
  const { archiveId } = place;
  const slotKey = deriveSlotKey({ archiveId, slotId }, secret, recoveryLabel);
  const facts = { slotId, kind: recoverySlotKind, parameters: takeoverParameters(takeoverKeyOf(secret)) };
  return wrapSlot(prepareSlot(archiveId, facts, slotKey), place, ringKey, random);
}

/** A slot with the commitment to its slot key, whose bytes are overwritten: nobody needs them before it is opened. */
export function prepareSlot(
  archiveId: Uint8Array,
  facts: Pick<Slot, 'slotId' | 'kind' | 'parameters'>,
  slotKey: Uint8Array,
): PreparedSlot {
  assert(slotKey.length === hpkeBytes.key, 'a slot key has 32 bytes');
  const slot = { ...facts, commitment: commitmentOf({ archiveId, slotId: facts.slotId }, slotKey) };
  const { publicKey } = importHpkeKey(slotKey);
  slotKey.fill(0);
  return { slot, publicKey };
}

/** Wraps the ring key of a keyring for a prepared slot; the public key goes into the ring. */
export function wrapSlot(
  { slot, publicKey }: PreparedSlot,
  place: SlotPlace,
  ringKey: Uint8Array,
  random: Random,
): SlotWithKey<Slot> {
  const empty = { ...slot, wrappedRingKey: new Uint8Array() };
  return { slot: rewrapSlot(empty, place, { ringKey, publicKey }, random), publicKey };
}

/**
 * The same slot in another keyring: a fresh ring key, sealed to the slot's public key.
 *
 * Who holds an old ring has public keys from it and so can open no later keyring by them.
 * @throws hpke.bad_public_key
 */
export function rewrapSlot<S extends Slot>(
  slot: S,
  place: SlotPlace,
  keys: { readonly ringKey: Uint8Array; readonly publicKey: Uint8Array },
  random: Random,
): S {
  assert(keys.ringKey.length === 32, 'a ring key has 32 bytes');
  const wrappedRingKey = sealHpke(keys.publicKey, { info: infoOf(slot, place) }, keys.ringKey, random);
  return { ...slot, wrappedRingKey };
}

/**
 * The ring key of a slot that the 32 bytes of a recovery code open; undefined when the code is another slot's, or the
 * slot of another kind.
 *
 * @throws slot.corrupt when the code is right and the slot is damaged; slot.bad_parameters
 */
export function openSlot(slot: Slot, place: SlotPlace, secret: Uint8Array): Uint8Array | undefined {
  if (slot.kind !== recoverySlotKind || secret.length !== 32) return undefined;
  expectNoParameters(slot);
  return openDerivedSlot(slot, place, { secret, label: recoveryLabel });
}

/** The ring key of a slot, by 32 bytes that lead to its slot key by the label of its kind. @throws slot.corrupt, slot.bad_parameters */
export function openDerivedSlot(
  slot: Slot,
  place: SlotPlace,
  { secret, label }: { readonly secret: Uint8Array; readonly label: string },
): Uint8Array | undefined {
  const slotKey = deriveSlotKey({ ...place, slotId: slot.slotId }, secret, label);
  try {
    return openSlotWithKey(slot, place, slotKey);
  } finally {
    slotKey.fill(0);
  }
}

/** The ring key of a slot of any kind, by its slot key; undefined when the key is another slot's. @throws slot.corrupt, slot.bad_parameters */
export function openSlotWithKey(slot: Slot, place: SlotPlace, slotKey: Uint8Array): Uint8Array | undefined {
  if (!isCommitted(slot, place, slotKey)) return undefined;
  const ringKey = openHpke(importHpkeKey(slotKey), { info: infoOf(slot, place) }, slot.wrappedRingKey);
  if (ringKey?.length !== 32) throw slotErrors.corrupt();
  return ringKey;
}

/** Of kinds that have none: a field that must be understood is of a version that is not known. @throws slot.bad_parameters */
export function expectNoParameters({ parameters }: Pick<Slot, 'parameters'>): void {
  parseParameters(parameters, 0);
}

const recoveryLabel = 'holdfast v1 recovery slot';

/** An archive and a slot of it. */
export type SlotName = { readonly archiveId: Uint8Array; readonly slotId: Uint8Array };

/** The slot key that 32 secret bytes give for one slot of one archive, by the label of the slot's kind. @throws slot.bad_parameters */
export function deriveSlotKey(name: SlotName, secret: Uint8Array, label: string): Uint8Array {
  assert(secret.length === 32, 'a secret has 32 bytes');
  return new Uint8Array(hkdfSync('sha256', secret, joined(...slotNameOf(name)), label, 32));
}

/**
 * Archive id and slot id, 16 bytes each: what they are joined to holds for no other pair.
 *
 * @throws slot.bad_parameters
 */
export function slotNameOf({ archiveId, slotId }: SlotName): readonly [Uint8Array, Uint8Array] {
  if (archiveId.length === 16 && slotId.length === 16) return [archiveId, slotId];
  throw slotErrors.bad_parameters({ archiveIdBytes: archiveId.length, slotIdBytes: slotId.length });
}

function commitmentOf(name: SlotName, slotKey: Uint8Array): Uint8Array {
  const [archiveId, slotId] = slotNameOf(name);
  const mac = createHmac('sha256', slotKey).update('holdfast v1 slot commitment');
  return new Uint8Array(mac.update(archiveId).update(slotId).digest());
}

/** Whether a slot is this slot key's, by its commitment. @throws slot.bad_parameters */
export function isCommitted(
  { slotId, commitment }: Pick<Slot, 'slotId' | 'commitment'>,
  { archiveId }: Pick<SlotPlace, 'archiveId'>,
  slotKey: Uint8Array,
): boolean {
  const own = commitmentOf({ archiveId, slotId }, slotKey);
  return commitment.length === 32 && timingSafeEqual(commitment, own);
}

/** What a ring key is sealed with: a slot of another archive, keyring or id does not give it. */
function infoOf(slot: Slot, place: SlotPlace): Uint8Array {
  const [archiveId, slotId] = slotNameOf({ ...place, slotId: slot.slotId });
  const isNumber = Number.isSafeInteger(place.keyringNumber) && place.keyringNumber >= 1;
  // A greater one would be written as if it were another keyring's.
  assert(isNumber && place.keyringNumber <= 0xffff_ffff, 'keyrings are numbered from 1 to 2^32 - 1');
  const number = new Uint8Array(4);
  new DataView(number.buffer).setUint32(0, place.keyringNumber, true);
  return joined(new TextEncoder().encode('holdfast v1 slot'), archiveId, number, slotId);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
