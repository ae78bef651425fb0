import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Ordinal, parseRecordHeader, RecordKind, recordLengthOf } from '@holdfast/archive';
import { catchUp } from './catch-up.ts';
import type { DestinationSession } from './destination-place.ts';
import { OrdinalTable } from './ordinal-table.ts';

/** A record of no content: what copying looks at is in its header. */
function recordOf(ordinal: Ordinal, kind: number): Uint8Array {
  const isSigned = kind === RecordKind.commit || kind === RecordKind.header;
  const sealedBytes = kind === RecordKind.header ? 0 : 8192;
  const bytes = Buffer.alloc(52 + sealedBytes + (isSigned ? 64 : 0));
  bytes.write('HFR1');
  bytes[4] = 1;
  bytes[5] = kind;
  bytes.writeUIntLE(ordinal, 8, 6);
  bytes.writeUInt16LE(isSigned ? 64 : 0, 14);
  bytes.writeUInt32LE(sealedBytes, 20);
  return new Uint8Array(bytes);
}

function sessionOf(name: string, records: Map<Ordinal, number>): DestinationSession & { readonly added: Ordinal[] } {
  const added: Ordinal[] = [];
  return {
    name,
    added,
    head: undefined,
    keyringNumber: 1,
    highestSequence: () => Promise.resolve(undefined),
    close: () => Promise.resolve(),
    append(fragment) {
      for (let at = 0; at < fragment.length;) {
        const parsed = parseRecordHeader(fragment, at);
        assert.equal(records.has(parsed.ordinal), false, `record ${parsed.ordinal} came twice to ${name}`);
        records.set(parsed.ordinal, parsed.kind);
        added.push(parsed.ordinal);
        at += recordLengthOf(parsed);
      }
      return Promise.resolve();
    },
    async *read(ordinals) {
      for (const ordinal of ordinals) if (records.has(ordinal)) yield recordOf(ordinal, records.get(ordinal)!);
    },
    async *list() {
      for (const [ordinal, kind] of records) yield { ordinal, kind };
    },
  };
}

const { block, bundle, tree, commit, header } = RecordKind;
const signal = new AbortController().signal;
const isGenuine = () => true;
const isProof = () => true;
const onWithheld = () => assert.fail('nothing is withheld');

test('only blocks that are needed are copied, from whichever source has them, and commits come last and in order', async () => {
  const first = new Map([
    [1, block],
    [9, commit],
    [3, tree],
    [7, commit],
    [5, bundle],
    [0, header],
  ]);
  const second = new Map([
    [2, block],
    [4, bundle],
    [11, tree],
  ]);
  const to = sessionOf('to', new Map([[6, block]]));
  const missing: Ordinal[] = [];
  await catchUp({
    sources: [sessionOf('first', first), sessionOf('second', second)],
    to,
    data: [1, 2, 4, 6, 8],
    withMetadata: true,
    withLiveSets: true,
    isGenuine,
    isProof,
    onWithheld,
    onMissing: (ordinals) => missing.push(...ordinals),
    signal,
  });
  assert.deepEqual(to.added.slice(-2), [7, 9]);
  assert.deepEqual(
    to.added.toSorted((a, b) => a - b),
    [1, 2, 3, 4, 7, 9, 11],
  );
  assert.deepEqual(missing, [8]);
});

test('where something is missing and that ends the copying, no commit is there', async () => {
  const to = sessionOf('to', new Map());
  const work = {
    sources: [
      sessionOf(
        'from',
        new Map([
          [1, block],
          [2, commit],
        ]),
      ),
    ],
    to,
    data: [1, 3],
    withMetadata: true,
    withLiveSets: true,
    isGenuine,
    isProof,
    onWithheld,
    signal,
  };
  const refuse = () => {
    throw new Error('not without it');
  };
  await assert.rejects(catchUp({ ...work, onMissing: refuse }), /not without it/);
  assert.deepEqual(to.added, [1]);
  await catchUp({ ...work, onMissing: () => undefined });
  assert.deepEqual(to.added, [1, 2]);
});

