import { corrupt } from '../errors.ts';
import { ByteReader, ByteWriter, equalBytes } from './cursor.ts';
import { HOLE_ORDINAL, type Ordinal } from './ordinal.ts';

/** A stretch of the raw bytes of a block or bundle, or a hole: `length` zero bytes that are stored nowhere. */
export type Extent = {
  readonly ordinal: Ordinal;
  /** Where the bytes begin in the record's raw bytes. */
  readonly offset: number;
  /** 1 to 2^31. */
  readonly length: number;
  /** SHA-256 of the bytes; of a hole, 32 zero bytes. */
  readonly sha256: Uint8Array;
};

/** A record and the SHA-256 of its raw bytes. */
export type Reference = { readonly ordinal: Ordinal; readonly sha256: Uint8Array };

/** Bytes of an encoded extent, of an entry of a list of lists, and of a reference. */
export const extentBytes = 46;
export const referenceBytes = 38;

/** The longest extent. */
export const maxExtentLength = 2 ** 31;

/** The most raw bytes a record has. */
export const maxRawBytes = 4 * 1024 * 1024;

/** 32 zero bytes. */
export const zeroHash: Uint8Array = new Uint8Array(32);

/** Whether the extent is a hole. */
export function isHole(extent: Extent): boolean {
  return extent.ordinal === HOLE_ORDINAL;
}

/** A hole of any length as extents: all but the last are of 2^31 bytes. */
export function holesOf(length: number): Extent[] {
  const holes: Extent[] = [];
  for (let left = length; left > 0; left -= maxExtentLength) {
    holes.push({ ordinal: HOLE_ORDINAL, offset: 0, length: Math.min(left, maxExtentLength), sha256: zeroHash });
  }
  return holes;
}

/** Reads 46 bytes. The hash is a view. */
export function readExtent(reader: ByteReader): Extent {
  const ordinal = reader.u48();
  const offset = reader.u32();
  const length = reader.u32();
  if (length < 1 || length > maxExtentLength) throw reader.corrupt('an extent is not of 1 to 2^31 bytes');
  const sha256 = reader.take(32);
  if (ordinal !== HOLE_ORDINAL) {
    if (offset + length > maxRawBytes) throw reader.corrupt('an extent ends behind any record');
  } else if (offset !== 0 || !equalBytes(sha256, zeroHash)) throw reader.corrupt('a hole has an offset or a hash');
  return { ordinal, offset, length, sha256 };
}

/** Writes 46 bytes. */
export function writeExtent(writer: ByteWriter, extent: Extent): void {
  writer.u48(extent.ordinal).u32(extent.offset).u32(extent.length).put(extent.sha256);
}

/** Extents back to back. @throws archive.corrupt unless there are only whole ones. */
export function readExtents(reader: ByteReader): Extent[] {
  if (reader.remaining % extentBytes !== 0) throw reader.corrupt('extents are not of 46 bytes each');
  const extents: Extent[] = [];
  while (reader.remaining > 0) extents.push(readExtent(reader));
  return extents;
}

/** Where a move leads: the value of its row. The hash is a view. @throws archive.corrupt */
export function parseMove(value: Uint8Array): Extent {
  const reader = new ByteReader(value, 'move');
  const extent = readExtent(reader);
  reader.expectEnd();
  return extent;
}

/** Reads 38 bytes. */
export function readReference(reader: ByteReader): Reference {
  const ordinal = reader.u48();
  if (ordinal === HOLE_ORDINAL) throw reader.corrupt('a reference names no record');
  return { ordinal, sha256: reader.take(32) };
}

/** Writes 38 bytes. */
export function writeReference(writer: ByteWriter, reference: Reference): void {
  writer.u48(reference.ordinal).put(reference.sha256);
}

/** A SHA-256 under way, of whatever implementation: Node's `Hash` is one. */
export type Sha256 = { update(bytes: Uint8Array): unknown; digest(): Uint8Array };

/**
 * Makes the content hash of a stream from its pieces in order, in constant memory.
 *
 * No piece: SHA-256 of nothing. One that is no hole: its SHA-256. Else SHA-256 over each piece's length (`u64`) and
 * SHA-256, a hole counting as 32 zero bytes.
 */
export function createContentHasher(createSha256: () => Sha256): {
  add(extent: Extent): void;
  digest(): Uint8Array;
} {
  const writer = new ByteWriter(40);
  let first: Extent | undefined;
  let joined: Sha256 | undefined;
  const put = (hash: Sha256, extent: Extent) => {
    writer.clear();
    hash.update(
      writer
        .u64(extent.length)
        .put(isHole(extent) ? zeroHash : extent.sha256)
        .written(),
    );
  };
  return {
    add(extent) {
      if (first === undefined) {
        first = extent;
        return;
      }
      if (joined === undefined) put((joined = createSha256()), first);
      put(joined, extent);
    },
    digest() {
      if (first === undefined) return createSha256().digest();
      if (joined === undefined && !isHole(first)) return first.sha256;
      if (joined === undefined) put((joined = createSha256()), first);
      return joined.digest();
    },
  };
}

/** The content hash of a stream with these pieces, in order. */
export function contentHashOf(pieces: Iterable<Extent>, createSha256: () => Sha256): Uint8Array {
  const hasher = createContentHasher(createSha256);
  for (const piece of pieces) hasher.add(piece);
  return hasher.digest();
}

/** The sum of the pieces' lengths. @throws archive.corrupt when it is not below 2^53. */
export function lengthOfExtents(extents: readonly Extent[]): number {
  const length = extents.reduce((sum, extent) => sum + extent.length, 0);
  if (!Number.isSafeInteger(length)) throw corrupt('the extents of a stream are longer than 2^53 bytes');
  return length;
}
