/** Reading one file, or a range of one, into extents. */
import { type Extent, holesOf, isHole, maxExtentLength } from '../format/extent.ts';
import { type Chunker, restartBytes } from '../chunker/chunker.ts';
import { bundledBelowBytes, type ContentStore } from './content-store.ts';
import type { Source, SourceAttributes, SourceRange } from './source.ts';

/** A worker's tools for reading. */
export type FileReading = {
  readonly source: Source;
  readonly content: ContentStore;
  /** Content-defined cutting. */
  readonly gear: Chunker;
  /** Cutting at fixed places, for files whose pages are changed in place. */
  readonly fixed: Chunker;
  /** Holds one small file. */
  readonly small: Uint8Array;
  readonly onRead: (bytes: number) => void;
};

/** Whether workers take this file range by range. */
export function isReadInRanges(sizeBytes: number): boolean {
  return sizeBytes > restartBytes;
}

/** An open file, and as what it was recorded. */
export type OpenFile = {
  readonly fd: number;
  readonly attributes: SourceAttributes;
  readonly isCredential: boolean;
  /** The backup sets that need its bytes. */
  readonly sets: readonly number[];
};

/**
 * Stores a range of an open file. `range.offset` is a multiple of 64 MiB. Ends early where the file does, so that the
 * caller sees by the sum of the lengths that it shrank.
 */
export function storeRange(reading: FileReading, file: OpenFile, range: SourceRange): Extent[] {
  const { attributes } = file;
  if (attributes.sizeBytes < bundledBelowBytes) return storeSmallFile(reading, file);
  const chunker = hasFixedLayout(reading, file.fd) ? reading.fixed : reading.gear;
  const extents: Extent[] = [];
  let position = range.offset;
  for (const data of dataOf(reading.source, file, range)) {
    pushHoles(extents, data.offset - position);
    const stored = storeData(reading, file, data, chunker);
    extents.push(...stored.extents);
    position = data.offset + stored.length;
    if (stored.length < data.length) return extents;
  }
  pushHoles(extents, range.offset + range.length - position);
  return extents;
}

/** Stores a file below 64 KiB, as one extent or none. It is read to its end, wherever that is now, up to the limit. */
function storeSmallFile(reading: FileReading, { fd, attributes, isCredential, sets }: OpenFile): Extent[] {
  let length = 0;
  for (;;) {
    const read = reading.source.read(fd, reading.small.subarray(length), length);
    length += read;
    // One read gives all that a regular file has; a look afterwards tells whether it had more by then.
    if (read === 0 || length === attributes.sizeBytes || length === reading.small.length) break;
  }
  reading.onRead(length);
  if (length === 0) return [];
  const bundleClass = { uid: attributes.uid, isCredential, sets };
  return [reading.content.storeSmall(reading.small.subarray(0, length), bundleClass)];
}

/** Appends a hole, joining it with one before it. */
export function pushHoles(extents: Extent[], length: number): void {
  if (length <= 0) return;
  const last = extents.at(-1);
  const joined = last && isHole(last) && last.length < maxExtentLength ? last.length : 0;
  if (joined > 0) extents.pop();
  extents.push(...holesOf(joined + length));
}

/** Joins what several ranges of one file gave. */
export function joinExtents(parts: readonly (readonly Extent[])[]): Extent[] {
  const joined: Extent[] = [];
  for (const part of parts) {
    for (const extent of part) {
      if (isHole(extent)) pushHoles(joined, extent.length);
      else joined.push(extent);
    }
  }
  return joined;
}

function* dataOf(source: Source, { fd, attributes }: OpenFile, range: SourceRange): Generator<SourceRange> {
  const isSparse = attributes.blocks * 512 < attributes.sizeBytes;
  if (isSparse) yield* source.dataRanges(fd, range);
  else yield range;
}

function storeData(
  { source, content, onRead }: FileReading,
  { fd, sets }: OpenFile,
  data: SourceRange,
  chunker: Chunker,
): { extents: Extent[]; length: number } {
  const extents: Extent[] = [];
  const end = data.offset + data.length;
  let position = data.offset;
  chunker.begin();
  for (let isEnd = false; !isEnd;) {
    const space = chunker.space();
    const wanted = Math.min(space.length, end - position);
    const read = wanted === 0 ? 0 : source.read(fd, space.subarray(0, wanted), position);
    position += read;
    isEnd = read === 0 || position === end;
    onRead(read);
    for (const [offset, length] of chunker.cuts(read, isEnd)) {
      const isFileStart = data.offset === 0 && extents.length === 0;
      extents.push(content.storePiece(chunker.bytes(offset, length), isFileStart, sets));
    }
  }
  return { extents, length: position - data.offset };
}

const magics: readonly { readonly at: number; readonly bytes: Uint8Array }[] = [
  { at: 0, bytes: Buffer.from('SQLite format 3\0') },
  { at: 0, bytes: Buffer.from('QFI\xfb', 'latin1') },
  { at: 0, bytes: Buffer.from('KDMV') },
  { at: 0, bytes: Buffer.from('vhdxfile') },
  { at: 0, bytes: Buffer.from('conectix') },
  { at: 64, bytes: Buffer.from([0x7f, 0x10, 0xda, 0xbe]) },
  { at: 510, bytes: Buffer.from([0x55, 0xaa]) },
  { at: 0, bytes: Buffer.from('!BDN') },
];

/** Whether the file's magic number is that of a disk image or database (qcow2, vmdk, vhd, vhdx, vdi, raw, SQLite, pst). */
function hasFixedLayout({ source, small }: FileReading, fd: number): boolean {
  const head = small.subarray(0, 512);
  const length = source.read(fd, head, 0);
  return magics.some(
    ({ at, bytes }) => at + bytes.length <= length && bytes.every((byte, index) => head[at + index] === byte),
  );
}
