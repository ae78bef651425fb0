import { assert, defineErrors, type Random } from '@holdfast/base';
import {
  deriveSlotKey,
  expectNoParameters,
  openDerivedSlot,
  type PreparedSlot,
  prepareSlot,
  type Slot,
  type SlotPlace,
} from './slots.ts';

/** Failures of reading a custom key. `details` never hold a character of it. */
export const customKeyErrors = defineErrors('custom_key', {
  malformed: ['invalid', 'A custom key is 32 bytes as 64 hexadecimal digits or as 44 characters of base64'],
  not_random: ['invalid', 'The custom key is one byte over and over, and no secret'],
});

/** The format's number for a slot that a key of the customer's own opens. */
export const customKeySlotKind = 4;

const label = 'holdfast v1 custom key slot';
const hexShape = /^[0-9a-f]{64}$/i;
/** Base64 of 32 bytes in its one spelling: the last digit has two bits that stand for nothing, and they are zero. */
const base64Shape = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/**
 * The 32 bytes of a custom key file's text; white space around them does not count.
 *
 * Whatever they are: an archive may have a slot for them.
 * @throws custom_key.malformed
 */
export function parseCustomKey(text: string): Uint8Array {
  const digits = text.trim();
  if (hexShape.test(digits)) return Uint8Array.fromHex(digits);
  if (base64Shape.test(digits)) return Uint8Array.fromBase64(digits);
  throw customKeyErrors.malformed({ characters: digits.length });
}

/** Makes the slot that a custom key of 32 bytes opens. @throws custom_key.not_random */
export function prepareCustomKeySlot(archiveId: Uint8Array, key: Uint8Array, random: Random): PreparedSlot {
  assert(key.length === 32, 'a custom key has 32 bytes');
  if (key.every((byte) => byte === key[0])) throw customKeyErrors.not_random();
  const slotId = random(16);
  const slotKey = deriveSlotKey({ archiveId, slotId }, key, label);
  return prepareSlot(archiveId, { slotId, kind: customKeySlotKind }, slotKey);
}

/**
 * The ring key of a slot, by a custom key; undefined when the key is another slot's or the slot of another kind.
 *
 * @throws slot.corrupt when the key is right and the slot is damaged; slot.bad_parameters
 */
export function openCustomKeySlot(slot: Slot, place: SlotPlace, key: Uint8Array): Uint8Array | undefined {
  if (slot.kind !== customKeySlotKind || key.length !== 32) return undefined;
  expectNoParameters(slot);
  return openDerivedSlot(slot, place, { secret: key, label });
}
