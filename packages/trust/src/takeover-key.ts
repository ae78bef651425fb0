/** The key that a recovery code proves itself with to a server, which sees its public half and learns nothing else. */
import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject } from 'node:crypto';
import { assert } from '@holdfast/base';
import { recoverySlotKind, type Slot } from './slots.ts';

/** An Ed25519 key that follows from a recovery code. */
export type TakeoverKey = {
  /** 32 bytes; the code's slot has it, for everybody to see. */
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
};

/**
 * The takeover key of a recovery code (`parseRecoveryCode`): Ed25519 of HKDF(entropy, nothing, "holdfast v1 takeover key").
 *
 * No archive is named in it, so that who has nothing but the code can prove it; a code is made for one archive only. It leads
 * to no slot key: those follow from the same entropy under another label (format document, section 5).
 */
export function takeoverKeyOf(secret: Uint8Array): TakeoverKey {
  assert(secret.length === keyBytes, 'a recovery code has 32 bytes');
  const seed = Buffer.from(hkdfSync('sha256', secret, new Uint8Array(), 'holdfast v1 takeover key', keyBytes));
  const der = Buffer.concat([pkcs8Head, seed]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  for (const bytes of [seed, der]) bytes.fill(0);
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return { publicKey: new Uint8Array(spki.subarray(-keyBytes)), privateKey };
}

/** The parameters of a recovery slot with the code's takeover key: one field, which nobody has to understand. */
export function takeoverParameters({ publicKey }: Pick<TakeoverKey, 'publicKey'>): Uint8Array {
  return new Uint8Array(Buffer.concat([fieldHead, publicKey]));
}

/**
 * The takeover key in a recovery slot; undefined where it has none: one that was made before there were such keys, or
 * parameters that are not laid out as `takeoverParameters` lays them out.
 */
export function takeoverKeyIn({ kind, parameters }: Pick<Slot, 'kind' | 'parameters'>): Uint8Array | undefined {
  if (kind !== recoverySlotKind || parameters?.length !== fieldHead.length + keyBytes) return undefined;
  const isOurs = fieldHead.every((byte, at) => parameters[at] === byte);
  return isOurs ? parameters.slice(fieldHead.length) : undefined;
}

const keyBytes = 32;
/** DER of an Ed25519 private key up to its 32 bytes (RFC 8410). */
const pkcs8Head = Uint8Array.fromHex('302e020100300506032b657004220420');
/** Tag 1, which need not be understood, and a length of 32. */
const fieldHead = Uint8Array.of(2, keyBytes);
