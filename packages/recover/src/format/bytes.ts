import { corrupt } from '../errors.ts';

/** An instant: whole seconds since 1970 (may be negative) and nanoseconds from 0 to 999,999,999. */
export type Instant = { readonly seconds: number; readonly nanoseconds: number };

/** An ordinal as a number: writer × 2^32 + sequence, below 2^48. */
export type Ordinal = number;

/** The ordinal that marks a hole and is never a record. */
export const HOLE: Ordinal = 2 ** 48 - 1;

/** Writer number of an ordinal. */
export const writerOf = (ordinal: Ordinal): number => Math.floor(ordinal / 2 ** 32);

/** Sequence of an ordinal. */
export const sequenceOf = (ordinal: Ordinal): number => ordinal % 2 ** 32;

/** An ordinal as people read it: `writer:sequence`. */
export const nameOrdinal = (ordinal: Ordinal): string => `${writerOf(ordinal)}:${sequenceOf(ordinal)}`;

/**
 * Reads a structure from its first byte to its last; every read is checked against the end.
 *
 * @throws structure.corrupt when bytes are missing, a varint is not in its shortest form or a number is 2^53 or more.
 */
export class Cursor {
  readonly bytes: Buffer;
  readonly structure: string;
  at: number;

  constructor(bytes: Buffer, structure: string, at = 0) {
    this.bytes = bytes;
    this.structure = structure;
    this.at = at;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  take(length: number): Buffer {
    if (length > this.left) throw corrupt(this.structure, 'it ends too early');
    const part = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return part;
  }

  rest(): Buffer {
    return this.take(this.left);
  }

  u8(): number {
    return this.take(1).readUInt8(0);
  }

  u16(): number {
    return this.take(2).readUInt16LE(0);
  }

  u32(): number {
    return this.take(4).readUInt32LE(0);
  }

  u48(): number {
    return this.take(6).readUIntLE(0, 6);
  }

  u64(): number {
    const value = this.take(8).readBigUInt64LE(0);
    if (value > Number.MAX_SAFE_INTEGER) throw corrupt(this.structure, 'a number is 2^53 or more');
    return Number(value);
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 1; count <= 8; count += 1) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return this.#shortest(value, byte, count);
    }
    throw corrupt(this.structure, 'a varint is too long');
  }

  #shortest(value: number, lastByte: number, count: number): number {
    if (lastByte === 0 && count > 1) throw corrupt(this.structure, 'a varint is not in its shortest form');
    if (value > Number.MAX_SAFE_INTEGER) throw corrupt(this.structure, 'a number is 2^53 or more');
    return value;
  }

  instant(): Instant {
    const seconds = this.take(8).readBigInt64LE(0);
    const nanoseconds = this.u32();
    if (nanoseconds >= 1e9) throw corrupt(this.structure, 'a time has a second or more of nanoseconds');
    const safe = BigInt.asIntN(54, seconds) === seconds;
    if (!safe) throw corrupt(this.structure, 'a time is out of range');
    return { seconds: Number(seconds), nanoseconds };
  }

  end(): void {
    if (this.left > 0) throw corrupt(this.structure, 'bytes are left over');
  }
}

/** Reads a whole value with one read function and refuses bytes left over. */
export function readWhole<T>(bytes: Buffer, structure: string, read: (cursor: Cursor) => T): T {
  const cursor = new Cursor(bytes, structure);
  const value = read(cursor);
  cursor.end();
  return value;
}

/** Negative, zero or positive as the first instant is before, at or after the second. */
export function compareInstants(a: Instant, b: Instant): number {
  return a.seconds - b.seconds || a.nanoseconds - b.nanoseconds;
}

/** RFC 3339 in UTC with the nanoseconds that are there; `seconds.nanoseconds` where the year is out of range. */
export function formatInstant(at: Instant): string {
  const fraction = at.nanoseconds === 0 ? '' : `.${String(at.nanoseconds).padStart(9, '0').replace(/0+$/, '')}`;
  const date = new Date(at.seconds * 1000);
  if (Number.isNaN(date.getTime())) return `@${at.seconds}${fraction}`;
  return `${date.toISOString().slice(0, -5)}${fraction}Z`;
}
