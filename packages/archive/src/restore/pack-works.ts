import type { RecordWork } from './messages.ts';

/**
 * The same works with all their small byte strings in one buffer, to be transferred: thousands of arrays in a message,
 * each with memory of its own, cost both threads more than the files they speak of.
 */
export function packWorks(records: readonly RecordWork[]): {
  readonly records: readonly RecordWork[];
  readonly slab: ArrayBuffer;
} {
  const slab = new Uint8Array(records.reduce((sum, record) => sum + bytesOf(record), 0));
  let at = 0;
  const put = (bytes: Uint8Array): Uint8Array => {
    slab.set(bytes, at);
    at += bytes.length;
    return slab.subarray(at - bytes.length, at);
  };
  const packed = records.map((record) => ({
    ...record,
    whole: record.whole.map((work) => ({
      entry: work.entry,
      place: work.place,
      name: put(work.name),
      temporary: put(work.temporary),
      row: put(work.row),
      xattrs: put(work.xattrs),
      isInherited: work.isInherited,
      piece: { ...work.piece, sha256: put(work.piece.sha256) },
    })),
    parts: record.parts.map((part) => ({
      ...part,
      temporary: put(part.temporary),
      pieces: part.pieces.map((piece) => ({ ...piece, sha256: put(piece.sha256) })),
    })),
  }));
  return { records: packed, slab: slab.buffer };
}

function bytesOf({ whole, parts }: RecordWork): number {
  let bytes = 0;
  for (const { name, temporary, row, xattrs, piece } of whole) {
    bytes += name.length + temporary.length + row.length + xattrs.length + piece.sha256.length;
  }
  for (const { temporary, pieces } of parts) {
    bytes += temporary.length;
    for (const { sha256 } of pieces) bytes += sha256.length;
  }
  return bytes;
}
