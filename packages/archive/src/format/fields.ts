import { assert } from '@holdfast/base';

import { archiveErrors, corrupt } from '../errors.ts';
import { ByteReader, ByteWriter, varintBytes } from './cursor.ts';
import { readTime, type Time, timeBytes, writeTime } from './time.ts';

/** A field this version does not know and need not understand: kept as it is when the structure is written again. */
export type UnknownField = { readonly tag: number; readonly value: Uint8Array };

/** Fields of structures that carry unknown ones along. */
export type WithUnknown = { readonly unknown?: readonly UnknownField[] };

/** How a known tag is marked: `must` = a reader refuses it unless known (`c = 1`), `may` = it passes over it. */
export type FieldMark = 'must' | 'may' | 'must repeated' | 'may repeated';

/** The tags a structure knows. */
export type FieldShape = {
  /** Name of the structure, for errors. */
  readonly what: string;
  readonly marks: ReadonlyMap<number, FieldMark>;
};

/** Declares the fields of a structure: `defineFields('row', { 1: 'must', 2: 'may' })`. */
export function defineFields(what: string, marks: Readonly<Record<number, FieldMark>>): FieldShape {
  return { what, marks: new Map(Object.entries(marks).map(([tag, mark]) => [Number(tag), mark])) };
}

/**
 * Walks tagged fields: `while (fields.next()) switch (fields.tag) …`, reading each from `fields.value`, wholly.
 *
 * Unknown tags that may be passed over gather in `unknown`.
 * @throws archive.unknown_field at a tag that must be understood; archive.corrupt at tags out of order, doubled or
 * marked otherwise, and at values that are cut off or not read to their end.
 */
export class FieldReader {
  readonly unknown: UnknownField[] = [];
  readonly value: ByteReader;
  readonly #shape: FieldShape;
  readonly #end: number;
  #next: number;
  #tag = -1;

  constructor(bytes: Uint8Array, shape: FieldShape) {
    this.#shape = shape;
    this.#end = bytes.length;
    this.#next = 0;
    this.value = new ByteReader(bytes, shape.what, 0, 0);
  }

  get tag(): number {
    return this.#tag;
  }

