import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';

import { CodedError } from '@holdfast/base';
import fc from 'fast-check';

import * as arbitrary from '../testing/arbitraries.ts';
import { encodeCommitOpen, encodeCommitSealed, parseCommitOpen, parseCommitSealed } from './commit.ts';
import { ByteReader, ByteWriter, compareBytes, joinBytes } from './cursor.ts';
import { contentHashOf, type Extent, holesOf, readExtents, type Reference, writeExtent, zeroHash } from './extent.ts';
import { draftRevision, encodeHeader, parseHeader } from './header.ts';
import { encodeKeyring, encodeRing, parseKeyring, parseRing } from './keyring.ts';
import { encodeList, lengthOfList, ListBuilder, parseList } from './list.ts';
import { encodeLive, isLetGo, neededStretches, parseLive } from './live.ts';
import { commitKey, fileKey, moveKey, parseMapKey, settingsKey } from './map-key.ts';
import { HOLE_ORDINAL, ordinalOf, sequenceOf, writerOf } from './ordinal.ts';
import { encodeCommitRow, encodeRow, parseCommitRow, parseRow } from './row.ts';
import { encodeStream, parseStream } from './stream.ts';
import { encodeTreeNode, parseTreeNode } from './tree-node.ts';
import { encodeXattrs, parseXattrs } from './xattrs.ts';

const sha256 = () => createHash('sha256');

/** A structure: how it is made at random, written and read. */
type Codec<T> = {
  readonly name: string;
  readonly values: fc.Arbitrary<T>;
  readonly encode: (value: T) => Uint8Array;
  readonly parse: (bytes: Uint8Array) => T;
};

function codec<T>(
  name: string,
  values: fc.Arbitrary<T>,
  encode: (value: T) => Uint8Array,
  parse: (bytes: Uint8Array) => T,
) {
  return { name, values, encode, parse } as Codec<unknown>;
}

const xattrs = fc
  .array(
    fc.record({
      name: fc.uint8Array({ minLength: 1, maxLength: 20, min: 1 }),
      value: fc.uint8Array({ maxLength: 50 }),
    }),
    { maxLength: 5 },
  )
  .map((list) =>
    [...new Map(list.map((x) => [x.name.toHex(), x])).values()].sort((a, b) => compareBytes(a.name, b.name)),
  );

const codecs: readonly Codec<unknown>[] = [
  codec('a header', arbitrary.header, encodeHeader, parseHeader),
  codec('a keyring', arbitrary.keyring, encodeKeyring, parseKeyring),
  codec('a ring', arbitrary.ring, encodeRing, parseRing),
  codec('a row', arbitrary.row, encodeRow, parseRow),
  codec('a stream', arbitrary.stream, encodeStream, parseStream),
  codec('a list', arbitrary.list, encodeList, parseList),
  codec('a tree node', arbitrary.treeNode, encodeTreeNode, parseTreeNode),
  codec("a commit's open part", arbitrary.commitOpen, encodeCommitOpen, parseCommitOpen),
  codec("a commit's sealed part", arbitrary.commitSealed, encodeCommitSealed, parseCommitSealed),
  codec('a live set', arbitrary.livePart, encodeLive, parseLive),
  codec('extended attributes', xattrs, encodeXattrs, parseXattrs),
  codec(
    "a commit's row",
    fc.record({ time: arbitrary.time, sha256: fc.uint8Array({ minLength: 32, maxLength: 32 }) }),
    encodeCommitRow,
    parseCommitRow,
  ),
];

/** Parses whatever it is; what does not parse must say so by a declared error. */
function parsesOrDeclares(parse: (bytes: Uint8Array) => unknown, bytes: Uint8Array): boolean {
  try {
    parse(bytes);
    return true;
  } catch (error) {
    if (!(error instanceof CodedError) || !error.code.startsWith('archive.')) throw error;
    assert.ok(['archive.corrupt', 'archive.unknown_field', 'archive.unknown_format'].includes(error.code), error.code);
    return false;
  }
}

