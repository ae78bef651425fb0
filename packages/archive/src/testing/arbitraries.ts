import fc from 'fast-check';

import type { CommitOpen, CommitSealed } from '../format/commit.ts';
import { compareBytes } from '../format/cursor.ts';
import { type Extent, holesOf, lengthOfExtents, type Reference } from '../format/extent.ts';
import type { UnknownField } from '../format/fields.ts';
import { type ArchiveHeader, draftRevision } from '../format/header.ts';
import type { Keyring, KeyringSlot, Ring, Writer } from '../format/keyring.ts';
import { writerOrigins } from '../format/keyring.ts';
import type { List } from '../format/list.ts';
import { type LivePart, packLiveRange } from '../format/live.ts';
import type { Row } from '../format/row.ts';
import { rowTypes } from '../format/row.ts';
import type { StreamRef } from '../format/stream.ts';
import type { Time } from '../format/time.ts';
import type { MapEntry, TreeNode } from '../format/tree-node.ts';

/** Random values of every structure of the format, for property tests: valid ones, with the bounds among them. */

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const hash = bytesOf(32);
const u16 = fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 0xffff }));
const u32 = fc.oneof(fc.nat({ max: 300 }), fc.integer({ min: 0, max: 0xffffffff }));
const number = fc.oneof(fc.nat({ max: 300 }), u32, fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
const ordinal = fc.integer({ min: 0, max: 2 ** 48 - 2 });
const reference: fc.Arbitrary<Reference> = fc.record({ ordinal, sha256: hash });
const text = fc.string({ unit: 'grapheme', maxLength: 20 });

/** Drops what is undefined, so that records can have optional parts. */
function partial<T extends object>(
  values: { [K in keyof T]: fc.Arbitrary<T[K]> },
  required: (keyof T & string)[],
): fc.Arbitrary<T> {
  return fc.record(values, { requiredKeys: required as never, noNullPrototype: true }) as fc.Arbitrary<T>;
}

/** An instant, also before 1970. */
export const time: fc.Arbitrary<Time> = fc.record({
  seconds: fc.oneof(fc.integer(), fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER })),
  nanoseconds: fc.nat({ max: 999_999_999 }),
});

/** Unknown fields above every known tag, so that they come back in the order they are in. */
const unknown: fc.Arbitrary<UnknownField[]> = fc
  .array(fc.record({ tag: fc.integer({ min: 30, max: 2 ** 40 }), value: fc.uint8Array({ maxLength: 20 }) }), {
    minLength: 1,
    maxLength: 3,
  })
  .map((fields) => fields.toSorted((a, b) => a.tag - b.tag));

const block: fc.Arbitrary<Extent> = fc
  .record({ ordinal, offset: fc.nat({ max: 2 ** 22 - 1 }), length: fc.integer({ min: 1, max: 2 ** 22 }), sha256: hash })
  .map((extent) => ({ ...extent, length: Math.min(extent.length, 2 ** 22 - extent.offset) }));
const hole = fc.integer({ min: 1, max: 2 ** 31 }).map((length) => holesOf(length)[0]!);

/** A piece of a record, or a hole. */
export const extent: fc.Arbitrary<Extent> = fc.oneof({ weight: 3, arbitrary: block }, { weight: 1, arbitrary: hole });

const xattrBytes = fc.uint8Array({ minLength: 1, maxLength: 256 });
const streamTail = partial<Partial<StreamRef>>(
  { plainSha256: hash, name: fc.uint8Array({ maxLength: 30 }), unknown },
  [],
);

/** A stream in one of its four forms. */
export const stream: fc.Arbitrary<StreamRef> = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('content', 'xattrs', 'fork', 'alternate'),
      fc.array(extent, { minLength: 1, maxLength: 16 }),
      hash,
      streamTail,
    )
    .map(([kind, extents, contentHash, tail]) => ({
      ...tail,
      kind: kind as 'content',
      size: lengthOfExtents(extents),
      extents,
      contentHash,
    })),
  fc
    .tuple(reference, fc.nat({ max: 2 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), hash, streamTail)
    .map(([list, level, size, contentHash, tail]) => ({
      ...tail,
      kind: 'content' as const,
      size,
      list: { level, list },
      contentHash,
    })),
  fc
    .tuple(xattrBytes, streamTail)
    .map(([bytes, tail]) => ({ ...tail, kind: 'xattrs' as const, size: bytes.length, bytes })),
  fc
    .tuple(fc.constantFrom('content', 'fork', 77), streamTail)
    .map(([kind, tail]) => ({ ...tail, kind: kind as 'content', size: 0 })),
);

