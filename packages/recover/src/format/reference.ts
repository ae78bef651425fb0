import { corrupt } from '../errors.ts';
import { type Cursor, HOLE, type Ordinal } from './bytes.ts';

/** A record by ordinal and by the SHA-256 of its raw bytes. */
export type Reference = { readonly ordinal: Ordinal; readonly sha256: Buffer };

/** Bytes within the raw bytes of a block or bundle, or a hole (`ordinal` is HOLE). */
export type Extent = {
  readonly ordinal: Ordinal;
  readonly offset: number;
  readonly length: number;
  readonly sha256: Buffer;
};

const HOLE_LIMIT_BYTES = 2 ** 31;
const RAW_LIMIT_BYTES = 4_194_304;

/** Reads ordinal and hash. */
export function readReference(cursor: Cursor): Reference {
  return { ordinal: cursor.u48(), sha256: cursor.take(32) };
}

/** Reads one extent. @throws structure.corrupt when its numbers are out of bounds or a hole is not in its one form. */
export function readExtent(cursor: Cursor): Extent {
  const extent = { ordinal: cursor.u48(), offset: cursor.u32(), length: cursor.u32(), sha256: cursor.take(32) };
  if (extent.length < 1 || extent.length > HOLE_LIMIT_BYTES) throw corrupt('extent', 'its length is out of bounds');
  if (extent.ordinal === HOLE) {
    if (extent.offset !== 0 || extent.sha256.some((byte) => byte !== 0))
      throw corrupt('extent', 'a hole has an offset or a hash');
  } else if (extent.offset + extent.length > RAW_LIMIT_BYTES) throw corrupt('extent', 'it ends out of bounds');
  return extent;
}

/** Reads extents back to back. @throws structure.corrupt */
export function readExtents(cursor: Cursor): readonly Extent[] {
  const extents: Extent[] = [];
  while (cursor.left > 0) extents.push(readExtent(cursor));
  return extents;
}
