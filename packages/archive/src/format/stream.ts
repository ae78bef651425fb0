import { corrupt } from '../errors.ts';
import type { ByteReader } from './cursor.ts';
import {
  type Extent,
  extentBytes,
  isHole,
  lengthOfExtents,
  readExtents,
  readReference,
  type Reference,
  writeExtent,
  writeReference,
} from './extent.ts';
import { defineFields, FieldReader, FieldWriter, type WithUnknown } from './fields.ts';
import { maxListLevel } from './list.ts';

/** What a stream of a file is; by the numbers of the format, from 0. */
export const streamKinds = ['content', 'xattrs', 'fork', 'alternate'] as const;

/** The kind of a stream. A kind that a newer version wrote comes as its number: passed over, and said. */
export type StreamKind = (typeof streamKinds)[number] | number;

/** The most bytes that lie in the row itself, and the most extents. */
export const maxInlineBytes = 256;
export const maxInlineExtents = 16;

/** One stream of a file: its content, its extended attributes, a fork. At most one of `bytes`, `extents`, `list` is there; none when empty. */
export type StreamRef = WithUnknown & {
  readonly kind: StreamKind;
  /** Bytes of the stream. */
  readonly size: number;
  /** The stream itself, at most 256 bytes; never of contents. */
  readonly bytes?: Uint8Array;
  /** At most 16, in order. */
  readonly extents?: readonly Extent[];
  /** Where there are more. */
  readonly list?: { readonly level: number; readonly list: Reference };
  /** Where it does not follow from the rest: more than one extent, a hole, or a list. */
  readonly contentHash?: Uint8Array;
  /** SHA-256 of the whole stream, where policy asks for it. */
  readonly plainSha256?: Uint8Array;
  /** Of forks and alternate streams. */
  readonly name?: Uint8Array;
};

const streamFields = defineFields('stream', {
  1: 'may',
  2: 'must',
  3: 'must',
  4: 'must',
  5: 'must',
  6: 'must',
  7: 'may',
  8: 'must',
});

type Draft = { -readonly [K in keyof StreamRef]?: StreamRef[K] };

const readField: Readonly<Record<number, (stream: Draft, fields: FieldReader) => void>> = {
  1: (stream, fields) => (stream.kind = kindOf(fields.number())),
  2: (stream, fields) => (stream.size = fields.number()),
  3: (stream, fields) => (stream.bytes = fields.bytes(maxInlineBytes)),
  4: (stream, fields) => (stream.extents = readInlineExtents(fields)),
  5: (stream, fields) => (stream.list = readListRef(fields.value)),
  6: (stream, fields) => (stream.contentHash = fields.exactly(32)),
  7: (stream, fields) => (stream.plainSha256 = fields.exactly(32)),
  8: (stream, fields) => (stream.name = fields.bytes()),
};

/** Reads the fields of a stream and checks that its size and its pieces agree. @throws archive.corrupt */
export function parseStream(bytes: Uint8Array): StreamRef {
  const fields = new FieldReader(bytes, streamFields);
  const draft: Draft = {};
  while (fields.next()) readField[fields.tag]!(draft, fields);
  const stream = {
    ...draft,
    kind: draft.kind ?? 'content',
    size: fields.required(draft.size, 2),
    ...fields.kept(),
  };
  checkPieces(stream);
  return stream;
}

/** The fields of a stream. */
export function encodeStream(stream: StreamRef): Uint8Array<ArrayBuffer> {
  const { kind, extents, list } = stream;
  const number = typeof kind === 'number' ? kind : streamKinds.indexOf(kind);
  const fields = new FieldWriter(streamFields, stream.unknown);
  fields
    .number(1, number === 0 ? undefined : number)
    .number(2, stream.size)
    .bytes(3, stream.bytes);
  if (extents !== undefined) fields.built(4, (writer) => extents.forEach((extent) => writeExtent(writer, extent)));
  if (list !== undefined) fields.built(5, (writer) => writeReference(writer.u8(list.level), list.list));
  return fields.bytes(6, stream.contentHash).bytes(7, stream.plainSha256).bytes(8, stream.name).finish();
}

function kindOf(number: number): StreamKind {
  return streamKinds[number] ?? number;
}

function readInlineExtents(fields: FieldReader): Extent[] {
  if (fields.value.remaining > maxInlineExtents * extentBytes) throw corrupt('stream: it has more than 16 extents');
  return readExtents(fields.value);
}

function readListRef(reader: ByteReader): { level: number; list: Reference } {
  const level = reader.u8();
  if (level > maxListLevel) throw reader.corrupt(`a list of level ${level} does not exist`);
  return { level, list: readReference(reader) };
}

function checkPieces(stream: StreamRef): void {
  const { bytes, extents, list, size } = stream;
  const forms = [bytes, extents, list].filter((form) => form !== undefined).length;
  if (forms !== (size === 0 ? 0 : 1)) throw corrupt(`stream: ${size} bytes lie in ${forms} forms`);
  if (bytes !== undefined && stream.kind === 'content') throw corrupt('stream: a content lies in its row');
  const covered = bytes?.length ?? (extents === undefined ? size : lengthOfExtents(extents));
  if (covered !== size) throw corrupt('stream: its bytes or extents are not as long as its size');
  if (stream.contentHash === undefined && isHashNeeded(stream)) {
    throw corrupt('stream: the content hash of several pieces is missing');
  }
}

/** Whether the content hash cannot be had from the stream itself. */
function isHashNeeded({ extents, list }: StreamRef): boolean {
  return list !== undefined || (extents !== undefined && (extents.length > 1 || isHole(extents[0]!)));
}
