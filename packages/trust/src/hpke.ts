import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
} from 'node:crypto';
import { assert, defineErrors, type Random } from '@holdfast/base';

/** Failures of sealing to a public key. That something does not open is not one of them: it is an answer. */
export const hpkeErrors = defineErrors('hpke', {
  bad_public_key: ['invalid', 'The public key is not a usable X25519 key'],
});

/** Bytes of a public or private key, and how many more a sealed text has than its plaintext: a key and a tag. */
export const hpkeBytes = { key: 32, overhead: 48 } as const;

/** A private key with its public half. */
export type HpkeKey = {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
};

/** What a sealed text is bound to: another purpose or other associated data do not open it. */
export type HpkeContext = {
  readonly info: Uint8Array;
  /** Nothing where it is left out. */
  readonly associatedData?: Uint8Array;
};

/** Takes a private key of 32 bytes into the crypto library. The caller's bytes are its own to overwrite. */
export function importHpkeKey(privateKey: Uint8Array): HpkeKey {
  assert(privateKey.length === hpkeBytes.key, 'an X25519 key has 32 bytes');
  const der = Buffer.concat([pkcs8Head, privateKey]);
  const own = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  const spki = createPublicKey(own).export({ format: 'der', type: 'spki' });
  return { publicKey: new Uint8Array(spki.subarray(-hpkeBytes.key)), privateKey: own };
}

/** Names a public key: the first 8 bytes of its SHA-256. */
export function hpkeKeyId(publicKey: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(publicKey).digest().subarray(0, 8));
}

/**
 * Seals to a public key of 32 bytes: the encapsulated key (32) and the ciphertext with its tag (16).
 *
 * DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. The ephemeral key is derived from 32 random bytes.
 * Source: RFC 9180, base mode, single shot.
 * @throws hpke.bad_public_key
 */
export function sealHpke(
  publicKey: Uint8Array,
  context: HpkeContext,
  plaintext: Uint8Array,
  random: Random,
): Uint8Array {
  if (!isHpkePublicKey(publicKey)) throw hpkeErrors.bad_public_key();
  const chance = random(hpkeBytes.key);
  assert(chance.length === hpkeBytes.key, 'an ephemeral key is derived from 32 bytes');
  const ephemeral = deriveKeyPair(chance);
  const shared = exchange(ephemeral, publicKey);
  if (shared === undefined) throw hpkeErrors.bad_public_key();
  const { key, nonce } = schedule(shared, [ephemeral.publicKey, publicKey], context.info);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  if (context.associatedData) cipher.setAAD(context.associatedData);
  const ciphertext = [cipher.update(plaintext), cipher.final(), cipher.getAuthTag()];
  key.fill(0);
  return new Uint8Array(Buffer.concat([ephemeral.publicKey, ...ciphertext]));
}

/**
 * Opens what `sealHpke` made; undefined when key, purpose, associated data or sealed text is another.
 *
 * The bytes that come back are in no other array, so the caller can overwrite them.
 */
export function openHpke(own: HpkeKey, context: HpkeContext, sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < hpkeBytes.overhead) return undefined;
  const encapsulated = sealed.subarray(0, hpkeBytes.key);
  const shared = exchange(own, encapsulated);
  if (shared === undefined) return undefined;
  const { key, nonce } = schedule(shared, [encapsulated, own.publicKey], context.info);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  key.fill(0);
  if (context.associatedData) decipher.setAAD(context.associatedData);
  decipher.setAuthTag(sealed.subarray(-tagBytes));
  const plaintext = decipher.update(sealed.subarray(hpkeBytes.key, -tagBytes));
  try {
    decipher.final();
    return outsideHeap(plaintext);
  } catch {
    return undefined;
  } finally {
    plaintext.fill(0);
    overwriteFreed(plaintext.length);
  }
}

/**
 * Whether 32 bytes are a public key as X25519 writes them: below 2^255 - 19. Another spelling of the same point gives the
 * same shared secret, but its holder, who knows the one spelling alone, could not open what was sealed to it.
 */
function isHpkePublicKey(publicKey: Uint8Array): boolean {
  if (publicKey.length !== hpkeBytes.key || publicKey[31]! > 0x7f) return false;
  return publicKey[31]! < 0x7f || publicKey[0]! < 0xed || publicKey.subarray(1, 31).some((byte) => byte !== 0xff);
}

