import { createHash } from 'node:crypto';
import { RecoverError } from '../errors.ts';
import { Cursor, HOLE } from '../format/bytes.ts';
import { kinds } from '../format/record.ts';
import { type Extent, readExtent, type Reference } from '../format/reference.ts';
import { pieceEntry, type Stream } from '../format/row.ts';
import { sha256 } from '../format/sealing.ts';
import { readListNode } from '../format/tree.ts';
import type { Archive } from './archive.ts';
import { quietly } from './quietly.ts';
import { lookUp } from './name-map.ts';
import { moveKey } from './row-key.ts';

/** A part of a stream in its place: bytes, a hole, or what is lost there and why. */
export type Part = { readonly position: number; readonly length: number } & (
  { readonly bytes: Buffer } | { readonly hole: true } | { readonly lost: RecoverError }
);

type Located = { readonly length: number } & ({ readonly extent: Extent } | { readonly lost: RecoverError });

/**
 * Reads a stream part by part, in order; every piece is checked against its hash.
 *
 * What cannot be read comes as a lost part, and reading goes on behind it. After the last part the whole is checked:
 * lengths against the size, pieces against the content hash.
 * @throws content.mismatch when all pieces hold and the whole does not
 */
export function* readStream(archive: Archive, stream: Stream): Generator<Part> {
  const whole = createHash('sha256');
  let position = 0;
  let pieces = 0;
  let only = Buffer.alloc(0);
  let complete = true;
  for (const located of locate(archive, stream)) {
    const { length } = located;
    if (length > stream.sizeBytes - position) throw mismatch('its pieces pass its size');
    const part = takePart(archive, located, position);
    if ('lost' in located) complete = false;
    else {
      whole.update(pieceEntry(located.extent));
      if (located.extent.ordinal !== HOLE) only = located.extent.sha256 as Buffer<ArrayBuffer>;
    }
    yield part;
    pieces += 1;
    position += length;
  }
  if (position !== stream.sizeBytes) throw mismatch('its pieces do not reach its size');
  if (!complete || stream.body.form === 'inline') return;
  const hash = pieces === 0 ? sha256(Buffer.alloc(0)) : pieces === 1 && only.length > 0 ? only : whole.digest();
  if (!hash.equals(stream.contentHash)) throw mismatch('its pieces do not have its content hash');
}

function mismatch(what: string): RecoverError {
  return new RecoverError('content.mismatch', { what });
}

function takePart(archive: Archive, located: Located, position: number): Part {
  const place = { position, length: located.length };
  if ('lost' in located) return { ...place, lost: located.lost };
  if (located.extent.ordinal === HOLE) return { ...place, hole: true };
  try {
    return { ...place, bytes: readPiece(archive, located.extent) };
  } catch (error) {
    if (error instanceof RecoverError) return { ...place, lost: error };
    throw error;
  }
}

/** Follows a move first; should the new place fail, the old one is as good. */
function readPiece(archive: Archive, extent: Extent): Buffer {
  const moved = movedTo(archive, extent, { length: extent.length, sha256: extent.sha256 });
  if (moved === undefined) return archive.reader.piece(extent);
  try {
    return archive.reader.piece(moved);
  } catch (error) {
    if (!(error instanceof RecoverError) || !archive.shelf.index.has(extent.ordinal)) throw error;
    return archive.reader.piece(extent);
  }
}

function movedTo(
  archive: Archive,
  from: { readonly ordinal: number; readonly offset: number },
  wanted: { readonly length: number | undefined; readonly sha256: Buffer },
): Extent | undefined {
  const value = archive.hasMoves ? lookUp(archive.map, moveKey(from.ordinal, from.offset)) : undefined;
  const extent = value === undefined ? undefined : quietly(() => readExtent(new Cursor(value, 'move')));
  if (extent === undefined || !extent.sha256.equals(wanted.sha256)) return undefined;
  return wanted.length === undefined || wanted.length === extent.length ? extent : undefined;
}

function* locate(archive: Archive, stream: Stream): Generator<Located> {
  if (stream.body.form === 'extents') for (const extent of stream.body.extents) yield { length: extent.length, extent };
  if (stream.body.form === 'list') {
    yield* locateInList(archive, { ...stream.body.list, streamBytes: stream.sizeBytes }, stream.body.level);
  }
}

/** A list that cannot be read is one lost part of the bytes it covers. Levels fall, so this ends. */
function* locateInList(
  archive: Archive,
  list: Reference & { readonly streamBytes: number },
  level: number,
): Generator<Located> {
  const opened = openList(archive, list, level);
  if (opened instanceof RecoverError) {
    yield { length: list.streamBytes, lost: opened };
    return;
  }
  let left = list.streamBytes;
  if ('extents' in opened)
    for (const extent of opened.extents) {
      left -= extent.length;
      yield { length: extent.length, extent };
    }
  else
    for (const child of opened.children) {
      left -= child.streamBytes;
      if (left < 0) throw mismatch('a list covers more than it may');
      yield* locateInList(archive, child, level - 1);
    }
  if (left !== 0) throw mismatch('a list does not cover what it must');
}

function openList(archive: Archive, list: Reference, level: number) {
  const moved = movedTo(archive, { ordinal: list.ordinal, offset: 0 }, { length: undefined, sha256: list.sha256 });
  const places = [...(moved === undefined ? [] : [{ ordinal: moved.ordinal, sha256: list.sha256 }]), list];
  let failure: RecoverError | undefined;
  for (const place of places) {
    try {
      const node = readListNode(archive.reader.follow(place, kinds.list));
      if (node.level === level) return node;
      failure ??= mismatch('a list has another level than it must');
    } catch (error) {
      if (!(error instanceof RecoverError)) throw error;
      failure ??= error;
    }
  }
  return failure ?? mismatch('a list cannot be read');
}

/** A whole stream of at most `limitBytes`, for what must be in memory. @throws record.*, content.mismatch */
export function readWholeStream(archive: Archive, stream: Stream, limitBytes: number): Buffer {
  if (stream.body.form === 'inline') {
    if (!sha256(stream.body.bytes).equals(stream.contentHash)) throw mismatch('its bytes do not have its hash');
    return stream.body.bytes;
  }
  if (stream.sizeBytes > limitBytes) throw mismatch(`it is longer than ${limitBytes} bytes`);
  const whole = Buffer.alloc(stream.sizeBytes);
  for (const part of readStream(archive, stream)) {
    if ('lost' in part) throw part.lost;
    if ('bytes' in part) part.bytes.copy(whole, part.position);
  }
  return whole;
}