/** Views and Buffers compare as plain bytes. */
const plain = (value: unknown): unknown =>
  value instanceof Uint8Array
    ? `bytes ${value.toHex()}`
    : Array.isArray(value)
      ? value.map(plain)
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .filter(([, inner]) => inner !== undefined && !(Array.isArray(inner) && inner.length === 0))
              .map(([key, inner]) => [key, plain(inner)]),
          )
        : value;

for (const { name, values, encode, parse } of codecs) {
  test(`${name} comes back from its bytes as it was, and gives the same bytes again`, () => {
    fc.assert(
      fc.property(values, (value) => {
        const bytes = encode(value);
        const parsed = parse(bytes);
        assert.deepEqual(plain(parsed), plain(value));
        assert.equal(encode(parsed).toHex(), bytes.toHex());
      }),
      { numRuns: 300 },
    );
  });

  test(`${name} that is cut off, lengthened, flipped or made up is refused by a declared error or is another one`, () => {
    fc.assert(
      fc.property(
        values,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        fc.uint8Array({ minLength: 1, maxLength: 12 }),
        (value, at, flip, junk) => {
          const bytes = joinBytes(encode(value));
          const cuts = Array.from({ length: Math.min(bytes.length, 60) }, (_, i) => (at + i * 37) % bytes.length);
          for (const cut of cuts) parsesOrDeclares(parse, bytes.subarray(0, cut));
          parsesOrDeclares(parse, joinBytes(bytes, junk));
          if (bytes.length > 0) bytes[at % bytes.length]! ^= flip;
          parsesOrDeclares(parse, bytes);
          parsesOrDeclares(parse, junk);
        },
      ),
      { numRuns: 300 },
    );
  });
}

test('every truncation of a structure that ends in fields is refused where it cuts a field', () => {
  const value = fc.sample(arbitrary.keyring, { numRuns: 1, seed: 5 })[0]!;
  const bytes = encodeKeyring({ ...value, madeAt: { seconds: 1, nanoseconds: 2 } });
  const whole = Array.from({ length: bytes.length + 1 }, (_, cut) => cut).filter((cut) =>
    parsesOrDeclares(parseKeyring, bytes.subarray(0, cut)),
  );
  assert.ok(whole.includes(bytes.length));
  // Between two fields at most: a keyring without what follows is a shorter keyring.
  assert.ok(whole.length <= 3 + value.writers.length, `${whole.length}`);
});

test('lengths that promise more than there is allocate nothing', () => {
  const huge = Uint8Array.of(0x03, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f);
  for (const { parse } of codecs) assert.equal(parsesOrDeclares(parse, huge), false);
});

test('numbers up to 2^53 - 1 are varints of at most 8 bytes in their shortest form only', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (number) => {
      const bytes = new ByteWriter().varint(number).written();
      assert.ok(bytes.length <= 8);
      assert.equal(new ByteReader(bytes, 'test').varint(), number);
    }),
  );
  const read = (...bytes: number[]) => new ByteReader(Uint8Array.from(bytes), 'test').varint();
  for (const [bytes, value] of [
    [[0], 0],
    [[0x7f], 127],
    [[0x80, 0x01], 128],
    [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], 2 ** 53 - 1],
  ] as const) {
    assert.equal(read(...bytes), value);
  }
  for (const bytes of [
    [0x80, 0x00],
    [0xff, 0x00],
    [0x80],
    [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10],
    Array<number>(9).fill(0x80).concat(1),
  ]) {
    assert.throws(() => read(...bytes), { code: 'archive.corrupt' });
  }
});