const tagBytes = hpkeBytes.overhead - hpkeBytes.key;
/** DER of an X25519 key up to its 32 bytes (RFC 8410). */
const pkcs8Head = Uint8Array.fromHex('302e020100300506032b656e04220420');
const spkiHead = Uint8Array.fromHex('302a300506032b656e032100');

/** Names of kem 0x0020, and of it with kdf 0x0001 and aead 0x0002 (RFC 9180, 4.1 and 5.1). */
const kemSuite = Buffer.from('KEM\x00\x20', 'latin1');
const suite = Buffer.from('HPKE\x00\x20\x00\x01\x00\x02', 'latin1');
const none = new Uint8Array();

/** RFC 9180, 7.1.3: DeriveKeyPair. What it is derived from is overwritten. */
function deriveKeyPair(chance: Uint8Array): HpkeKey {
  const pseudorandom = extract(kemSuite, none, 'dkp_prk', chance);
  const derived = expand(kemSuite, pseudorandom, { label: 'sk', lengthBytes: 32 });
  const pair = importHpkeKey(derived);
  for (const bytes of [chance, pseudorandom, derived]) bytes.fill(0);
  return pair;
}

/** The Diffie-Hellman result; undefined for a point of small order, whose result is zero (RFC 7748, 6.1). */
function exchange({ privateKey }: HpkeKey, other: Uint8Array): Buffer | undefined {
  const publicKey = createPublicKey({ key: Buffer.concat([spkiHead, other]), format: 'der', type: 'spki' });
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch {
    return undefined;
  }
}

/** RFC 9180, 4.1 ExtractAndExpand and 5.1 KeySchedule for base mode. @param keys encapsulated and recipient's */
function schedule(
  shared: Buffer,
  keys: readonly [Uint8Array, Uint8Array],
  info: Uint8Array,
): { readonly key: Buffer; readonly nonce: Buffer } {
  const eae = extract(kemSuite, none, 'eae_prk', shared);
  const secret = expand(kemSuite, eae, { label: 'shared_secret', info: Buffer.concat(keys), lengthBytes: 32 });
  const hashes = [extract(suite, none, 'psk_id_hash', none), extract(suite, none, 'info_hash', info)];
  const context = Buffer.concat([new Uint8Array([0]), ...hashes]);
  const scheduled = extract(suite, secret, 'secret', none);
  const key = expand(suite, scheduled, { label: 'key', info: context, lengthBytes: 32 });
  const nonce = expand(suite, scheduled, { label: 'base_nonce', info: context, lengthBytes: 12 });
  for (const bytes of [shared, eae, secret, scheduled]) bytes.fill(0);
  return { key, nonce };
}

/**
 * A copy that can be overwritten for good. Short arrays lie in the heap of V8 at first, which copies them when it moves them or
 * hands them to native code, and leaves the bytes where they were.
 */
function outsideHeap(bytes: Uint8Array): Uint8Array {
  const own = new Uint8Array(new ArrayBuffer(bytes.length));
  own.set(bytes);
  return own;
}

/**
 * Overwrites what Node has left of a text that it decrypted: it decrypts into a longer piece of memory, copies from there and
 * frees it as it is. The next piece of that length is the same one.
 */
function overwriteFreed(lengthBytes: number): void {
  const zeros = new Uint8Array(lengthBytes);
  for (let turn = 0; turn < 2; turn += 1) createCipheriv('aes-256-gcm', zeroKey, zeroNonce).update(zeros);
}

const zeroKey = new Uint8Array(32);
const zeroNonce = new Uint8Array(12);

function extract(suiteId: Uint8Array, salt: Uint8Array, label: string, keyMaterial: Uint8Array): Buffer {
  return createHmac('sha256', salt).update('HPKE-v1').update(suiteId).update(label).update(keyMaterial).digest();
}

/** One block of HKDF-Expand, since nothing here is longer than a hash. */
function expand(
  suiteId: Uint8Array,
  pseudorandom: Uint8Array,
  { label, info = none, lengthBytes }: { label: string; info?: Uint8Array; lengthBytes: number },
): Buffer {
  const mac = createHmac('sha256', pseudorandom)
    .update(new Uint8Array([0, lengthBytes]))
    .update('HPKE-v1');
  mac.update(suiteId).update(label).update(info);
  return mac
    .update(new Uint8Array([1]))
    .digest()
    .subarray(0, lengthBytes);
}
