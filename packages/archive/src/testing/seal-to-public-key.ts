import {
  createCipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
} from 'node:crypto';

import { joinBytes } from '../format/cursor.ts';

const ascii = (text: string) => new TextEncoder().encode(text);
const u16be = (value: number) => Uint8Array.of(value >> 8, value & 0xff);

/** kem 0x0020, and with kdf 0x0001 and aead 0x0002. */
const kemSuite = joinBytes(ascii('KEM'), u16be(0x20));
const suite = joinBytes(ascii('HPKE'), u16be(0x20), u16be(1), u16be(2));

/** The public key (32 bytes) of a private key of X25519. */
export function publicHalf(privateKey: Uint8Array): Uint8Array {
  return rawOf(createPublicKey(takePrivate(privateKey)));
}

/**
 * Seals to a public key as golden archives have it: encapsulated key (32) and ciphertext with its tag.
 *
 * Written from RFC 9180 (4.1, 5.1, 5.2, 7.1.3: base mode, first message, no associated data) over primitives alone, so
 * that what the product seals with is not checked against itself. `chance` is 32 bytes.
 */
export function sealToPublicKey(
  publicKey: Uint8Array,
  info: Uint8Array,
  plaintext: Uint8Array,
  chance: Uint8Array,
): Uint8Array {
  const ephemeral = expand(extract(kemSuite, new Uint8Array(), 'dkp_prk', chance), kemSuite, {
    label: 'sk',
    length: 32,
  });
  const enc = publicHalf(ephemeral);
  const shared = diffieHellman({ privateKey: takePrivate(ephemeral), publicKey: takePublic(publicKey) });
  const pseudorandom = extract(kemSuite, new Uint8Array(), 'eae_prk', shared);
  const context = joinBytes(enc, publicKey);
  const secret = expand(pseudorandom, kemSuite, { label: 'shared_secret', info: context, length: 32 });
  const none = new Uint8Array();
  const hashes = [extract(suite, none, 'psk_id_hash', none), extract(suite, none, 'info_hash', info)];
  const schedule = joinBytes(Uint8Array.of(0), ...hashes);
  const scheduled = extract(suite, secret, 'secret', none);
  const key = expand(scheduled, suite, { label: 'key', info: schedule, length: 32 });
  const nonce = expand(scheduled, suite, { label: 'base_nonce', info: schedule, length: 12 });
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  return joinBytes(enc, cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
}

function extract(suiteId: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array): Uint8Array {
  return createHmac('sha256', salt).update('HPKE-v1').update(suiteId).update(label).update(ikm).digest();
}

function expand(
  pseudorandom: Uint8Array,
  suiteId: Uint8Array,
  { label, info = new Uint8Array(), length }: { label: string; info?: Uint8Array; length: number },
): Uint8Array {
  const mac = createHmac('sha256', pseudorandom).update(u16be(length)).update('HPKE-v1').update(suiteId).update(label);
  // One block of HKDF's, since nothing here is longer than a hash.
  return mac.update(info).update(Uint8Array.of(1)).digest().subarray(0, length);
}

const pkcs8Head = Buffer.from('302e020100300506032b656e04220420', 'hex');
const spkiHead = Buffer.from('302a300506032b656e032100', 'hex');

function takePrivate(raw: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([pkcs8Head, raw]), format: 'der', type: 'pkcs8' });
}

function takePublic(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([spkiHead, raw]), format: 'der', type: 'spki' });
}

function rawOf(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: 'der', type: 'spki' }).subarray(-32));
}