const fileName = fc
  .uint8Array({ minLength: 1, maxLength: 40, min: 1 })
  .filter((name) => !name.includes(0x2f) && name[0] !== 0x2e);

/** A row of any type with any fields. */
export const row: fc.Arbitrary<Row> = partial<Row>(
  {
    type: fc.constantFrom(...rowTypes),
    sets: fc.array(number, { maxLength: 5 }),
    mode: fc.nat({ max: 0o7777 }),
    uid: u32,
    gid: u32,
    userName: fc.uint8Array({ maxLength: 40 }),
    groupName: fc.uint8Array({ maxLength: 40 }),
    modifiedAt: time,
    changedAt: time,
    bornAt: time,
    device: fc.record({ major: u32, minor: u32 }),
    linkGroup: number,
    target: fc.uint8Array({ maxLength: 300 }),
    streams: fc.array(stream, { maxLength: 3 }),
    directoryNumber: number,
    since: number,
    parent: fc.record({ directoryNumber: number, name: fileName }),
    flags: u32,
    absence: fc.constantFrom('gone' as const, 'unselected' as const),
    mountPoint: fc.uint8Array({ maxLength: 50 }),
    platform: fc.constant(Uint8Array.of(2, 1, 0xff)),
    unknown,
  },
  ['type', 'target'],
).map((made) => ({ ...made, streams: orderStreams(made.streams ?? []) }));

/** At most one content, and that first. */
function orderStreams(streams: readonly StreamRef[]): StreamRef[] {
  const content = streams.find(({ kind }) => kind === 'content');
  const others = streams.filter(({ kind }) => kind !== 'content');
  return content === undefined ? others : [content, ...others];
}

/** Entries by rising key, many of which share their beginning. */
export const entries: fc.Arbitrary<MapEntry[]> = fc
  .array(
    fc.record({
      key: fc
        .tuple(fc.constantFrom([1], [1, 2, 3, 4], Array<number>(300).fill(7)), fc.uint8Array({ maxLength: 6 }))
        .map(([start, end]) => Uint8Array.from([...start, ...end])),
      value: fc.uint8Array({ maxLength: 60 }),
    }),
    { maxLength: 30 },
  )
  .map((list) =>
    [...new Map(list.map((entry) => [entry.key.toHex(), entry])).values()].sort((a, b) => compareBytes(a.key, b.key)),
  );

/** A leaf or an inner node. */
export const treeNode: fc.Arbitrary<TreeNode> = fc
  .record({ level: fc.nat({ max: 8 }), entries })
  .map((node) => (node.entries.length === 0 ? { ...node, level: 0 } : node));

/** A list of any level. */
export const list: fc.Arbitrary<List> = fc.oneof(
  fc.array(extent, { minLength: 1, maxLength: 20 }).map((extents) => ({ level: 0 as const, extents })),
  fc.record({
    level: fc.constantFrom(1 as const, 2 as const),
    entries: fc.array(
      fc.record({ list: reference, streamBytes: number.map((bytes) => bytes + (bytes === 0 ? 1 : 0)) }),
      { minLength: 1, maxLength: 20 },
    ),
  }),
);

/** Both parts of a commit. */
export const commitOpen: fc.Arbitrary<CommitOpen> = partial<CommitOpen & { checkpoint: number }>(
  {
    number: number.map((n) => Math.max(1, n)),
    previous: hash,
    checkpoint: fc.constant(0),
    readFeatures: fc.array(text, { maxLength: 3 }),
    writeFeatures: fc.array(text, { maxLength: 3 }),
    unknown,
  },
  ['number', 'previous', 'checkpoint', 'readFeatures', 'writeFeatures'],
);
export const commitSealed: fc.Arbitrary<CommitSealed> = partial<CommitSealed>(
  {
    time,
    corrections: fc.array(fc.record({ commit: number, time }), { maxLength: 3 }),
    keyring: fc.record({ number: u32, sha256: hash }),
    keyLogHead: text.filter((value) => value !== ''),
    root: reference,
    puts: entries,
    unknown,
  },
  ['time', 'corrections', 'keyring', 'puts'],
);