test('without metadata nothing but needed blocks is copied', async () => {
  const to = sessionOf('to', new Map());
  const from = sessionOf(
    'from',
    new Map([
      [1, block],
      [2, commit],
      [3, tree],
      [4, bundle],
    ]),
  );
  await catchUp({
    sources: [from],
    to,
    data: [4],
    withMetadata: false,
    withLiveSets: true,
    isGenuine,
    isProof,
    onWithheld,
    onMissing: () => undefined,
    signal,
  });
  assert.deepEqual(to.added, [4]);
});

test('of a source that gives other records than it was asked for, or altered ones, nothing spoils the destination', async () => {
  const honest = sessionOf(
    'honest',
    new Map([
      [1, block],
      [2, block],
      [3, bundle],
      [4, tree],
      [5, commit],
    ]),
  );
  /** Each record it is asked for once more, one that nobody asked for beside it, and another one altered. */
  const evil: DestinationSession = {
    ...honest,
    name: 'evil',
    async *read(ordinals) {
      for (const ordinal of ordinals) {
        const [record] = await Array.fromAsync(honest.read([ordinal]));
        const altered = record!.with(record!.length - 1, 7);
        if (ordinal === 2) yield altered;
        else yield* [altered, record!, record!, recordOf(ordinal + 1000, block)];
      }
    },
  };
  const missing: Ordinal[] = [];
  const work = {
    data: [1, 2, 3],
    withMetadata: true,
    withLiveSets: true,
    isProof,
    onWithheld,
    isGenuine: (record: Uint8Array) => record.at(-1) !== 7,
    onMissing: (ordinals: readonly Ordinal[]) => missing.push(...ordinals),
    signal,
  };
  const alone = sessionOf('alone', new Map());
  await catchUp({ ...work, sources: [evil], to: alone });
  assert.deepEqual([alone.added, missing.splice(0)], [[1, 3, 4, 5], [2]]);
  const both = sessionOf('both', new Map());
  await catchUp({ ...work, sources: [evil, honest], to: both });
  assert.deepEqual([both.added.toSorted((a, b) => a - b), missing], [[1, 2, 3, 4, 5], []]);
});

test('what the first source withholds is taken from the next, what none gives is told before a commit is copied', async () => {
  const whole = [
    [1, block],
    [2, tree],
    [3, commit],
    [4, tree],
    [5, commit],
  ] as const;
  const withholding = (name: string, ordinals: readonly Ordinal[]): DestinationSession => {
    const honest = sessionOf(name, new Map(whole));
    return { ...honest, read: (asked) => honest.read(asked.filter((ordinal) => !ordinals.includes(ordinal))) };
  };
  const work = {
    data: [1],
    withMetadata: true,
    withLiveSets: true,
    isGenuine,
    isProof,
    signal,
    onMissing: () => undefined,
  };
  const told: Ordinal[] = [];
  const tell = async (ordinals: readonly Ordinal[]) => void told.push(...ordinals);
  const to = sessionOf('to', new Map());
  await catchUp({
    ...work,
    sources: [withholding('first', [1, 2, 3]), withholding('second', [4, 5])],
    to,
    onWithheld: tell,
  });
  assert.deepEqual([to.added, told], [[4, 1, 2, 3, 5], []]);
  const half = sessionOf('half', new Map());
  const sources = [withholding('first', [2, 4]), withholding('second', [4])];
  await assert.rejects(
    catchUp({
      ...work,
      sources,
      to: half,
      onWithheld: (ordinals) => Promise.reject(new Error(`none gave ${ordinals.join()}`)),
    }),
    /none gave 4/,
  );
  assert.deepEqual(half.added, [1, 2]);
  // What nobody needs does not keep the rest from it.
  await catchUp({ ...work, sources, to: half, onWithheld: tell });
  assert.deepEqual([half.added, told], [[1, 2, 3, 5], [4]]);
});

