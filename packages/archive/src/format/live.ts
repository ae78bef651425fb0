import { corrupt } from '../errors.ts';
import { ByteReader, ByteWriter } from './cursor.ts';
import { defineFields, FieldReader, FieldWriter, type WithUnknown } from './fields.ts';
import { type Ordinal, sequenceOf, writerOf } from './ordinal.ts';

/** Sequence numbers from `first` to `last`, both included. */
export type Stretch = { readonly first: number; readonly last: number };

/** How a range says which of its ordinals are needed: lengths of runs by turns, or a bit each. */
export type LiveForm = 'runs' | 'bitmap';

/** Which of a writer's records from `first` to `last` are needed, packed as in the record: see `neededStretches`. */
export type LiveRange = Stretch & {
  readonly writer: number;
  readonly form: LiveForm;
  readonly packed: Uint8Array;
};

/** The open part of a live record: one part of a live set. */
export type LivePart = WithUnknown & {
  readonly number: number;
  /** From 1. */
  readonly part: number;
  readonly parts: number;
  /** The commit that justifies it: its number and the SHA-256 of its whole record. */
  readonly commit: { readonly number: number; readonly sha256: Uint8Array };
  /** By rising writer and sequence, apart from each other. */
  readonly ranges: readonly LiveRange[];
};

const liveFields = defineFields('live', { 1: 'must', 2: 'must', 3: 'must', 4: 'must', 5: 'must repeated' });
const rangeFields = defineFields('live range', { 1: 'must', 2: 'must', 3: 'must', 4: 'must', 5: 'must' });
const maxSequence = 0xffffffff;

/** Reads the open part of a live record. Allocates nothing that grows with the ranges. @throws archive.corrupt, archive.unknown_field */
export function parseLive(open: Uint8Array): LivePart {
  const fields = new FieldReader(open, liveFields);
  let [number, part, parts]: (number | undefined)[] = [];
  let commit: LivePart['commit'] | undefined;
  const ranges: LiveRange[] = [];
  while (fields.next()) {
    if (fields.tag === 1) number = fields.number();
    else if (fields.tag === 2) part = fields.number();
    else if (fields.tag === 3) parts = fields.number();
    else if (fields.tag === 4) commit = { number: fields.value.u64(), sha256: fields.value.take(32) };
    else ranges.push(parseRange(fields.bytes()));
  }
  const live = {
    number: fields.required(number, 1),
    part: fields.required(part, 2),
    parts: fields.required(parts, 3),
    commit: fields.required(commit, 4),
  };
  if (live.part < 1 || live.part > live.parts) throw corrupt('live: its part is not one of its parts');
  for (const [index, range] of ranges.entries()) {
    if (index > 0 && !isBehind(ranges[index - 1]!, range)) throw corrupt('live: its ranges do not rise');
  }
  return { ...live, ranges, ...fields.kept() };
}

/** The open part of a live record. */
export function encodeLive(live: LivePart): Uint8Array<ArrayBuffer> {
  const { commit } = live;
  const fields = new FieldWriter(liveFields, live.unknown);
  fields.number(1, live.number).number(2, live.part).number(3, live.parts);
  fields.built(4, (writer) => writer.u64(commit.number).put(commit.sha256));
  for (const range of live.ranges) fields.bytes(5, encodeRange(range));
  return fields.finish();
}

/** Packs the needed stretches of a range (rising, apart from each other, within it) into the shorter form. */
export function packLiveRange(writer: number, range: Stretch, needed: Iterable<Stretch>): LiveRange {
  const { first, last } = range;
  const bitmapBytes = Math.ceil((last - first + 1) / 8);
  const stretches = [...needed];
  const runs = packRuns(first, stretches);
  return runs.length <= bitmapBytes
    ? { writer, first, last, form: 'runs', packed: runs }
    : { writer, first, last, form: 'bitmap', packed: packBitmap(first, stretches, bitmapBytes) };
}

/** The needed sequences of a range, as stretches that rise and do not touch. @throws archive.corrupt when it is packed wrongly. */
export function neededStretches(range: LiveRange): Generator<Stretch> {
  return range.form === 'runs' ? unpackRuns(range) : unpackBitmap(range);
}

