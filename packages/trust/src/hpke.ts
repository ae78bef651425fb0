import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { assert, defineErrors, type Random } from '@holdfast/base';
import {
  Aes256Gcm,
  CipherSuite,
  DecapError,
  DeserializeError,
  DhkemX25519HkdfSha256,
  EncapError,
  HkdfSha256,
  OpenError,
} from '@hpke/core';

/** Failures of sealing to a public key. That something does not open is not one of them: it is an answer. */
export const hpkeErrors = defineErrors('hpke', {
  bad_public_key: ['invalid', 'The public key is not a usable X25519 key'],
});

/** Bytes of a public or private key, and how many more a sealed text has than its plaintext: a key and a tag. */
export const hpkeBytes = { key: 32, overhead: 48 } as const;

/** A private key with its public half; the private one cannot be taken out again. */
export type HpkeKey = {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly pair: { readonly privateKey: CryptoKey; readonly publicKey: CryptoKey };
};

/** What a sealed text is bound to: another purpose or other associated data do not open it. */
export type HpkeContext = {
  readonly info: Uint8Array;
  /** Nothing where it is left out. */
  readonly associatedData?: Uint8Array;
};

/** DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM: kem 0x0020, kdf 0x0001, aead 0x0002. */
const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

const algorithm = { name: 'X25519' };
/** DER of a PKCS #8 key of X25519 up to its 32 bytes (RFC 8410). */
const pkcs8Head = Uint8Array.fromHex('302e020100300506032b656e04220420');

/** Takes a private key of 32 bytes into the crypto library. The caller's bytes are its own to overwrite. */
export function importHpkeKey(privateKey: Uint8Array): HpkeKey {
  assert(privateKey.length === hpkeBytes.key, 'an X25519 key has 32 bytes');
  const der = Buffer.concat([pkcs8Head, privateKey]);
  const own = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  const open = createPublicKey(own);
  const publicKey = new Uint8Array(open.export({ format: 'der', type: 'spki' }).subarray(-hpkeBytes.key));
  // The library reads the private key out only where it is not given the public one beside it.
  const pair = {
    privateKey: own.toCryptoKey(algorithm, false, ['deriveBits']),
    publicKey: open.toCryptoKey(algorithm, true, []),
  };
  return { publicKey, pair };
}

/** Names a public key: the first 8 bytes of its SHA-256. */
export function hpkeKeyId(publicKey: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(publicKey).digest().subarray(0, 8));
}

/**
 * Seals to a public key of 32 bytes: the encapsulated key (32) and the ciphertext with its tag (16).
 *
 * The ephemeral key is derived from 32 random bytes.
 * Source: RFC 9180, base mode, single shot.
 * @throws hpke.bad_public_key
 */
export async function sealHpke(
  publicKey: Uint8Array,
  context: HpkeContext,
  plaintext: Uint8Array,
  random: Random,
): Promise<Uint8Array> {
  const own = plaintext.slice();
  const chance = random(hpkeBytes.key).slice();
  try {
    const recipientPublicKey = await suite.kem.deserializePublicKey(publicKey);
    const parameters = { recipientPublicKey, info: context.info, ekm: chance.buffer };
    const { enc, ct } = await suite.seal(parameters, own.buffer, context.associatedData ?? new Uint8Array());
    return new Uint8Array(Buffer.concat([new Uint8Array(enc), new Uint8Array(ct)]));
  } catch (cause) {
    const isOfKey = cause instanceof DeserializeError || cause instanceof EncapError;
    throw isOfKey ? hpkeErrors.bad_public_key({}, cause) : cause;
  } finally {
    own.fill(0);
    chance.fill(0);
  }
}

/**
 * Opens what `sealHpke` made; undefined when key, purpose, associated data or sealed text is another.
 *
 * The bytes that come back are in no other array, so the caller can overwrite them.
 */
export async function openHpke(
  key: HpkeKey,
  context: HpkeContext,
  sealed: Uint8Array,
): Promise<Uint8Array | undefined> {
  if (sealed.length < hpkeBytes.overhead) return undefined;
  const enc = sealed.subarray(0, hpkeBytes.key);
  const parameters = { recipientKey: key.pair, enc, info: context.info };
  const ciphertext = sealed.subarray(hpkeBytes.key);
  try {
    return new Uint8Array(await suite.open(parameters, ciphertext, context.associatedData ?? new Uint8Array()));
  } catch (error) {
    // An encapsulated key that is none, or a wrong tag: both came with the sealed text.
    if (error instanceof DeserializeError || error instanceof DecapError || error instanceof OpenError)
      return undefined;
    throw error;
  }
}
