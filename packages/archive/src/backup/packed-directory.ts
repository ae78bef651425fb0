/**
 * What was last seen in one directory, packed: the scan compares with it, so that an unchanged tree is never read.
 *
 * Entries by rising name, each: name length u16, name, type u8, flags u8, inode u64, size f64, modification and change as
 * f64 seconds and u32 nanoseconds, digest of the row (8), digest of the list of sets u32, little-endian. It is the machine's own cache, not part of the archive's format.
 */
import { compareBytes } from '../format/cursor.ts';
import type { SourceAttributes, SourceType } from './source.ts';

/** An entry as it was when its content was stored. */
export type PackedEntry = {
  name: Uint8Array;
  type: SourceType;
  /** The clock could not tell this state from a later one: look again whatever the times say. */
  isRacy: boolean;
  inode: bigint;
  sizeBytes: number;
  mtimeSeconds: number;
  mtimeNanoseconds: number;
  ctimeSeconds: number;
  ctimeNanoseconds: number;
  /** First 8 bytes of the SHA-256 of the row that was put: an equal row is not put again. */
  rowDigest: Uint8Array;
  /** Which sets selected it then, as `setsDigestOf` tells. */
  setsDigest: number;
};

/** What is remembered of an entry besides its attributes. */
export type EntryMemory = Pick<PackedEntry, 'isRacy' | 'rowDigest' | 'setsDigest'>;

/** Length of a row's digest. */
export const rowDigestBytes = 8;

const types: readonly SourceType[] = [
  'file',
  'directory',
  'symlink',
  'fifo',
  'socket',
  'character_device',
  'block_device',
];
const fixedBytes = 2 + 1 + 1 + 8 + 8 + 12 + 12 + rowDigestBytes + 4;

/** Writes entries in name order into one growing buffer. */
export class DirectoryPacker {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** Returns where the entry's flags lie in what `take` gives: `settleEntry` there says that its content was stored after all. */
  add(name: Uint8Array, attributes: Omit<PackedEntry, 'name' | keyof EntryMemory>, memory: EntryMemory): number {
    this.#reserve(fixedBytes + name.length);
    const view = this.#view;
    let at = this.#length;
    view.setUint16(at, name.length, true);
    this.#bytes.set(name, at + 2);
    at += 2 + name.length;
    view.setUint8(at, types.indexOf(attributes.type));
    view.setUint8(at + 1, memory.isRacy ? 1 : 0);
    view.setBigUint64(at + 2, attributes.inode, true);
    view.setFloat64(at + 10, attributes.sizeBytes, true);
    view.setFloat64(at + 18, attributes.mtimeSeconds, true);
    view.setUint32(at + 26, attributes.mtimeNanoseconds, true);
    view.setFloat64(at + 30, attributes.ctimeSeconds, true);
    view.setUint32(at + 38, attributes.ctimeNanoseconds, true);
    this.#bytes.set(memory.rowDigest, at + 42);
    view.setUint32(at + 42 + rowDigestBytes, memory.setsDigest, true);
    this.#length = at + 46 + rowDigestBytes;
    return at + 1;
  }

  /** Bytes added since the last `take`. */
  get length(): number {
    return this.#length;
  }

  /** Forgets what was added since the last `take`. */
  clear(): void {
    this.#length = 0;
  }

