import { corrupt } from '../errors.ts';
import { Cursor, HOLE, type Instant, readWhole } from './bytes.ts';
import { field, readFields, type Fields } from './fields.ts';
import { type Extent, type Reference, readExtents, readReference } from './reference.ts';
import { sha256 } from './sealing.ts';

/** What a row says there is, by the number of the format. */
export const rowTypes = {
  file: 1,
  directory: 2,
  symlink: 3,
  fifo: 4,
  socket: 5,
  characterDevice: 6,
  blockDevice: 7,
  absent: 8,
  partial: 9,
} as const;

/** Kinds of streams. */
export const streamKinds = { content: 0, xattrs: 1, fork: 2, alternate: 3 } as const;

/** How the bytes of a stream are found. */
export type StreamBody =
  | { readonly form: 'empty' }
  | { readonly form: 'inline'; readonly bytes: Buffer }
  | { readonly form: 'extents'; readonly extents: readonly Extent[] }
  | { readonly form: 'list'; readonly level: number; readonly list: Reference };

/** One stream of a file; `contentHash` is always known, computed where the row leaves it out. */
export type Stream = {
  readonly kind: number;
  readonly sizeBytes: number;
  readonly body: StreamBody;
  readonly contentHash: Buffer;
};

/** A row of the tree of names (§7); what the row does not say is undefined. */
export type Row = {
  readonly type: number;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly modifiedAt: Instant | undefined;
  readonly device: { readonly major: number; readonly minor: number } | undefined;
  readonly linkGroup: number | undefined;
  readonly target: Buffer | undefined;
  readonly streams: readonly Stream[];
  readonly directoryNumber: number | undefined;
  readonly since: number;
  readonly hangsIn: { readonly parent: number; readonly name: Buffer } | undefined;
  readonly fuzzy: boolean;
  readonly mountedAt: Buffer | undefined;
  /** Streams of kinds this reader does not know. */
  readonly unknownStreams: number;
};

const rules = {
  1: field('type', '!+'),
  2: field('sets'),
  3: field('mode'),
  4: field('uid'),
  5: field('gid'),
  6: field('user'),
  7: field('group'),
  8: field('modified'),
  9: field('changed'),
  10: field('born'),
  11: field('device'),
  12: field('link group'),
  13: field('target', '!'),
  14: field('stream', '!*'),
  15: field('directory number', '!'),
  16: field('since', '!'),
  17: field('hangs in', '!'),
  18: field('flags'),
  19: field('why absent'),
  20: field('mounted at'),
  21: field('platform attributes'),
};

const ROW_LIMIT_BYTES = 8_192;
const NAME_LIMIT_BYTES = 4_095;

/** Type of a row without reading all of it; 0 when it does not begin as a row does. */
export function peekRowType(value: Buffer): number {
  return value.length >= 3 && value[0] === 3 && value[1] === 1 ? value[2]! : 0;
}

/** Reads a row. @throws structure.corrupt */
export function readRow(value: Buffer): Row {
  if (value.length > ROW_LIMIT_BYTES) throw corrupt('row', 'it is too long');
  const fields = readFields(value, 'row', rules);
  const type = fields.count(1);
  if (type < 1 || type > 9) throw corrupt('row', `type ${type} is not known`);
  const target = fields.bytes(13);
  if (target !== undefined && (target.length > NAME_LIMIT_BYTES || target.includes(0)))
    throw corrupt('row', 'its target is not one');
  const streams = fields.all(14).map(readStream);
  return {
    type,
    mode: fields.number(3),
    uid: fields.number(4),
    gid: fields.number(5),
    modifiedAt: fields.instant(8),
    device: fields.read(11, (cursor) => ({ major: cursor.u32(), minor: cursor.u32() })),
    linkGroup: fields.read(12, (cursor) => cursor.u64()),
    target,
    streams: streams.filter((stream) => stream !== undefined),
    directoryNumber: fields.read(15, (cursor) => cursor.u64()),
    since: fields.number(16) ?? 0,
    hangsIn: fields.read(17, (cursor) => ({ parent: cursor.u64(), name: cursor.rest() })),
    fuzzy: ((fields.number(18) ?? 0) & 1) === 1,
    mountedAt: fields.bytes(20),
    unknownStreams: streams.filter((stream) => stream === undefined).length,
  };
}

