import { corrupt } from '../errors.ts';
import { type Cursor, type Instant, type Ordinal, readWhole } from './bytes.ts';
import { field, readFields } from './fields.ts';
import { readKeyringName } from './keyring.ts';
import { type Reference, readReference } from './reference.ts';
import { readEntries, type Entry } from './tree.ts';

/** The open part of a commit record. */
export type CommitOpen = {
  readonly number: number;
  readonly previousHash: Buffer;
  readonly checkpoint: number;
  readonly featuresToRead: readonly string[];
};

/** The sealed part of a commit record. */
export type CommitSealed = {
  readonly at: Instant;
  readonly corrections: readonly { readonly commit: number; readonly at: Instant }[];
  readonly keyring: { readonly number: number; readonly hash: Buffer };
  readonly root: Reference | undefined;
  readonly puts: readonly Entry[];
};

/** Reads the open part of a commit. @throws structure.corrupt */
export function readCommitOpen(open: Buffer): CommitOpen {
  const fields = readFields(open, 'commit', {
    1: field('number', '!+'),
    2: field('hash of the commit before', '!+'),
    3: field('newest checkpoint', '!+'),
    4: field('feature needed to read', '!*'),
    5: field('feature needed to write', '*'),
  });
  const number = fields.count(1);
  const checkpoint = fields.count(3);
  if (number < 1 || checkpoint > number) throw corrupt('commit', 'its numbers are out of order');
  return { number, previousHash: fields.fixed(2, 32), checkpoint, featuresToRead: fields.all(4).map(String) };
}

/** Reads the raw bytes of a commit's sealed part. @throws structure.corrupt */
export function readCommitSealed(raw: Buffer): CommitSealed {
  const fields = readFields(raw, 'commit', {
    1: field('time', '!+'),
    2: field('correction', '*'),
    3: field('keyring', '!+'),
    4: field('head of the key log'),
    5: field('root', '!'),
    6: field('puts', '!'),
  });
  const root = fields.bytes(5);
  return {
    at: fields.need(1, fields.instant(1)),
    corrections: fields
      .all(2)
      .map((bytes) => readWhole(bytes, 'correction', (cursor) => ({ commit: cursor.u64(), at: cursor.instant() }))),
    keyring: readKeyringName(fields.need(3, fields.bytes(3))),
    root: root === undefined ? undefined : readWhole(root, 'root', readReference),
    puts: readEntries(fields.bytes(6) ?? Buffer.alloc(0), 'puts'),
  };
}

/** One part of a live set. */
export type LivePart = {
  readonly setNumber: number;
  readonly part: number;
  readonly parts: number;
  readonly commit: { readonly number: number; readonly hash: Buffer };
  readonly ranges: readonly LiveRange[];
};

/** A stretch of one writer's sequences; `runs` are first and last sequence of what is needed in it, by turns. */
export type LiveRange = { readonly first: Ordinal; readonly last: Ordinal; readonly runs: Float64Array };

/** Reads the open part of a live record. @throws structure.corrupt */
export function readLivePart(open: Buffer): LivePart {
  const fields = readFields(open, 'live', {
    1: field('set number', '!+'),
    2: field('part', '!+'),
    3: field('parts', '!+'),
    4: field('commit', '!+'),
    5: field('range', '!*'),
  });
  const part = fields.count(2);
  const parts = fields.count(3);
  if (part < 1 || part > parts) throw corrupt('live', 'its part is out of bounds');
  return {
    setNumber: fields.count(1),
    part,
    parts,
    commit: fields.need(
      4,
      fields.read(4, (cursor: Cursor) => ({ number: cursor.u64(), hash: cursor.take(32) })),
    ),
    ranges: fields.all(5).map(readRange),
  };
}

function readRange(bytes: Buffer): LiveRange {
  const fields = readFields(bytes, 'range', {
    1: field('writer', '!+'),
    2: field('first', '!+'),
    3: field('last', '!+'),
    4: field('form', '!+'),
    5: field('bytes', '!+'),
  });
  const [writer, first, last, form] = [fields.count(1), fields.count(2), fields.count(3), fields.count(4)];
  if (writer > 0xffff || last > 0xffffffff || first > last) throw corrupt('range', 'its bounds are out of order');
  if (form !== 1 && form !== 2) throw corrupt('range', `form ${form} is not known`);
  const base = writer * 2 ** 32;
  const read = form === 1 ? runsOfTurns : runsOfBitmap;
  const runs = fields.need(
    5,
    fields.read(5, (cursor) => read(cursor, last - first + 1)),
  );
  return { first: base + first, last: base + last, runs: Float64Array.from(runs, (offset) => base + first + offset) };
}

/** Form 1: not needed, needed, not needed, … from the first sequence on. */
function runsOfTurns(cursor: Cursor, length: number): number[] {
  const runs: number[] = [];
  let at = 0;
  let needed = false;
  while (cursor.left > 0) {
    const count = cursor.varint();
    if (count === 0 && (at > 0 || needed)) throw corrupt('range', 'a count is zero');
    if (count > length - at) throw corrupt('range', 'its counts pass its end');
    if (needed && count > 0) runs.push(at, at + count - 1);
    at += count;
    needed = !needed;
  }
  return runs;
}

/** Form 2: a bitmap, low bit first. */
function runsOfBitmap(cursor: Cursor, length: number): number[] {
  const bits = cursor.rest();
  if (bits.length * 8 < length || bits.length > Math.ceil(length / 8))
    throw corrupt('range', 'its bitmap has another length');
  if (length % 8 !== 0 && bits[bits.length - 1]! >> (length % 8) !== 0)
    throw corrupt('range', 'bits are set behind its end');
  const runs: number[] = [];
  let from: number | undefined;
  for (let index = 0; index < length; index += 1) {
    const needed = (bits[index >> 3]! >> (index & 7)) & 1;
    if (needed === 1) from ??= index;
    else if (from !== undefined) {
      runs.push(from, index - 1);
      from = undefined;
    }
  }
  if (from !== undefined) runs.push(from, length - 1);
  return runs;
}
