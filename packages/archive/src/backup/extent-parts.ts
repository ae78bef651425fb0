import { ByteReader } from '../format/cursor.ts';
import { type Extent, readExtents } from '../format/extent.ts';

/** The extents that one range of a file gave, as they came from a worker. */
export function decodeExtents(bytes: Uint8Array): readonly Extent[] {
  return readExtents(new ByteReader(bytes, 'extents of a range'));
}

/** The bytes of the file that they cover. */
export function coveredBytes(bytes: Uint8Array): number {
  return decodeExtents(bytes).reduce((sum, extent) => sum + extent.length, 0);
}
