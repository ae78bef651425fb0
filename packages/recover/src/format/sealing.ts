import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPublicKey,
  type KeyObject,
  hash,
  hkdfSync,
  verify,
} from 'node:crypto';
import { constants, zstdDecompressSync } from 'node:zlib';
import { corrupt } from '../errors.ts';

/** Longest raw bytes a sealed part may hold. */
export const RAW_LIMIT_BYTES = 4_194_304;

/** SHA-256 of the parts joined. */
export function sha256(...parts: readonly Uint8Array[]): Buffer {
  return hash('sha256', parts.length === 1 ? parts[0]! : Buffer.concat(parts), 'buffer');
}

/** HKDF-SHA-256 (RFC 5869), 32 bytes. */
export function deriveKey(ikm: Buffer, salt: Buffer, label: string): Buffer {
  return Buffer.from(hkdfSync('sha256', ikm, salt, Buffer.from(label, 'ascii'), 32));
}

/** HMAC-SHA-256 of the parts joined. */
export function hmac(key: Buffer, ...parts: readonly Uint8Array[]): Buffer {
  return createHmac('sha256', key).update(Buffer.concat(parts)).digest();
}

function encryptBlock(key: Buffer, block: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}

/** The subkey half of CMAC: doubling in GF(2^128). */
function doubled(block: Buffer): Buffer {
  const out = Buffer.alloc(16);
  for (let index = 0; index < 16; index += 1) {
    out[index] = ((block[index]! << 1) | ((block[index + 1] ?? 0) >> 7)) & 0xff;
  }
  if (block[0]! >= 0x80) out[15]! ^= 0x87;
  return out;
}

/** Key and nonce of the AES-256-GCM inside XAES-256-GCM. Source: C2SP XAES-256-GCM. */
export function xaesParts(key: Buffer, nonce: Buffer): { readonly key: Buffer; readonly nonce: Buffer } {
  const subkey = doubled(encryptBlock(key, Buffer.alloc(16)));
  const blocks = Buffer.alloc(32);
  for (const half of [0, 1]) {
    blocks.set([0, half + 1, 0x58, 0], half * 16);
    nonce.copy(blocks, half * 16 + 4, 0, 12);
    for (let index = 0; index < 16; index += 1) blocks[half * 16 + index]! ^= subkey[index]!;
  }
  return { key: encryptBlock(key, blocks), nonce: nonce.subarray(12, 24) };
}

/** What opens one sealed part. */
export type Seal = { readonly key: Buffer; readonly nonce: Buffer; readonly associated: Buffer };

/** Opens an XAES-256-GCM output (tag behind the ciphertext); undefined when the tag does not hold. */
export function openSealed(seal: Seal, sealed: Buffer): Buffer | undefined {
  if (sealed.length < 16 || seal.key.length !== 32 || seal.nonce.length !== 24) return undefined;
  const inner = xaesParts(seal.key, seal.nonce);
  const decipher = createDecipheriv('aes-256-gcm', inner.key, inner.nonce, { authTagLength: 16 });
  decipher.setAAD(seal.associated);
  decipher.setAuthTag(sealed.subarray(sealed.length - 16));
  const plain = decipher.update(sealed.subarray(0, sealed.length - 16));
  try {
    decipher.final();
  } catch {
    return undefined; // the tag does not hold: a normal answer to a wrong key
  }
  return plain;
}

/** Raw bytes and their SHA-256, as the plaintext of a sealed part holds them. */
export type Raw = { readonly bytes: Buffer; readonly sha256: Buffer };

/**
 * Takes the raw bytes out of the plaintext of a sealed part (§2).
 *
 * Nothing is allocated for a length that is out of bounds, and a compressed payload can grow to the stated length only.
 * @throws structure.corrupt
 */
export function unwrapPlaintext(plain: Buffer): Raw {
  if (plain.length < 41) throw corrupt('plaintext', 'it is shorter than its head');
  const compression = plain.readUInt8(0);
  const rawLength = plain.readUInt32LE(1);
  const payloadLength = plain.readUInt32LE(5);
  if (rawLength > RAW_LIMIT_BYTES) throw corrupt('plaintext', 'its raw length is out of bounds');
  if (payloadLength > rawLength || payloadLength > plain.length - 41)
    throw corrupt('plaintext', 'its payload length is out of bounds');
  const payload = plain.subarray(41, 41 + payloadLength);
  const bytes = expand(compression, payload, rawLength);
  const expected = plain.subarray(9, 41);
  if (bytes.length !== rawLength) throw corrupt('plaintext', 'its raw length does not hold');
  if (!sha256(bytes).equals(expected)) throw corrupt('plaintext', 'its SHA-256 does not hold');
  return { bytes, sha256: expected };
}

function expand(compression: number, payload: Buffer, rawLength: number): Buffer {
  if (compression === 0) return payload;
  if (compression !== 1) throw corrupt('plaintext', `compression ${compression} is not known`);
  try {
    return zstdDecompressSync(payload, {
      maxOutputLength: Math.max(rawLength, 1),
      params: { [constants.ZSTD_d_windowLogMax]: 22 },
    });
  } catch (error) {
    throw Object.assign(corrupt('plaintext', 'its payload does not decompress'), { cause: error });
  }
}

const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/** Says whether a signature over the parts joined holds. */
export type Verifier = (parts: readonly Uint8Array[], signature: Buffer) => boolean;

/** The verifier of a raw Ed25519 public key of 32 bytes (RFC 8032); a key that is none verifies nothing. */
export function verifierOf(publicKey: Buffer): Verifier {
  const key = readPublicKey(publicKey);
  return (parts, signature) =>
    key !== undefined && signature.length === 64 && verify(null, Buffer.concat(parts), key, signature);
}

function readPublicKey(publicKey: Buffer): KeyObject | undefined {
  if (publicKey.length !== 32) return undefined;
  try {
    return createPublicKey({ key: Buffer.concat([spkiPrefix, publicKey]), format: 'der', type: 'spki' });
  } catch {
    return undefined; // no point of the curve
  }
}

/** Whether an Ed25519 signature over the parts joined holds for a raw public key of 32 bytes. */
export function signatureHolds(publicKey: Buffer, parts: readonly Uint8Array[], signature: Buffer): boolean {
  return verifierOf(publicKey)(parts, signature);
}
