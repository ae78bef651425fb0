import { assert } from '@holdfast/base';

import { archiveErrors, corrupt } from '../errors.ts';

/** The greatest number the format writes: 2^53 - 1. */
export const maxNumber = Number.MAX_SAFE_INTEGER;

/**
 * Reads little-endian values one behind the other; every step is checked against the end of the bytes.
 *
 * What does not fit is `archive.corrupt` with the structure and the offset, whatever the bytes say; nothing is
 * allocated by a length that was not checked first. Byte strings come out as views, not as copies.
 */
export class ByteReader {
  readonly bytes: Uint8Array;
  #offset: number;
  #end: number;
  #what: string;

  /** `what` names the structure in errors. */
  constructor(bytes: Uint8Array, what: string, start: number = 0, end: number = bytes.length) {
    assert(start >= 0 && start <= end && end <= bytes.length, 'a reader lies within its bytes');
    this.bytes = bytes;
    this.#offset = start;
    this.#end = end;
    this.#what = what;
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#end - this.#offset;
  }

  /** Goes on reading at another stretch of the same bytes. */
  moveTo(start: number, end: number): void {
    assert(start >= 0 && start <= end && end <= this.bytes.length, 'a reader lies within its bytes');
    this.#offset = start;
    this.#end = end;
  }

  /** An `archive.corrupt` at the present place. */
  corrupt(fact: string): Error {
    return corrupt(`${this.#what}: ${fact}`, this.#offset);
  }

  u8(): number {
    return this.bytes[this.#take(1)]!;
  }

  u16(): number {
    const at = this.#take(2);
    return this.bytes[at]! | (this.bytes[at + 1]! << 8);
  }

  u32(): number {
    return this.#u32At(this.#take(4));
  }

  u48(): number {
    const at = this.#take(6);
    return this.#u32At(at) + (this.bytes[at + 4]! | (this.bytes[at + 5]! << 8)) * 2 ** 32;
  }

  /** A `u64`, which the format keeps below 2^53. */
  u64(): number {
    const at = this.#take(8);
    const high = this.#u32At(at + 4);
    if (high >= 2 ** 21) throw corrupt(`${this.#what}: a number is not below 2^53`, at);
    return this.#u32At(at) + high * 2 ** 32;
  }

  /** An `i64`, two's complement, whose magnitude the format keeps below 2^53. */
  i64(): number {
    const at = this.#take(8);
    const high = this.#u32At(at + 4) | 0;
    const value = high * 2 ** 32 + this.#u32At(at);
    if (!Number.isSafeInteger(value)) throw corrupt(`${this.#what}: a number is not below 2^53`, at);
    return value;
  }

  /** An unsigned LEB128 in its shortest form, at most `max`. */
  varint(max: number = maxNumber): number {
    const start = this.#offset;
    let value = 0;
    for (let index = 0, scale = 1; ; index += 1, scale *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0 && index > 0) throw corrupt(`${this.#what}: a varint is longer than needed`, start);
        break;
      }
      if (index === 7) throw corrupt(`${this.#what}: a varint has more than 8 bytes`, start);
    }
    if (value > max) throw corrupt(`${this.#what}: a number is above ${max}`, start);
    return value;
  }

  /** The next `length` bytes, as a view. */
  take(length: number): Uint8Array {
    const at = this.#take(length);
    return this.bytes.subarray(at, at + length);
  }

  /** All that is left, as a view. */
  rest(): Uint8Array {
    return this.take(this.remaining);
  }

  /** A varint that says a length, and as many bytes; at most `max`. */
  sized(max: number = maxNumber): Uint8Array {
    return this.take(this.varint(max));
  }

  /** Stops unless everything was read. */
  expectEnd(): void {
    if (this.remaining > 0) throw this.corrupt(`${this.remaining} bytes are left over`);
  }

  #take(length: number): number {
    const at = this.#offset;
    if (length > this.#end - at) throw corrupt(`${this.#what}: ends ${length - (this.#end - at)} bytes early`, at);
    this.#offset = at + length;
    return at;
  }

  #u32At(at: number): number {
    const { bytes } = this;
    return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
  }
}

/** Writes little-endian values into bytes that grow. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(capacity: number = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes it can hold before it grows. */
  get capacity(): number {
    return this.#bytes.length;
  }

  u8(value: number): this {
    const at = this.#grow(1, value, 0xff);
    this.#bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2, value, 0xffff);
    this.#bytes[at] = value;
    this.#bytes[at + 1] = value >>> 8;
    return this;
  }

  u32(value: number): this {
    this.#putU32(this.#grow(4, value, 0xffffffff), value);
    return this;
  }

  u48(value: number): this {
    const at = this.#grow(6, value, 2 ** 48 - 1);
    this.#putU32(at, value % 2 ** 32);
    const high = Math.floor(value / 2 ** 32);
    this.#bytes[at + 4] = high;
    this.#bytes[at + 5] = high >>> 8;
    return this;
  }

  u64(value: number): this {
    const at = this.#grow(8, value, maxNumber);
    this.#putU32(at, value % 2 ** 32);
    this.#putU32(at + 4, Math.floor(value / 2 ** 32));
    return this;
  }

  i64(value: number): this {
    assert(Number.isSafeInteger(value), 'a number is whole and below 2^53');
    const at = this.#grow(8, 0, 0);
    const high = Math.floor(value / 2 ** 32);
    this.#putU32(at, value - high * 2 ** 32);
    this.#putU32(at + 4, high);
    return this;
  }

  varint(value: number): this {
    let rest = value;
    this.#grow(0, value, maxNumber);
    while (rest >= 0x80) {
      this.u8((rest % 128) | 0x80);
      rest = Math.floor(rest / 128);
    }
    return this.u8(rest);
  }

  put(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length, 0, 0);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** The length as a varint, then the bytes. */
  putSized(bytes: Uint8Array): this {
    return this.varint(bytes.length).put(bytes);
  }

  /** What was written, as a view; writing on may leave it behind. */
  written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Starts anew in the same memory: earlier views of `written` change. */
  clear(): void {
    this.#length = 0;
  }

  #grow(count: number, value: number, max: number): number {
    if (!Number.isSafeInteger(value) || value < 0 || value > max) {
      throw archiveErrors.too_large({ fact: 'a number does not fit its field', value, max });
    }
    const at = this.#length;
    this.#length = at + count;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
    }
    return at;
  }

  #putU32(at: number, value: number): void {
    const bytes = this.#bytes;
    bytes[at] = value;
    bytes[at + 1] = value >>> 8;
    bytes[at + 2] = value >>> 16;
    bytes[at + 3] = value >>> 24;
  }
}

/** How many bytes a number takes as a varint. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}

/** Bytes compared one by one: negative, 0 or positive; a prefix comes first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i += 1) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Whether two byte strings are the same. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}

/** Byte strings back to back, in bytes of their own. */
export function joinBytes(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
