import { archiveErrors, corrupt } from '../errors.ts';
import { ByteReader, ByteWriter } from './cursor.ts';
import { defineFields, FieldReader, FieldWriter, type WithUnknown } from './fields.ts';
import { isFileName } from './map-key.ts';
import { encodeStream, parseStream, type StreamRef } from './stream.ts';
import { readTime, type Time, writeTime } from './time.ts';

/** What a row says a name is; by the numbers of the format, from 1. */
export const rowTypes = [
  'file',
  'directory',
  'symlink',
  'fifo',
  'socket',
  'character_device',
  'block_device',
  'absent',
  'partial',
] as const;

/** The type of a row. `absent` is a deletion; `partial` is never shown. */
export type RowType = (typeof rowTypes)[number];

/** Why a name is absent: it was gone, or it left the selection. */
export type AbsenceReason = 'gone' | 'unselected';

/** The most bytes of an encoded row. */
export const maxRowBytes = 8192;

/** The longest target of a symbolic link. */
export const maxTargetBytes = 4095;

/** The value of a key of space 1: what holds of a name from a commit on. */
export type Row = WithUnknown & {
  readonly type: RowType;
  /** Numbers of the backup sets that selected it. */
  readonly sets?: readonly number[];
  /** The low 12 bits. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly userName?: Uint8Array;
  readonly groupName?: Uint8Array;
  readonly modifiedAt?: Time;
  readonly changedAt?: Time;
  readonly bornAt?: Time;
  /** Device number (character and block devices). */
  readonly device?: { readonly major: number; readonly minor: number };
  /** Names with the same group are one file. */
  readonly linkGroup?: number;
  /** Target of a symbolic link. */
  readonly target?: Uint8Array;
  /** Content first. */
  readonly streams?: readonly StreamRef[];
  /** Of entries of directories. */
  readonly directoryNumber?: number;
  /** Rows inside the directory below this commit number do not count. */
  readonly since?: number;
  /** Where a directory hangs (own rows). */
  readonly parent?: { readonly directoryNumber: number; readonly name: Uint8Array };
  /** Bit 0: fuzzy. Bits without a meaning are kept. */
  readonly flags?: number;
  readonly absence?: AbsenceReason;
  /** Where a volume was mounted last (own rows of volumes). */
  readonly mountPoint?: Uint8Array;
  /** Platform attributes, none of which is defined: kept as they are. */
  readonly platform?: Uint8Array;
};

/** The bit of `flags` that says the file changed each time it was read. */
export const fuzzyFlag = 1;

/** Whether the content is a mixture of what the file was while it was read. */
export function isFuzzy(row: Row): boolean {
  return ((row.flags ?? 0) & fuzzyFlag) !== 0;
}

const rowFields = defineFields('row', {
  1: 'must',
  2: 'may',
  3: 'may',
  4: 'may',
  5: 'may',
  6: 'may',
  7: 'may',
  8: 'may',
  9: 'may',
  10: 'may',
  11: 'may',
  12: 'may',
  13: 'must',
  14: 'must repeated',
  15: 'must',
  16: 'must',
  17: 'must',
  18: 'may',
  19: 'may',
  20: 'may',
  21: 'may',
});

const platformFields = defineFields('platform attributes', {});

const u32Max = 0xffffffff;

type Draft = { -readonly [K in keyof Row]?: Row[K] } & { streams?: StreamRef[] };

const readField: Readonly<Record<number, (row: Draft, fields: FieldReader) => void>> = {
  1: (row, fields) => (row.type = readType(fields)),
  2: (row, fields) => (row.sets = readNumbers(fields)),
  3: (row, fields) => (row.mode = fields.number(0o7777)),
  4: (row, fields) => (row.uid = fields.number(u32Max)),
  5: (row, fields) => (row.gid = fields.number(u32Max)),
  6: (row, fields) => (row.userName = fields.bytes()),
  7: (row, fields) => (row.groupName = fields.bytes()),
  8: (row, fields) => (row.modifiedAt = fields.time()),
  9: (row, fields) => (row.changedAt = fields.time()),
  10: (row, fields) => (row.bornAt = fields.time()),
  11: (row, fields) => (row.device = { major: fields.value.u32(), minor: fields.value.u32() }),
  12: (row, fields) => (row.linkGroup = fields.value.u64()),
  13: (row, fields) => (row.target = fields.bytes(maxTargetBytes)),
  14: (row, fields) => void (row.streams ??= []).push(parseStream(fields.bytes())),
  15: (row, fields) => (row.directoryNumber = fields.value.u64()),
  16: (row, fields) => (row.since = fields.number()),
  17: (row, fields) => (row.parent = readParent(fields)),
  18: (row, fields) => (row.flags = fields.number(u32Max)),
  19: (row, fields) => readAbsence(row, fields),
  20: (row, fields) => (row.mountPoint = fields.bytes()),
  21: (row, fields) => (row.platform = readPlatform(fields)),
};