test('fixed numbers and times are written low byte first, and instants before 1970 as the document has them', () => {
  const writer = new ByteWriter()
    .u16(0x0102)
    .u32(0x01020304)
    .u48(0x010203040506)
    .u64(2 ** 53 - 1)
    .i64(-1);
  assert.equal(writer.written().toHex(), '020104030201060504030201ffffffffffff1f00ffffffffffffffff');
  const reader = new ByteReader(writer.written(), 'test');
  assert.deepEqual(
    [reader.u16(), reader.u32(), reader.u48(), reader.u64(), reader.i64()],
    [0x0102, 0x01020304, 0x010203040506, 2 ** 53 - 1, -1],
  );
  for (const bytes of ['0000000000002000', 'ffffffffffffffff']) {
    assert.throws(() => new ByteReader(Uint8Array.fromHex(bytes), 'test').u64(), { code: 'archive.corrupt' });
  }
  const time = { seconds: -1, nanoseconds: 500_000_000 };
  const row = encodeCommitRow({ time, sha256: zeroHash });
  assert.equal(row.subarray(0, 12).toHex(), 'ffffffffffffffff0065cd1d');
  assert.deepEqual(parseCommitRow(row).time, time);
  assert.throws(() => parseCommitRow(joinBytes(row.subarray(0, 8), Uint8Array.fromHex('00ca9a3b'), zeroHash)), {
    code: 'archive.corrupt',
  });
});

test('an unknown field is kept in its place when it may be, and refused when it must be understood', () => {
  const open = encodeHeader({ formatVersion: 1, draft: draftRevision, salt: zeroHash, suite: 1, writerKey: zeroHash });
  const field = (key: number) => Uint8Array.of(key, 2, 7, 8);
  const kept = joinBytes(open, field(40 * 2), field(40 * 2), field(50 * 2));
  assert.equal(encodeHeader(parseHeader(kept)).toHex(), kept.toHex());
  assert.throws(() => parseHeader(joinBytes(open, field(40 * 2 + 1))), { code: 'archive.unknown_field' });
  assert.throws(() => parseHeader(joinBytes(open, field(50 * 2), field(40 * 2))), { code: 'archive.corrupt' });
  assert.throws(() => parseHeader(joinBytes(open, Uint8Array.of(5 * 2, 0))), { code: 'archive.corrupt' });
  // In a row, unknown tags may stand between known ones only if the known ones skip a number: 22 is behind them all.
  const row = joinBytes(encodeRow({ type: 'absent' }), field(22 * 2));
  assert.equal(encodeRow(parseRow(row)).toHex(), row.toHex());
  assert.throws(() => parseRow(Uint8Array.of(3, 1, 10)), { code: 'archive.unknown_field' });
});

test('keys sort by directory, name and commit, a name before those it begins', () => {
  const part = fc.tuple(
    fc.nat({ max: 300 }),
    fc.uint8Array({ minLength: 1, maxLength: 5, min: 1 }).filter((name) => !name.includes(0x2f) && name[0] !== 0x2e),
    fc.nat({ max: 1000 }),
  );
  fc.assert(
    fc.property(part, part, (a, b) => {
      const order = a[0] - b[0] || compareBytes(a[1], b[1]) || a[2] - b[2];
      assert.equal(Math.sign(compareBytes(fileKey(...a), fileKey(...b))), Math.sign(order));
      const { space, ...parsed } = parseMapKey(fileKey(...a));
      assert.deepEqual([space, plain(parsed)], ['files', plain({ directoryNumber: a[0], name: a[1], commit: a[2] })]);
    }),
  );
  assert.deepEqual(parseMapKey(commitKey(2 ** 40)), { space: 'commits', commit: 2 ** 40 });
  assert.deepEqual(parseMapKey(moveKey(ordinalOf(65_535, 7), 9)), {
    space: 'moves',
    ordinal: ordinalOf(65_535, 7),
    offset: 9,
  });
  assert.ok(compareBytes(moveKey(ordinalOf(0, 2 ** 32 - 1), 5), moveKey(ordinalOf(1, 0), 0)) < 0);
  assert.deepEqual(parseMapKey(settingsKey('set/1')), { space: 'settings', name: 'set/1' });
  assert.deepEqual(parseMapKey(Uint8Array.of(9, 1)), { space: 'unknown' });
  for (const name of ['.', '..', 'a/b', 'a\0b']) {
    assert.throws(() => parseMapKey(fileKey(1, Buffer.from(name), 1)), { code: 'archive.corrupt' }, name);
  }
  for (const name of ['...', '.a', ' ', '\n'])
    assert.equal(parseMapKey(fileKey(1, Buffer.from(name), 1)).space, 'files');
});

