/** Opening what was sealed to a public key (HPKE, RFC 9180) by WebCrypto alone, for browsers. */
import { joinBytes } from '../format/cursor.ts';
import { sealErrors } from './errors.ts';

type Bytes = Uint8Array<ArrayBuffer>;

const keyBytes = 32;
const tagBytes = 16;
const ascii = (text: string): Bytes => new TextEncoder().encode(text);
const none = new Uint8Array();

/** Names of kem 0x0020 (DHKEM(X25519, HKDF-SHA256)), and of it with kdf 0x0001 and aead 0x0002 (AES-256-GCM). */
const kemSuite = joinBytes(ascii('KEM'), Uint8Array.of(0, 0x20));
const suite = joinBytes(ascii('HPKE'), Uint8Array.of(0, 0x20, 0, 1, 0, 2));

/** DER of an X25519 key up to its 32 bytes (RFC 8410). */
const pkcs8Head = Uint8Array.fromHex('302e020100300506032b656e04220420');
/** The u coordinate of the base point: what a private key gives with it is its public key (RFC 7748, 6.1). */
const basePoint = Uint8Array.of(9, ...new Uint8Array(31));

/**
 * Opens the encapsulated key (32 bytes) and ciphertext that were sealed to the public half of a private key of 32 bytes.
 *
 * Base mode, single shot, no associated data.
 * @throws seal.not_authentic when key, `info` or sealed bytes are others
 */
export async function openHpkeWeb(privateKey: Bytes, info: Bytes, sealed: Bytes): Promise<Bytes> {
  if (sealed.length < keyBytes + tagBytes) throw sealErrors.not_authentic({ sealedBytes: sealed.length });
  const encapsulated = sealed.subarray(0, keyBytes);
  try {
    const own = await exchange(privateKey, basePoint);
    const shared = await exchange(privateKey, encapsulated);
    const { key, nonce } = await schedule(shared, joinBytes(encapsulated, own), info);
    const opener = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt']);
    for (const bytes of [shared, key]) bytes.fill(0);
    const parameters = { name: 'AES-GCM', iv: nonce, tagLength: 8 * tagBytes };
    return new Uint8Array(await crypto.subtle.decrypt(parameters, opener, sealed.subarray(keyBytes)));
  } catch (cause) {
    // A wrong tag, or a point of small order. Anything else, such as a browser without X25519, is not the archive's fault.
    if (!(cause instanceof DOMException) || cause.name !== 'OperationError') throw cause;
    throw sealErrors.not_authentic({ sealedBytes: sealed.length }, cause);
  }
}

async function exchange(privateKey: Bytes, other: Bytes): Promise<Bytes> {
  const der = joinBytes(pkcs8Head, privateKey);
  const own = await crypto.subtle.importKey('pkcs8', der, { name: 'X25519' }, false, ['deriveBits']);
  der.fill(0);
  const point = await crypto.subtle.importKey('raw', other, { name: 'X25519' }, false, []);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: 'X25519', public: point }, own, 8 * keyBytes));
}

/** RFC 9180, 4.1 ExtractAndExpand and 5.1 KeySchedule of base mode. @param keys encapsulated key, then the recipient's */
async function schedule(
  shared: Bytes,
  keys: Bytes,
  info: Bytes,
): Promise<{ readonly key: Bytes; readonly nonce: Bytes }> {
  const eae = await extract(kemSuite, none, { label: 'eae_prk', keyMaterial: shared });
  const secret = await expand(kemSuite, eae, { label: 'shared_secret', info: keys, lengthBytes: 32 });
  const idHash = await extract(suite, none, { label: 'psk_id_hash', keyMaterial: none });
  const infoHash = await extract(suite, none, { label: 'info_hash', keyMaterial: info });
  const context = joinBytes(Uint8Array.of(0), idHash, infoHash);
  const scheduled = await extract(suite, secret, { label: 'secret', keyMaterial: none });
  const key = await expand(suite, scheduled, { label: 'key', info: context, lengthBytes: 32 });
  const nonce = await expand(suite, scheduled, { label: 'base_nonce', info: context, lengthBytes: 12 });
  for (const bytes of [eae, secret, scheduled]) bytes.fill(0);
  return { key, nonce };
}

function extract(
  suiteId: Bytes,
  salt: Bytes,
  { label, keyMaterial }: { readonly label: string; readonly keyMaterial: Bytes },
): Promise<Bytes> {
  return hmac(salt, joinBytes(ascii('HPKE-v1'), suiteId, ascii(label), keyMaterial));
}

/** One block of HKDF-Expand, since nothing here is longer than a hash. */
async function expand(
  suiteId: Bytes,
  pseudorandom: Bytes,
  { label, info, lengthBytes }: { readonly label: string; readonly info: Bytes; readonly lengthBytes: number },
): Promise<Bytes> {
  const labelled = joinBytes(Uint8Array.of(0, lengthBytes), ascii('HPKE-v1'), suiteId, ascii(label), info);
  const block = await hmac(pseudorandom, joinBytes(labelled, Uint8Array.of(1)));
  return block.subarray(0, lengthBytes);
}

/** WebCrypto takes no empty key; zeros up to a block are the same one (RFC 2104). */
async function hmac(key: Bytes, message: Bytes): Promise<Bytes> {
  const raw = key.length === 0 ? new Uint8Array(keyBytes) : key;
  const own = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', own, message));
}
