import { corrupt } from '../errors.ts';
import { field, readFields } from './fields.ts';
import { openHpke } from './hpke.ts';
import type { Keyring, Slot } from './keyring.ts';
import { associatedData, nonceOf } from './record.ts';
import { hmac, openSealed, unwrapPlaintext } from './sealing.ts';

/** Key epochs by number: the key of 32 bytes, or the data key and the metadata key that follow from it, 64 bytes. */
export type Epochs = ReadonlyMap<number, Buffer>;

/** One epoch of a ring; the key of a suite this reader does not know opens nothing. */
export type Epoch = { readonly number: number; readonly suite: number; readonly key: Buffer };

/** The epochs of a ring, by rising number. */
export type Ring = readonly Epoch[];

/** The suite that is all of this format. */
export const KNOWN_SUITE = 1;

const LAST_EPOCH = 0xffff;

/** The ring key of a keyring, through a slot and its slot key; undefined when the slot is not this key's. */
export function openSlot(
  keyring: Keyring,
  slot: Slot,
  keys: { readonly slotKey: Buffer; readonly archiveId: Buffer },
): Buffer | undefined {
  const label = Buffer.from('holdfast v1 slot commitment', 'ascii');
  // The commitment first: a forged slot must not become an oracle for the slot key.
  if (!hmac(keys.slotKey, label, keys.archiveId, slot.slotId).equals(slot.commitment)) return undefined;
  const number = Buffer.alloc(4);
  number.writeUInt32LE(keyring.number);
  const info = Buffer.concat([Buffer.from('holdfast v1 slot', 'ascii'), keys.archiveId, number, slot.slotId]);
  return openHpke(keys.slotKey, info, slot.wrapped);
}

/**
 * The ring of a keyring, under its ring key; undefined when the key is another one.
 *
 * @throws structure.corrupt, also where the newest epoch is not the one in the record's header.
 */
export function openRing({ frame }: Keyring, ringKey: Buffer, archiveId: Buffer): Ring | undefined {
  if (ringKey.length !== 32) return undefined;
  const seal = { key: ringKey, nonce: nonceOf(frame), associated: associatedData(archiveId, frame) };
  const plain = openSealed(seal, frame.sealed);
  if (plain === undefined) return undefined;
  const ring = readRing(unwrapPlaintext(plain).bytes);
  if (ring.at(-1)?.number !== frame.epoch) throw corrupt('ring', "its newest epoch is not that of the record's header");
  return ring;
}

/**
 * Reads the epochs out of the raw bytes of a ring.
 *
 * @throws structure.corrupt
 */
export function readRing(raw: Buffer): Ring {
  const fields = readFields(raw, 'ring', { 1: field('epoch', '!*+'), 2: field('public key of a slot', '!*') });
  const ring = fields.all(1).map(readEpoch);
  if (!ring.every((epoch, index) => index === 0 || epoch.number > ring[index - 1]!.number))
    throw corrupt('ring', 'its epochs do not rise');
  for (const bytes of fields.all(2)) checkPublicKey(bytes);
  return ring;
}

function readEpoch(bytes: Buffer): Epoch {
  const fields = readFields(bytes, 'epoch', {
    1: field('number', '!+'),
    2: field('suite', '!+'),
    3: field('key', '!+'),
    4: field('made at'),
  });
  const number = fields.count(1);
  if (number > LAST_EPOCH) throw corrupt('epoch', 'its number is out of bounds');
  fields.instant(4);
  return { number, suite: fields.count(2), key: fields.fixed(3, 32) };
}

/** Only who writes the next keyring needs them; here they only have to be well formed. */
function checkPublicKey(bytes: Buffer): void {
  const fields = readFields(bytes, 'public key of a slot', { 1: field('slot id', '!+'), 2: field('P', '!+') });
  fields.fixed(1, 16);
  fields.fixed(2, 32);
}