test('a writer number and a sequence make an ordinal and come back', () => {
  for (const [writer, sequence] of [
    [0, 0],
    [0, 2 ** 32 - 1],
    [1, 0],
    [65_535, 2 ** 32 - 2],
  ] as const) {
    const ordinal = ordinalOf(writer, sequence);
    assert.deepEqual([writerOf(ordinal), sequenceOf(ordinal)], [writer, sequence]);
  }
  assert.equal(ordinalOf(65_535, 2 ** 32 - 1), HOLE_ORDINAL);
});

test('the content hash is that of one piece, or of the lengths and hashes of all', () => {
  const hashOf = (text: string) => createHash('sha256').update(text).digest();
  const piece = (text: string): Extent => ({ ordinal: 3, offset: 0, length: text.length, sha256: hashOf(text) });
  assert.equal(contentHashOf([], sha256).toHex(), hashOf('').toString('hex'));
  assert.equal(contentHashOf([piece('abc')], sha256).toHex(), hashOf('abc').toString('hex'));
  const part = (length: number, hash: Uint8Array) => joinBytes(new ByteWriter().u64(length).written(), hash);
  const two = sha256()
    .update(part(3, hashOf('abc')))
    .update(part(5, zeroHash))
    .digest('hex');
  assert.equal(contentHashOf([piece('abc'), ...holesOf(5)], sha256).toHex(), two);
  assert.equal(contentHashOf(holesOf(5), sha256).toHex(), sha256().update(part(5, zeroHash)).digest('hex'));
  assert.deepEqual(
    holesOf(2 ** 32 + 1).map(({ length }) => length),
    [2 ** 31, 2 ** 31, 1],
  );
});

test('extents that cannot be are refused, and those at the bounds are not', () => {
  const read = (extent: Extent) => {
    const writer = new ByteWriter();
    writeExtent(writer, extent);
    return readExtents(new ByteReader(writer.written(), 'test'));
  };
  const piece = { ordinal: 1, offset: 0, length: 1, sha256: new Uint8Array(32).fill(1) };
  const hole = holesOf(2 ** 31)[0]!;
  for (const good of [piece, { ...piece, offset: 2 ** 22 - 1 }, { ...piece, length: 2 ** 22 }, hole])
    assert.equal(read(good).length, 1);
  const bad = [
    { ...piece, length: 0 },
    { ...piece, offset: 2 ** 22 },
    { ...hole, length: 2 ** 31 + 1 },
    { ...hole, offset: 1 },
    { ...hole, sha256: piece.sha256 },
  ];
  for (const extent of bad) assert.throws(() => read(extent), { code: 'archive.corrupt' });
});

test('streams whose pieces and size disagree are refused', () => {
  const piece = { ordinal: 1, offset: 0, length: 5, sha256: zeroHash };
  const bad = [
    { kind: 'content', size: 4, extents: [piece] },
    { kind: 'content', size: 10, extents: [piece, piece] },
    { kind: 'content', size: 3, bytes: new Uint8Array(3) },
    { kind: 'xattrs', size: 4, bytes: new Uint8Array(3) },
    { kind: 'xattrs', size: 5 },
    { kind: 'content', size: 0, extents: [] },
    { kind: 'content', size: 9, list: { level: 0, list: { ordinal: 1, sha256: zeroHash } } },
    { kind: 'content', size: 7, extents: holesOf(7) },
  ] as const;
  for (const stream of bad)
    assert.throws(() => parseStream(encodeStream(stream)), { code: 'archive.corrupt' }, JSON.stringify(stream));
  const good = [
    { kind: 'content', size: 5, extents: [piece] },
    { kind: 'content', size: 10, extents: [piece, piece], contentHash: zeroHash },
    { kind: 'xattrs', size: 3, bytes: new Uint8Array(3) },
    { kind: 'content', size: 0 },
    { kind: 'content', size: 7, extents: holesOf(7), contentHash: zeroHash },
  ] as const;
  for (const stream of good) assert.equal(parseStream(encodeStream(stream)).size, stream.size);
});