test('a record comes only as what it was asked for, whatever a source lists it as', async () => {
  const records = new Map<Ordinal, number>([
    [1, block],
    [2, tree],
    [3, commit],
  ]);
  const lists = (kinds: ReadonlyMap<Ordinal, number>): DestinationSession => {
    const honest = sessionOf('from', records);
    return {
      ...honest,
      async *list() {
        for (const [ordinal, kind] of kinds) yield { ordinal, kind };
      },
    };
  };
  const withheld: Ordinal[] = [];
  const onWithheld = async (ordinals: readonly Ordinal[]) => void withheld.push(...ordinals);
  const work = {
    withMetadata: true,
    withLiveSets: true,
    isGenuine,
    isProof,
    signal,
    onWithheld,
    onMissing: () => undefined,
  };
  const copied = async (data: readonly Ordinal[], ...kinds: number[]) => {
    const to = sessionOf('to', new Map());
    await catchUp({ ...work, data, to, sources: [lists(new Map(kinds.map((kind, place) => [place + 1, kind])))] });
    return [to.added, withheld.splice(0)];
  };
  assert.deepEqual(await copied([1], block, tree, commit), [[1, 2, 3], []], 'as they are');
  assert.deepEqual(await copied([1], tree, tree, commit), [[1, 2, 3], []], 'data that is needed is data');
  assert.deepEqual(await copied([], tree, tree, commit), [[2, 3], [1]], 'data that is not needed is no node');
  assert.deepEqual(await copied([1], block, tree, tree), [[1, 2], [3]], 'a commit is no node');
  assert.deepEqual(await copied([1], block, commit, commit), [[1, 3], []], 'a node is no commit');
  assert.deepEqual(await copied([1, 2], block, tree, commit), [[1, 3], []], 'a node is no data');
});

test('a table of ordinals knows what was added and what was marked, in whatever order it came', () => {
  const ordinals = fc.uniqueArray(fc.integer({ min: 0, max: 2 ** 40 }), { maxLength: 3000 });
  fc.assert(
    fc.property(ordinals, fc.array(fc.integer({ min: 0, max: 2 ** 40 })), (added, marked) => {
      const table = new OrdinalTable();
      for (const ordinal of added) table.add(ordinal);
      const marks = new Set([...marked, ...added.slice(0, added.length >> 1)]);
      for (const ordinal of marks) table.mark(ordinal);
      assert.deepEqual(
        table.unmarked(),
        added.filter((ordinal) => !marks.has(ordinal)).toSorted((a, b) => a - b),
      );
      for (const ordinal of added)
        assert.deepEqual([table.has(ordinal), table.isUnmarked(ordinal)], [true, !marks.has(ordinal)]);
      for (const ordinal of marked) assert.equal(table.has(ordinal), added.includes(ordinal));
    }),
    { numRuns: 30 },
  );
});

test('a destination that has other records under the same ordinals gets nothing, and one that was sent half goes on', async () => {
  const half = [
    [0, header],
    [2, block],
    [3, commit],
    [4, block],
    [5, block],
  ] as const;
  const whole = [...half, [6, block], [7, commit]] as const;
  for (const { what, differing, isDamaged, isRefused } of [
    { what: 'after its newest commit', differing: 4, isDamaged: false, isRefused: true },
    { what: 'before its newest commit, as others see to', differing: 2, isDamaged: false, isRefused: false },
    { what: 'nowhere', differing: -1, isDamaged: false, isRefused: false },
    { what: 'in a damaged record', differing: 5, isDamaged: true, isRefused: false },
  ]) {
    const [from, to] = [sessionOf('from', new Map(whole)), sessionOf('to', new Map(half))];
    const read = to.read.bind(to);
    to.read = async function* (ordinals) {
      for await (const record of read(ordinals)) {
        if (parseRecordHeader(record).ordinal === differing) record[record.length - 1]! ^= 1;
        yield record;
      }
    };
    const work = {
      sources: [from],
      to,
      data: [2, 4, 5, 6],
      withMetadata: true,
      withLiveSets: true,
      isGenuine,
      onWithheld,
      signal,
    };
    const done = catchUp({
      ...work,
      isProof: (record) => !isDamaged || record.at(-1) !== 1,
      onMissing: () => undefined,
    });
    if (isRefused)
      await assert.rejects(done, { code: 'destinations.mixed', details: { destination: 'to', ordinal: 4 } });
    else await done;
    assert.deepEqual(to.added, isRefused ? [] : [6, 7], what);
  }
});
