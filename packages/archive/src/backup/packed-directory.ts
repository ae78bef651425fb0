/**
 * What was last seen in one directory, packed: the scan compares with it, so that an unchanged tree is never read.
 *
 * Entries by rising name, each: name length u16, name, type u8, flags u8, inode u64, size f64, modification and change as
 * f64 seconds and u32 nanoseconds, digest of the row (8), digest of the list of sets u32, little-endian. It is the machine's own cache, not part of the archive's format.
 */
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
