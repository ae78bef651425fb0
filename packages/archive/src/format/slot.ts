import { hkdfWeb, importHkdfSecret } from '../crypto/derive-web.ts';
import { importXaesKey } from '../crypto/xaes-web.ts';
import { archiveErrors } from '../errors.ts';
import { ByteWriter, equalBytes, joinBytes } from './cursor.ts';
import { type KeyringSlot, slotKinds } from './keyring.ts';

/** Where a slot stands. */
export type SlotPlace = { readonly archiveId: Uint8Array; readonly keyringNumber: number };

const label = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/**
 * The ring key of a slot that a recovery code opens, by WebCrypto alone; undefined when it is another slot's or kind's.
 *
 * `entropy` is the 32 bytes that the 24 words stand for. The commitment is checked first, so a forged slot is no oracle.
 * @throws archive.not_authentic when the code fits and the wrap is damaged.
 */
export async function openRecoverySlot(
  slot: KeyringSlot,
  place: SlotPlace,
  entropy: Uint8Array,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (slot.kind !== slotKinds.recoveryCode) return undefined;
  const salt = joinBytes(place.archiveId, slot.slotId);
  const wrappingKey = await hkdfWeb(await importHkdfSecret(joinBytes(entropy)), salt, 'holdfast v1 recovery slot');
  if (!equalBytes(await commitmentOf(wrappingKey, salt), slot.commitment)) return undefined;
  const associated = new ByteWriter(64).put(label('holdfast v1 slot')).put(place.archiveId);
  associated.u32(place.keyringNumber).put(slot.slotId);
  const wrapped = joinBytes(slot.wrappedRingKey);
  try {
    const opener = await importXaesKey(wrappingKey);
    return await opener.open(wrapped.subarray(0, 24), wrapped.subarray(24), associated.written());
  } catch (error) {
    throw archiveErrors.not_authentic({ keyring: place.keyringNumber }, error);
  }
}

async function commitmentOf(wrappingKey: Uint8Array<ArrayBuffer>, salt: Uint8Array): Promise<Uint8Array> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', wrappingKey, algorithm, false, ['sign']);
  const message = joinBytes(label('holdfast v1 slot commitment'), salt);
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, message));
}
