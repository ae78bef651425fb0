import { archiveErrors } from '../errors.ts';
import { ByteReader, ByteWriter } from './cursor.ts';
import {
  type Extent,
  extentBytes,
  lengthOfExtents,
  readExtent,
  readReference,
  type Reference,
  writeExtent,
  writeReference,
} from './extent.ts';

/** The most entries of a list record. */
export const maxListEntries = 1424;

/** The highest level of a list; three levels in all. */
export const maxListLevel = 2;

/** A list of lower lists with how much of the stream each covers. */
export type ListEntry = { readonly list: Reference; readonly streamBytes: number };

/** What a list record holds: extents at level 0, lists of the level below else. */
export type List =
  | { readonly level: 0; readonly extents: readonly Extent[] }
  | { readonly level: 1 | 2; readonly entries: readonly ListEntry[] };

/** The bytes of the stream that a list covers. */
export function lengthOfList(list: List): number {
  return list.level === 0
    ? lengthOfExtents(list.extents)
    : list.entries.reduce((sum, entry) => sum + entry.streamBytes, 0);
}

/** Reads the raw bytes of a list record. @throws archive.corrupt */
export function parseList(raw: Uint8Array): List {
  const reader = new ByteReader(raw, 'list');
  const level = reader.u8();
  if (level > maxListLevel) throw reader.corrupt(`level ${level} does not exist`);
  const count = reader.remaining / extentBytes;
  if (!Number.isInteger(count) || count < 1 || count > maxListEntries) {
    throw reader.corrupt('it is not of 1 to 1,424 whole entries');
  }
  if (level === 0) return { level, extents: Array.from({ length: count }, () => readExtent(reader)) };
  const entries = Array.from({ length: count }, () => {
    const list = readReference(reader);
    const streamBytes = reader.u64();
    if (streamBytes < 1) throw reader.corrupt('a list covers nothing');
    return { list, streamBytes };
  });
  return { level: level === 1 ? 1 : 2, entries };
}

/** The raw bytes of a list record. */
export function encodeList(list: List): Uint8Array<ArrayBuffer> {
  const count = list.level === 0 ? list.extents.length : list.entries.length;
  const writer = new ByteWriter(1 + count * extentBytes).u8(list.level);
  if (list.level === 0) for (const extent of list.extents) writeExtent(writer, extent);
  else {
    for (const entry of list.entries) {
      writeReference(writer, entry.list);
      writer.u64(entry.streamBytes);
    }
  }
  return writer.written();
}

/**
 * A list ends where a piece begins at or behind a multiple of this many bytes of the stream, or when it is full: so a
 * change somewhere in a file rewrites the list it lies in and leaves the others as they were.
 */
const listStretchBytes = 256 * 1024 * 1024;

/**
 * Turns the extents of a long stream, as they come, into list records, deepest first, in bounded memory.
 *
 * `store` gets the raw bytes of each list and answers with its reference; equal bytes may get an equal one.
 */
export class ListBuilder {
  readonly #store: (raw: Uint8Array<ArrayBuffer>, level: number) => Reference;
  #extents: Extent[] = [];
  #lower: ListEntry[] = [];
  readonly #middle: ListEntry[] = [];
  #listStart = 0;
  #streamBytes = 0;

  constructor(store: (raw: Uint8Array<ArrayBuffer>, level: number) => Reference) {
    this.#store = store;
  }

  /** Takes the next extent of the stream. @throws archive.too_large behind 1,424 x 1,424 full lists. */
  add(extent: Extent): void {
    const crossed = stretchOf(this.#streamBytes) > stretchOf(this.#listStart);
    if (this.#extents.length > 0 && (crossed || this.#extents.length === maxListEntries)) this.#closeExtents();
    this.#extents.push(extent);
    this.#streamBytes += extent.length;
  }

  /** The reference for the stream's row, once all extents are in; there must have been one. */
  finish(): { readonly level: number; readonly list: Reference } {
    this.#closeExtents();
    if (this.#middle.length === 0) {
      if (this.#lower.length === 1) return { level: 0, list: this.#lower[0]!.list };
      return { level: 1, list: this.#storeEntries({ level: 1, entries: this.#lower }) };
    }
    this.#closeLower();
    return { level: 2, list: this.#storeEntries({ level: 2, entries: this.#middle }) };
  }

  #closeExtents(): void {
    if (this.#lower.length === maxListEntries) this.#closeLower();
    const list = this.#store(encodeList({ level: 0, extents: this.#extents }), 0);
    this.#lower.push({ list, streamBytes: this.#streamBytes - this.#listStart });
    this.#extents = [];
    this.#listStart = this.#streamBytes;
  }

  #closeLower(): void {
    if (this.#middle.length === maxListEntries) throw archiveErrors.too_large({ what: 'extents of a stream' });
    const list: List = { level: 1, entries: this.#lower };
    this.#middle.push({ list: this.#storeEntries(list), streamBytes: lengthOfList(list) });
    this.#lower = [];
  }

  #storeEntries(list: List): Reference {
    return this.#store(encodeList(list), list.level);
  }
}

function stretchOf(streamOffset: number): number {
  return Math.floor(streamOffset / listStretchBytes);
}