/** Whether a record may be let go as far as these parts of one complete set say: covered and not named. */
export function isLetGo(parts: readonly LivePart[], ordinal: Ordinal): boolean {
  const writer = writerOf(ordinal);
  const sequence = sequenceOf(ordinal);
  const holds = ({ first, last }: Stretch) => first <= sequence && sequence <= last;
  for (const part of parts) {
    const range = part.ranges.find((candidate) => candidate.writer === writer && holds(candidate));
    if (range !== undefined) return !neededStretches(range).some(holds);
  }
  return false;
}

function isBehind(before: LiveRange, range: LiveRange): boolean {
  return before.writer < range.writer || (before.writer === range.writer && before.last < range.first);
}

function parseRange(bytes: Uint8Array): LiveRange {
  const fields = new FieldReader(bytes, rangeFields);
  let [writer, first, last, form]: (number | undefined)[] = [];
  let packed: Uint8Array | undefined;
  while (fields.next()) {
    if (fields.tag === 1) writer = fields.number(0xffff);
    else if (fields.tag === 2) first = fields.number(maxSequence);
    else if (fields.tag === 3) last = fields.number(maxSequence);
    else if (fields.tag === 4) form = fields.number();
    else packed = fields.bytes();
  }
  const range = {
    writer: fields.required(writer, 1),
    first: fields.required(first, 2),
    last: fields.required(last, 3),
    form: formOf(fields.required(form, 4)),
    packed: fields.required(packed, 5),
  };
  if (range.last < range.first) throw corrupt('live range: it ends before it begins');
  checkPacked(range);
  return range;
}

function encodeRange(range: LiveRange): Uint8Array {
  return new FieldWriter(rangeFields)
    .number(1, range.writer)
    .number(2, range.first)
    .number(3, range.last)
    .number(4, range.form === 'runs' ? 1 : 2)
    .bytes(5, range.packed)
    .finish();
}

function formOf(number: number): LiveForm {
  if (number === 1) return 'runs';
  if (number === 2) return 'bitmap';
  throw corrupt(`live range: form ${number} does not exist`);
}

function checkPacked(range: LiveRange): void {
  if (range.form === 'runs') {
    for (const stretch of unpackRuns(range)) if (stretch.last > range.last) throw corrupt('live runs: one is too long');
    return;
  }
  const { packed } = range;
  const count = range.last - range.first + 1;
  if (packed.length !== Math.ceil(count / 8)) throw corrupt('live bitmap: it has another length than its range');
  if (count % 8 !== 0 && (packed.at(-1) ?? 0) >> (count % 8) !== 0)
    throw corrupt('live bitmap: bits behind its end are set');
}

function* unpackRuns({ first, last, packed }: LiveRange): Generator<Stretch> {
  const reader = new ByteReader(packed, 'live runs');
  let at = first;
  for (let isNeeded = false; reader.remaining > 0; isNeeded = !isNeeded) {
    const count = reader.varint(last - at + 1);
    if (count === 0 && (isNeeded || at !== first)) throw reader.corrupt('a run is empty');
    if (isNeeded) yield { first: at, last: at + count - 1 };
    at += count;
  }
}

function* unpackBitmap({ first, last, packed }: LiveRange): Generator<Stretch> {
  const count = last - first + 1;
  let start = -1;
  for (let bit = 0; bit < count; bit += 1) {
    const isNeeded = ((packed[Math.floor(bit / 8)]! >> (bit % 8)) & 1) === 1;
    if (isNeeded && start < 0) start = bit;
    if (isNeeded || start < 0) continue;
    yield { first: first + start, last: first + bit - 1 };
    start = -1;
  }
  if (start >= 0) yield { first: first + start, last };
}

function packRuns(first: number, needed: readonly Stretch[]): Uint8Array {
  const writer = new ByteWriter();
  let at = first;
  for (const stretch of needed) {
    writer.varint(stretch.first - at).varint(stretch.last - stretch.first + 1);
    at = stretch.last + 1;
  }
  return writer.written();
}

function packBitmap(first: number, needed: readonly Stretch[], bytes: number): Uint8Array {
  const bitmap = new Uint8Array(bytes);
  for (const stretch of needed) {
    for (let at = stretch.first - first; at <= stretch.last - first; at += 1) {
      bitmap[Math.floor(at / 8)]! |= 1 << (at % 8);
    }
  }
  return bitmap;
}