/** Reads the value of a key of space 1. Byte strings are views. @throws archive.corrupt, archive.unknown_field */
export function parseRow(value: Uint8Array): Row {
  if (value.length > maxRowBytes) throw corrupt('row: it has more than 8,192 bytes');
  const fields = new FieldReader(value, rowFields);
  const row: Draft = {};
  while (fields.next()) readField[fields.tag]!(row, fields);
  const type = fields.required(row.type, 1);
  if (type === 'symlink' && row.target === undefined) throw corrupt('row: field 13 is missing');
  checkStreams(row.streams ?? []);
  return { ...row, type, ...fields.kept() };
}

/** The value of a key of space 1. @throws archive.too_large above 8,192 bytes. */
export function encodeRow(row: Row): Uint8Array<ArrayBuffer> {
  const fields = new FieldWriter(rowFields, row.unknown).number(1, rowTypes.indexOf(row.type) + 1);
  putOwner(fields, row);
  fields.time(8, row.modifiedAt).time(9, row.changedAt).time(10, row.bornAt);
  const { device, parent, absence } = row;
  if (device !== undefined) fields.built(11, (writer) => writer.u32(device.major).u32(device.minor));
  fields.u64(12, row.linkGroup).bytes(13, row.target);
  for (const stream of row.streams ?? []) fields.bytes(14, encodeStream(stream));
  fields.u64(15, row.directoryNumber).number(16, row.since);
  if (parent !== undefined) fields.built(17, (writer) => writer.u64(parent.directoryNumber).put(parent.name));
  fields.number(18, row.flags).number(19, absence === undefined ? undefined : absence === 'gone' ? 1 : 2);
  const value = fields.bytes(20, row.mountPoint).bytes(21, row.platform).finish();
  if (value.length > maxRowBytes) throw archiveErrors.too_large({ what: 'row', bytes: value.length });
  return value;
}

function putOwner(fields: FieldWriter, row: Row): void {
  const { sets } = row;
  if (sets !== undefined) fields.built(2, (writer) => sets.forEach((set) => writer.varint(set)));
  fields.number(3, row.mode).number(4, row.uid).number(5, row.gid);
  fields.bytes(6, row.userName).bytes(7, row.groupName);
}

function readType(fields: FieldReader): RowType {
  const number = fields.number();
  const type = rowTypes[number - 1];
  if (type === undefined) throw archiveErrors.unknown_field({ what: 'row', type: number });
  return type;
}

function readNumbers(fields: FieldReader): number[] {
  const numbers: number[] = [];
  while (fields.value.remaining > 0) numbers.push(fields.number());
  return numbers;
}

function readParent(fields: FieldReader): { directoryNumber: number; name: Uint8Array } {
  const directoryNumber = fields.value.u64();
  const name = fields.bytes();
  if (!isFileName(name)) throw corrupt('row: a directory hangs under a name that is none');
  return { directoryNumber, name };
}

function readAbsence(row: Draft, fields: FieldReader): void {
  const number = fields.number();
  if (number === 1) row.absence = 'gone';
  else if (number === 2) row.absence = 'unselected';
  else fields.unknown.push({ tag: 19, value: new ByteWriter(8).varint(number).written() });
}

function readPlatform(fields: FieldReader): Uint8Array {
  const value = fields.bytes();
  const platform = new FieldReader(value, platformFields);
  while (platform.next()) continue;
  return value;
}

function checkStreams(streams: readonly StreamRef[]): void {
  const contents = streams.filter((stream) => stream.kind === 'content').length;
  if (contents > 1) throw corrupt('row: it has two contents');
  if (contents === 1 && streams[0]!.kind !== 'content') throw corrupt('row: the content is not its first stream');
}

/** The type of an encoded row, without reading the rest. @throws archive.corrupt, archive.unknown_field */
export function rowTypeOf(value: Uint8Array): RowType {
  const fields = new FieldReader(value, rowFields);
  if (!fields.next() || fields.tag !== 1) throw corrupt('row: field 1 is missing');
  return readType(fields);
}

/** The content of a file; undefined for what has none. */
export function contentOf(row: Row): StreamRef | undefined {
  return row.streams?.[0]?.kind === 'content' ? row.streams[0] : undefined;
}

/** Reads the value of a key of space 2: a commit's time and the SHA-256 of its whole record. */
export function parseCommitRow(value: Uint8Array): { readonly time: Time; readonly sha256: Uint8Array } {
  const reader = new ByteReader(value, 'commit row');
  const time = readTime(reader);
  const sha256 = reader.take(32);
  reader.expectEnd();
  return { time, sha256 };
}

/** The value of a key of space 2. */
export function encodeCommitRow(row: { readonly time: Time; readonly sha256: Uint8Array }): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(44);
  writeTime(writer, row.time);
  return writer.put(row.sha256).written();
}