  next(): boolean {
    for (;;) {
      this.value.expectEnd();
      if (this.#next === this.#end) return false;
      if (this.#enter()) return true;
    }
  }

  /** The value as one varint, at most `max`. */
  number(max?: number): number {
    return this.value.varint(max);
  }

  /** The whole value, at most `max` bytes. */
  bytes(max?: number): Uint8Array {
    if (max !== undefined && this.value.remaining > max) throw this.value.corrupt(`field ${this.#tag} is too long`);
    return this.value.rest();
  }

  /** The whole value, exactly `length` bytes. */
  exactly(length: number): Uint8Array {
    if (this.value.remaining !== length) throw this.value.corrupt(`field ${this.#tag} is not of ${length} bytes`);
    return this.value.rest();
  }

  /** The whole value as UTF-8. */
  text(): string {
    const bytes = this.value.rest();
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (error) {
      throw corrupt(`${this.#shape.what}: field ${this.#tag} is not UTF-8`, this.value.offset, error);
    }
  }

  time(): Time {
    return readTime(this.value);
  }

  /** The value of a field that must be there. */
  required<T>(value: T | undefined, tag: number): T {
    if (value === undefined) throw corrupt(`${this.#shape.what}: field ${tag} is missing`);
    return value;
  }

  /** `{ unknown }` where there is any, to be spread into the structure. */
  kept(): WithUnknown {
    return this.unknown.length > 0 ? { unknown: this.unknown } : {};
  }

  /** Enters the next field; false when it was unknown and has been put aside. */
  #enter(): boolean {
    const { value } = this;
    const start = this.#next;
    value.moveTo(start, this.#end);
    const key = value.varint();
    const tag = Math.floor(key / 2);
    const length = value.varint();
    if (length > value.remaining) throw value.corrupt(`field ${tag} is cut off`);
    const valueStart = value.offset;
    this.#next = valueStart + length;
    value.moveTo(valueStart, this.#next);
    const known = this.#admit(tag, key % 2 === 1, start);
    this.#tag = tag;
    if (!known) this.unknown.push({ tag, value: value.rest() });
    return known;
  }

  #admit(tag: number, must: boolean, offset: number): boolean {
    const { what, marks } = this.#shape;
    const mark = marks.get(tag);
    if (tag < this.#tag) throw corrupt(`${what}: field ${tag} comes behind ${this.#tag}`, offset);
    if (mark === undefined) {
      if (must) throw archiveErrors.unknown_field({ what, tag, offset });
      return false;
    }
    if (must !== mark.startsWith('must')) throw corrupt(`${what}: field ${tag} is marked otherwise`, offset);
    if (tag === this.#tag && !mark.endsWith('repeated')) throw corrupt(`${what}: field ${tag} comes twice`, offset);
    return true;
  }
}

// Rows are written by the million: their writers are used again, and only what was written is copied out.
const spare: ByteWriter[] = [];
const keptCapacity = 16 * 1024;

function takeWriter(): ByteWriter {
  return spare.pop() ?? new ByteWriter(512);
}

/** What was written, in bytes of its own; the writer is not to be used again. */
function finishWriter(writer: ByteWriter): Uint8Array<ArrayBuffer> {
  if (writer.capacity > keptCapacity) return writer.written();
  const bytes = writer.written().slice();
  giveBack(writer);
  return bytes;
}

function giveBack(writer: ByteWriter): void {
  if (writer.capacity > keptCapacity) return;
  writer.clear();
  spare.push(writer);
}

/** Writes tagged fields by rising tag, and unknown ones kept from an earlier reading where they belong. */
export class FieldWriter {
  readonly #shape: FieldShape;
  readonly #unknown: readonly UnknownField[];
  #writer: ByteWriter | undefined = takeWriter();
  #nextUnknown = 0;

  constructor(shape: FieldShape, unknown: readonly UnknownField[] = []) {
    this.#shape = shape;
    this.#unknown = unknown;
  }

  /** A varint; left out when undefined. */
  number(tag: number, value: number | undefined): this {
    if (value === undefined) return this;
    this.#begin(tag, varintBytes(value)).varint(value);
    return this;
  }

  /** A `u64`; left out when undefined. */
  u64(tag: number, value: number | undefined): this {
    if (value !== undefined) this.#begin(tag, 8).u64(value);
    return this;
  }

  /** Bytes; left out when undefined. */
  bytes(tag: number, value: Uint8Array | undefined): this {
    if (value !== undefined) this.#begin(tag, value.length).put(value);
    return this;
  }

  text(tag: number, value: string | undefined): this {
    return this.bytes(tag, value === undefined ? undefined : new TextEncoder().encode(value));
  }

  time(tag: number, value: Time | undefined): this {
    if (value !== undefined) writeTime(this.#begin(tag, timeBytes), value);
    return this;
  }

  /** Whatever `build` writes. */
  built(tag: number, build: (writer: ByteWriter) => void): this {
    const writer = takeWriter();
    build(writer);
    this.bytes(tag, writer.written());
    giveBack(writer);
    return this;
  }

  /** The encoded fields; nothing can be added after it. */
  finish(): Uint8Array<ArrayBuffer> {
    const writer = this.#putUnknownBelow(Infinity);
    this.#writer = undefined;
    return finishWriter(writer);
  }

  #begin(tag: number, length: number): ByteWriter {
    const mark = this.#shape.marks.get(tag);
    assert(mark !== undefined, 'a structure is written with fields that it has');
    return this.#putUnknownBelow(tag)
      .varint(tag * 2 + (mark.startsWith('must') ? 1 : 0))
      .varint(length);
  }

  #putUnknownBelow(tag: number): ByteWriter {
    const writer = this.#writer;
    assert(writer !== undefined, 'fields are finished once');
    for (; this.#nextUnknown < this.#unknown.length; this.#nextUnknown += 1) {
      const field = this.#unknown[this.#nextUnknown]!;
      if (field.tag >= tag) break;
      writer.varint(field.tag * 2).putSized(field.value);
    }
    return writer;
  }
}