test('a live range says of each ordinal what it was made from, in either form', () => {
  fc.assert(
    fc.property(fc.array(arbitrary.needed, { minLength: 1, maxLength: 3 }), fc.nat({ max: 1000 }), (sets, first) => {
      const ranges = sets.map((flags, writer) => arbitrary.rangeOf(writer, first, flags));
      const commit = { number: 1, sha256: zeroHash };
      const live = parseLive(encodeLive({ number: 1, part: 1, parts: 1, commit, ranges }));
      for (const [writer, flags] of sets.entries()) {
        for (const [index, flag] of flags.entries())
          assert.equal(isLetGo([live], ordinalOf(writer, first + index)), !flag);
        assert.equal(isLetGo([live], ordinalOf(writer, first + flags.length)), false);
        const stretches = [...neededStretches(live.ranges[writer]!)];
        assert.equal(
          stretches.reduce((sum, stretch) => sum + stretch.last - stretch.first + 1, 0),
          flags.filter(Boolean).length,
        );
      }
    }),
  );
  assert.equal(arbitrary.rangeOf(0, 0, [true, false, true, false, true, true, false, true]).form, 'bitmap');
  assert.equal(arbitrary.rangeOf(0, 0, Array<boolean>(500).fill(true)).form, 'runs');
});

test('long streams are cut into lists that cover them, and a change in one place leaves the other lists as they are', () => {
  const build = (extents: readonly Extent[]) => {
    const records = new Map<string, Uint8Array>();
    const builder = new ListBuilder((raw): Reference => {
      const hash = createHash('sha256').update(raw).digest();
      records.set(hash.toString('hex'), raw.slice());
      return { ordinal: 5, sha256: hash };
    });
    for (const extent of extents) builder.add(extent);
    return { top: builder.finish(), records };
  };
  const collect = (list: Reference, records: Map<string, Uint8Array>, level: number): Extent[] => {
    const parsed = parseList(records.get(list.sha256.toHex())!);
    assert.equal(parsed.level, level);
    if (parsed.level === 0) return [...parsed.extents];
    return parsed.entries.flatMap((entry) => {
      const inner = parseList(records.get(entry.list.sha256.toHex())!);
      assert.equal(lengthOfList(inner), entry.streamBytes);
      return collect(entry.list, records, level - 1);
    });
  };
  const piece = (index: number, length: number): Extent => ({ ordinal: index, offset: 0, length, sha256: zeroHash });
  for (const [count, length, level] of [
    [17, 4096, 0],
    [1424, 4096, 0],
    [1425, 4096, 1],
    [3000, 1_000_000, 1],
  ] as const) {
    const extents = Array.from({ length: count }, (_, index) => piece(index, length));
    const { top, records } = build(extents);
    assert.equal(top.level, level, `${count} extents`);
    assert.equal(collect(top.list, records, level).length, count);
  }
  // Holes of 256 MiB end a list each.
  const sparse = build(Array.from({ length: 1500 }, () => holesOf(2 ** 28)[0]!));
  assert.equal(sparse.top.level, 2);
  assert.equal(collect(sparse.top.list, sparse.records, 2).length, 1500);
  // 20 GiB in pieces of about 256 KiB; one of the pieces becomes two.
  const extents = Array.from({ length: 80_000 }, (_, index) => piece(index, 262_144));
  const before = build(extents);
  const after = build([...extents.slice(0, 9000), piece(1, 100_000), piece(2, 162_144), ...extents.slice(9001)]);
  const fresh = [...after.records.keys()].filter((hash) => !before.records.has(hash));
  assert.ok(fresh.length <= 2, `${fresh.length} of ${after.records.size} lists are new`);
});