  /** A copy of what was added since the last call. */
  take(): Uint8Array<ArrayBuffer> {
    const packed = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return packed;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Marks a packed entry as stored: `flagsAt` is what `add` returned. */
export function settleEntry(
  packed: Uint8Array,
  flagsAt: number,
  settled: { readonly rowDigest: Uint8Array; readonly isRacy: boolean },
): void {
  packed[flagsAt] = settled.isRacy ? 1 : 0;
  packed.set(settled.rowDigest, flagsAt + 41);
}

/**
 * Has the entries that `isMeant` tells by their sets looked at again, whatever their times say. Returns whether there were
 * any; they are changed in place.
 */
export function forgetStates(packed: Uint8Array, isMeant: (setsDigest: number) => boolean): boolean {
  let isAny = false;
  const reader = new PackedReader(packed);
  for (let at = 0; reader.next(); at += fixedBytes + reader.entry.name.length) {
    if (reader.entry.type === 'directory' || !isMeant(reader.entry.setsDigest)) continue;
    packed[at + 3 + reader.entry.name.length] = 1;
    isAny = true;
  }
  return isAny;
}

/** The name of the first entry; there is one. A view. */
export function firstName(packed: Uint8Array): Uint8Array {
  return nameAt(packed, 0);
}

/** The name of the last entry; there is one. A view. */
export function lastName(packed: Uint8Array): Uint8Array {
  let last = 0;
  for (let at = 0; at < packed.length; at = behindEntry(packed, at)) last = at;
  return nameAt(packed, last);
}

/** Where the first entry begins whose name is not before `name`; the length where there is none. */
export function offsetOf(packed: Uint8Array, name: Uint8Array): number {
  let at = 0;
  while (at < packed.length && compareBytes(nameAt(packed, at), name) < 0) at = behindEntry(packed, at);
  return at;
}

/** Cuts packed entries into pages of like length, of about 64 KiB at most: none is much smaller than the others. */
export function* packedPages(packed: Uint8Array): Generator<Uint8Array> {
  const count = Math.ceil(packed.length / pageBytes);
  let start = 0;
  for (let at = 0; at < packed.length;) {
    at = behindEntry(packed, at);
    const isFull = at - start >= packed.length / count;
    if (!isFull && at < packed.length) continue;
    yield packed.subarray(start, at);
    start = at;
  }
}

const pageBytes = 64 * 1024;

function nameAt(packed: Uint8Array, at: number): Uint8Array {
  return packed.subarray(at + 2, at + 2 + nameBytesAt(packed, at));
}

function nameBytesAt(packed: Uint8Array, at: number): number {
  return packed[at]! | (packed[at + 1]! << 8);
}

function behindEntry(packed: Uint8Array, at: number): number {
  return at + fixedBytes + nameBytesAt(packed, at);
}

/** Reads packed entries in order; one object is filled again and again. */
export class PackedReader {
  readonly entry: PackedEntry = {
    name: new Uint8Array(),
    type: 'file',
    isRacy: false,
    inode: 0n,
    sizeBytes: 0,
    mtimeSeconds: 0,
    mtimeNanoseconds: 0,
    ctimeSeconds: 0,
    ctimeNanoseconds: 0,
    rowDigest: new Uint8Array(rowDigestBytes),
    setsDigest: 0,
  };
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(packed: Uint8Array) {
    this.#bytes = packed;
    this.#view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  }

  /** Moves to the next entry; false at the end. */
  next(): boolean {
    if (this.#at >= this.#bytes.length) return false;
    const view = this.#view;
    const length = view.getUint16(this.#at, true);
    const at = this.#at + 2 + length;
    const entry = this.entry;
    entry.name = this.#bytes.subarray(this.#at + 2, at);
    entry.type = types[view.getUint8(at)] ?? 'file';
    entry.isRacy = view.getUint8(at + 1) === 1;
    entry.inode = view.getBigUint64(at + 2, true);
    entry.sizeBytes = view.getFloat64(at + 10, true);
    entry.mtimeSeconds = view.getFloat64(at + 18, true);
    entry.mtimeNanoseconds = view.getUint32(at + 26, true);
    entry.ctimeSeconds = view.getFloat64(at + 30, true);
    entry.ctimeNanoseconds = view.getUint32(at + 38, true);
    entry.rowDigest = this.#bytes.subarray(at + 42, at + 42 + rowDigestBytes);
    entry.setsDigest = view.getUint32(at + 42 + rowDigestBytes, true);
    this.#at = at + 46 + rowDigestBytes;
    return true;
  }
}

/** Reads entries that come in pages, one after the other. */
export class PagedEntries {
  readonly #pages: Iterator<Uint8Array>;
  #page: PackedReader | undefined;
  /** The entry that is next, undefined behind the last: one object a page, filled again and again. */
  entry: PackedEntry | undefined;

  constructor(pages: Iterable<Uint8Array>) {
    this.#pages = pages[Symbol.iterator]();
    this.advance();
  }

  /** The next entry, if it has this name. */
  at(name: Uint8Array): PackedEntry | undefined {
    return this.entry && compareBytes(this.entry.name, name) === 0 ? this.entry : undefined;
  }

  advance(): void {
    while (!this.#page?.next()) {
      const { value, done } = this.#pages.next();
      if (done) {
        this.entry = undefined;
        return;
      }
      this.#page = new PackedReader(value);
    }
    this.entry = this.#page.entry;
  }
}

/** Whether an entry is as it was packed; a racy one never is. A directory's own times are not its entry's affair. */
export function isAsPacked(entry: PackedEntry, now: SourceAttributes): boolean {
  if (entry.type !== now.type || entry.inode !== now.inode) return false;
  if (entry.type === 'directory') return true;
  return (
    !entry.isRacy &&
    entry.ctimeNanoseconds === now.ctimeNanoseconds &&
    entry.ctimeSeconds === now.ctimeSeconds &&
    entry.mtimeNanoseconds === now.mtimeNanoseconds &&
    entry.mtimeSeconds === now.mtimeSeconds &&
    entry.sizeBytes === now.sizeBytes
  );
}
