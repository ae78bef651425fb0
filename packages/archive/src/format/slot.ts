import { assert, CodedError } from '@holdfast/base';
import { sealErrors } from '../crypto/errors.ts';
import { hkdfWeb, importHkdfSecret } from '../crypto/derive-web.ts';
import { openHpkeWeb } from '../crypto/hpke-web.ts';
import { archiveErrors } from '../errors.ts';
import { ByteWriter, equalBytes, joinBytes } from './cursor.ts';
import { defineFields, FieldReader } from './fields.ts';
import { type KeyringSlot, slotKinds } from './keyring.ts';

/** Where a slot stands. */
export type SlotPlace = { readonly archiveId: Uint8Array; readonly keyringNumber: number };

const label = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/**
 * The ring key of a slot that a recovery code opens, by WebCrypto alone; undefined when it is another slot's or kind's.
 *
 * `entropy` is the 32 bytes that the 24 words stand for. The commitment is checked first, so a forged slot is no oracle.
 * @throws archive.not_authentic when the code fits and the wrap is damaged; archive.corrupt, archive.unknown_field when the slot has parameters
 */
export async function openRecoverySlot(
  slot: KeyringSlot,
  place: SlotPlace,
  entropy: Uint8Array,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (slot.kind !== slotKinds.recoveryCode) return undefined;
  const isNumber = Number.isSafeInteger(place.keyringNumber) && place.keyringNumber >= 1;
  // A greater one would be written as if it were another keyring's.
  assert(isNumber && place.keyringNumber <= 0xffff_ffff, 'keyrings are numbered from 1 to 2^32 - 1');
  const salt = joinBytes(place.archiveId, slot.slotId);
  expectNoParameters(slot);
  const slotKey = await hkdfWeb(await importHkdfSecret(joinBytes(entropy)), salt, 'holdfast v1 recovery slot');
  if (!equalBytes(await commitmentOf(slotKey, salt), slot.commitment)) {
    slotKey.fill(0);
    return undefined;
  }
  const info = new ByteWriter(64).put(label('holdfast v1 slot')).put(place.archiveId);
  info.u32(place.keyringNumber).put(slot.slotId);
  try {
    return await openHpkeWeb(slotKey, info.written(), joinBytes(slot.wrappedRingKey));
  } catch (error) {
    // What else is thrown, as by a browser without X25519, is not the archive's fault.
    if (!(error instanceof CodedError) || error.code !== sealErrors.not_authentic.code) throw error;
    throw archiveErrors.not_authentic({ keyring: place.keyringNumber }, error);
  } finally {
    slotKey.fill(0);
  }
}

const noFields = defineFields('recovery slot', {});

/** A field that must be understood is of a version that is not known. */
function expectNoParameters({ parameters }: KeyringSlot): void {
  const fields = new FieldReader(parameters ?? new Uint8Array(), noFields);
  while (fields.next());
}

async function commitmentOf(slotKey: Uint8Array<ArrayBuffer>, salt: Uint8Array): Promise<Uint8Array> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', slotKey, algorithm, false, ['sign']);
  const message = joinBytes(label('holdfast v1 slot commitment'), salt);
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, message));
}