/** A header that this version can read. */
export const header: fc.Arbitrary<ArchiveHeader> = partial<ArchiveHeader>(
  {
    formatVersion: fc.constant(1),
    draft: fc.constant(draftRevision),
    salt: hash,
    suite: fc.constant(1),
    writerKey: hash,
    unknown,
  },
  ['formatVersion', 'draft', 'salt', 'suite', 'writerKey'],
);

const slot: fc.Arbitrary<KeyringSlot> = partial<KeyringSlot>(
  {
    slotId: bytesOf(16),
    kind: number,
    commitment: hash,
    wrappedRingKey: bytesOf(80),
    madeAt: time,
    parameters: fc.uint8Array({ maxLength: 20 }),
    unknown,
  },
  ['slotId', 'kind', 'commitment', 'wrappedRingKey'],
);
const writer: fc.Arbitrary<Writer> = partial<Writer>(
  {
    number: u16,
    publicKey: hash,
    firstCommit: number,
    origin: fc.constantFrom(...writerOrigins),
    introduction: bytesOf(64),
    unknown,
  },
  ['number', 'publicKey', 'firstCommit', 'origin'],
);
const rising = <T extends { readonly number: number }>(items: readonly T[]): T[] =>
  [...new Map(items.map((item) => [item.number, item])).values()].sort((a, b) => a.number - b.number);

/** The open part of a keyring. */
export const keyring: fc.Arbitrary<Keyring> = partial<Keyring>(
  {
    number: u32.map((n) => Math.max(1, n)),
    previous: hash,
    slots: fc.array(slot, { maxLength: 3 }),
    writers: fc.array(writer, { minLength: 1, maxLength: 4 }).map(rising),
    madeAt: time,
    unknown,
  },
  ['number', 'previous', 'slots', 'writers'],
);

/** What a keyring seals. */
export const ring: fc.Arbitrary<Ring> = partial<Ring>(
  {
    epochs: fc
      .array(
        partial<Ring['epochs'][number]>({ number: u16, suite: number, key: hash, madeAt: time, unknown }, [
          'number',
          'suite',
          'key',
        ]),
        { minLength: 1, maxLength: 4 },
      )
      .map(rising),
    slotKeys: fc.array(
      partial<Ring['slotKeys'][number]>({ slotId: bytesOf(16), publicKey: hash, unknown }, ['slotId', 'publicKey']),
      { maxLength: 3 },
    ),
    unknown,
  },
  ['epochs', 'slotKeys'],
);

/** Needed or not, one after the other: dense enough for bitmaps, or in long runs. */
export const needed: fc.Arbitrary<boolean[]> = fc.oneof(
  fc.array(fc.boolean(), { minLength: 1, maxLength: 200 }),
  fc
    .array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 60 })), { minLength: 1, maxLength: 8 })
    .map((runs) => runs.flatMap(([value, count]) => Array<boolean>(count).fill(value))),
);

/** A range of a writer's sequence numbers with some of them needed. */
export function rangeOf(writerNumber: number, first: number, flags: readonly boolean[]) {
  const stretches = flags.flatMap((flag, index) => (flag ? [{ first: first + index, last: first + index }] : []));
  const joined: { first: number; last: number }[] = [];
  for (const stretch of stretches) {
    const open = joined.at(-1);
    if (open?.last === stretch.first - 1) open.last = stretch.last;
    else joined.push({ ...stretch });
  }
  return packLiveRange(writerNumber, { first, last: first + flags.length - 1 }, joined);
}

/** One part of a live set. */
export const livePart: fc.Arbitrary<LivePart> = partial<LivePart & { ranges: LivePart['ranges'] }>(
  {
    number,
    part: fc.integer({ min: 1, max: 5 }),
    parts: fc.integer({ min: 5, max: 9 }),
    commit: fc.record({ number, sha256: hash }),
    ranges: fc
      .array(
        fc.tuple(
          u16,
          u32.map((first) => Math.min(first, 0xffffff00)),
          needed,
        ),
        { maxLength: 4 },
      )
      .map((ranges) => {
        const byWriter = new Map(
          ranges.map(([of, first, flags]) => [of, rangeOf(of, Math.min(first, 0xffffffff - flags.length), flags)]),
        );
        return [...byWriter.values()].sort((a, b) => a.writer - b.writer);
      }),
    unknown,
  },
  ['number', 'part', 'parts', 'commit', 'ranges'],
);
