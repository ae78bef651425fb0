import { createCipheriv, createHmac } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { sha256, xaesParts } from '../format/sealing.ts';

/** Unsigned LEB128 in its shortest form. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = BigInt(value);
  do {
    bytes.push(Number(left & 0x7fn) | (left > 0x7fn ? 0x80 : 0));
    left >>= 7n;
  } while (left > 0n);
  return Buffer.from(bytes);
}

export const u16 = (value: number): Buffer => Buffer.of(value & 255, value >> 8);

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

export function u64be(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export const ordinalBytes = (ordinal: number): Buffer => {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntLE(ordinal, 0, 6);
  return bytes;
};

export function instant(seconds: number, nanoseconds = 0): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeBigInt64LE(BigInt(seconds));
  bytes.writeUInt32LE(nanoseconds, 8);
  return bytes;
}

/** `f('14!', value)`: a field; a number becomes a varint. */
export function f(tag: string, value: Buffer | number): Buffer {
  const bytes = typeof value === 'number' ? varint(value) : value;
  return Buffer.concat([
    varint(2 * Number.parseInt(tag, 10) + (tag.endsWith('!') ? 1 : 0)),
    varint(bytes.length),
    bytes,
  ]);
}

export type WrittenExtent = {
  readonly ordinal: number;
  readonly offset: number;
  readonly length: number;
  readonly sha256: Buffer;
};

export const hole = (length: number): WrittenExtent => ({
  ordinal: 2 ** 48 - 1,
  offset: 0,
  length,
  sha256: Buffer.alloc(32),
});

export const extentBytes = (extent: WrittenExtent): Buffer =>
  Buffer.concat([ordinalBytes(extent.ordinal), u32(extent.offset), u32(extent.length), extent.sha256]);

export const referenceBytes = (reference: { readonly ordinal: number; readonly sha256: Buffer }): Buffer =>
  Buffer.concat([ordinalBytes(reference.ordinal), reference.sha256]);

/** Content hash over pieces, as §7 says. */
export function contentHash(pieces: readonly WrittenExtent[]): Buffer {
  if (pieces.length === 0) return sha256(Buffer.alloc(0));
  if (pieces.length === 1 && pieces[0]!.ordinal !== 2 ** 48 - 1) return pieces[0]!.sha256;
  return sha256(...pieces.map((piece) => Buffer.concat([u64(piece.length), piece.sha256])));
}

/** Entries with shared key beginnings. */
export function entriesBytes(entries: readonly { readonly key: Buffer; readonly value: Buffer }[]): Buffer {
  let before: Buffer = Buffer.alloc(0);
  const parts: Buffer[] = [];
  for (const { key, value } of entries) {
    let shared = 0;
    while (shared < before.length && shared < key.length && before[shared] === key[shared]) shared += 1;
    parts.push(varint(shared), varint(key.length - shared), key.subarray(shared), varint(value.length), value);
    before = key;
  }
  return Buffer.concat(parts);
}

export function rowKey(directory: number, name: string | Buffer, commit: number): Buffer {
  return Buffer.concat([Buffer.of(1), u64be(directory), Buffer.from(name as string), Buffer.alloc(1), u64be(commit)]);
}

export function xaesSeal(
  key: Buffer,
  nonce: Buffer,
  data: { readonly plain: Buffer; readonly associated: Buffer },
): Buffer {
  const inner = xaesParts(key, nonce);
  const cipher = createCipheriv('aes-256-gcm', inner.key, inner.nonce, { authTagLength: 16 });
  cipher.setAAD(data.associated);
  return Buffer.concat([cipher.update(data.plain), cipher.final(), cipher.getAuthTag()]);
}

/** The plaintext of a sealed part: head, payload, padding to Padme. */
export function plaintext(raw: Buffer, options: { readonly floor: number; readonly compress: boolean }): Buffer {
  const payload = options.compress ? zstdCompressSync(raw) : raw;
  const shorter = payload.length < raw.length;
  const used = shorter ? payload : raw;
  const head = Buffer.concat([Buffer.of(shorter ? 1 : 0), u32(raw.length), u32(used.length), sha256(raw)]);
  const length = Math.max(head.length + used.length, options.floor);
  const e = Math.floor(Math.log2(length));
  const s = Math.floor(Math.log2(e)) + 1;
  const step = 2 ** (e - s);
  return Buffer.concat([head, used, Buffer.alloc(Math.ceil(length / step) * step - head.length - used.length)]);
}

export const hmacOf = (key: Buffer, ...parts: readonly Buffer[]): Buffer =>
  createHmac('sha256', key).update(Buffer.concat(parts)).digest();