/** Undefined for a stream of a kind that is not known: it must not pass for the content. */
function readStream(bytes: Buffer): Stream | undefined {
  const fields = readFields(bytes, 'stream', {
    1: field('kind'),
    2: field('size', '!+'),
    3: field('bytes', '!'),
    4: field('extents', '!'),
    5: field('list', '!'),
    6: field('content hash', '!'),
    7: field('plain hash'),
    8: field('name', '!'),
  });
  const kind = fields.number(1) ?? 0;
  if (kind > 3) return undefined;
  const sizeBytes = fields.count(2);
  const body = readBody(fields, { kind, sizeBytes });
  return { kind, sizeBytes, body, contentHash: contentHashOf(fields, body) };
}

function readBody(fields: Fields, stream: { readonly kind: number; readonly sizeBytes: number }): StreamBody {
  const forms = [3, 4, 5].filter((tag) => fields.bytes(tag) !== undefined);
  if (forms.length !== (stream.sizeBytes === 0 ? 0 : 1))
    throw corrupt('stream', 'its bytes are not given in exactly one form');
  const inline = fields.bytes(3);
  if (inline !== undefined) {
    const wrong = stream.kind === streamKinds.content || inline.length > 256 || inline.length !== stream.sizeBytes;
    if (wrong) throw corrupt('stream', 'its own bytes are not as they must be');
    return { form: 'inline', bytes: inline };
  }
  const extents = fields.read(4, readExtents);
  if (extents !== undefined) return checkedExtents(extents, stream.sizeBytes);
  const list = fields.read(5, (cursor) => ({ form: 'list' as const, level: cursor.u8(), list: readReference(cursor) }));
  return list ?? { form: 'empty' };
}

function checkedExtents(extents: readonly Extent[], sizeBytes: number): StreamBody {
  const sum = extents.reduce((total, extent) => total + extent.length, 0);
  if (extents.length > 16 || sum !== sizeBytes) throw corrupt('stream', 'its extents do not add up to its size');
  return { form: 'extents', extents };
}

function contentHashOf(fields: Fields, body: StreamBody): Buffer {
  const stated = fields.bytes(6);
  if (stated !== undefined) return fields.fixed(6, 32);
  if (body.form === 'empty') return sha256(Buffer.alloc(0));
  if (body.form === 'inline') return sha256(body.bytes);
  const only = body.form === 'extents' && body.extents.length === 1 ? body.extents[0] : undefined;
  if (only !== undefined && only.ordinal !== HOLE) return only.sha256;
  throw corrupt('stream', 'its content hash is missing');
}

/** What a piece adds to the hash of a content of several pieces. */
export function pieceEntry(piece: Extent): Buffer {
  const entry = Buffer.alloc(40);
  entry.writeBigUInt64LE(BigInt(piece.length));
  piece.sha256.copy(entry, 8);
  return entry;
}

/** One extended attribute. */
export type Xattr = { readonly name: Buffer; readonly value: Buffer };

/** Reads the bytes of a stream of extended attributes. @throws structure.corrupt */
export function readXattrs(bytes: Buffer): readonly Xattr[] {
  const cursor = new Cursor(bytes, 'extended attributes');
  const xattrs: Xattr[] = [];
  while (cursor.left > 0) {
    const name = cursor.take(cursor.varint());
    const before = xattrs.at(-1);
    if (name.length === 0 || name.includes(0)) throw corrupt('extended attributes', 'a name is empty or holds a zero');
    if (before !== undefined && Buffer.compare(before.name, name) >= 0)
      throw corrupt('extended attributes', 'names do not rise');
    xattrs.push({ name, value: cursor.take(cursor.varint()) });
  }
  return xattrs;
}

/** Checks that a name may stand in a directory. @throws structure.corrupt */
export function checkName(name: Buffer): Buffer {
  const plain = name.toString('latin1');
  const bad =
    name.length === 0 || name.length > NAME_LIMIT_BYTES || plain === '.' || plain === '..' || /[\0/]/.test(plain);
  if (bad) throw corrupt('name', 'it may not stand in a directory');
  return name;
}

/** Time and commit hash in a row of space 2. @throws structure.corrupt */
export function readCommitRow(value: Buffer): { readonly at: Instant; readonly hash: Buffer } {
  return readWhole(value, 'commit row', (cursor) => ({ at: cursor.instant(), hash: cursor.take(32) }));
}
