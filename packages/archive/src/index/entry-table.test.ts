import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import fc from 'fast-check';
import { DirectoryPacker, PackedReader } from '../backup/packed-directory.ts';
import { emptySourceAttributes } from '../backup/source.ts';
import { noIntent } from './commit-table.ts';
import type { IndexedDirectory } from './directory-table.ts';
import { EntryLookup } from './entry-table.ts';
import { LocalIndex } from './local-index.ts';

const noName = new Uint8Array();

function newIndex(t: TestContext): { readonly index: LocalIndex; readonly lookup: EntryLookup } {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast entries '));
  const { index } = LocalIndex.open(path.join(folder, 'index.db'));
  const lookup = new EntryLookup(index.path);
  t.after(() => {
    lookup.close();
    index.close();
    rmSync(folder, { recursive: true });
  });
  return { index, lookup };
}

/** Names of four digits, long enough that a few hundred fill a page. */
function nameOf(number: number): Buffer {
  return Buffer.from(String(number).padStart(4, '0').padEnd(200, '.'));
}

function pack(entries: Iterable<readonly [number: number, sizeBytes: number]>): Uint8Array {
  const packer = new DirectoryPacker();
  const memory = { isRacy: false, rowDigest: new Uint8Array(8), setsDigest: 0 };
  for (const [number, sizeBytes] of entries) {
    packer.add(nameOf(number), { ...emptySourceAttributes(), sizeBytes }, memory);
  }
  return packer.take();
}

function read(
  lookup: EntryLookup,
  directory: number,
  from: Uint8Array = noName,
): [number: number, sizeBytes: number][] {
  const found: [number, number][] = [];
  for (const page of lookup.entriesFrom(directory, from)) {
    assert.ok(page.length <= 66_000, `a page of ${page.length} bytes`);
    const reader = new PackedReader(page);
    while (reader.next())
      found.push([Number.parseInt(Buffer.from(reader.entry.name).toString(), 10), reader.entry.sizeBytes]);
  }
  return found;
}

const range = fc.record({
  from: fc.nat(2000),
  names: fc.nat(1200),
  step: fc.integer({ min: 1, max: 4 }),
  isLast: fc.boolean(),
});

test('what is seen of a range of names replaces what was known of them, and of no others, in whatever order it comes', (t) => {
  const { index, lookup } = newIndex(t);
  let directory = 0;
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), fc.nat(2500), (ranges, readFrom) => {
      directory++;
      const model = new Map<number, number>();
      for (const [sizeBytes, { from, names, step, isLast }] of ranges.entries()) {
        const until = from + names;
        for (const known of model.keys()) if (known >= from && (isLast || known < until)) model.delete(known);
        const entries: [number, number][] = [];
        for (let number = from; number < until; number += step) entries.push([number, sizeBytes]);
        for (const [number, size] of entries) model.set(number, size);
        const bounds = { from: from === 0 ? noName : nameOf(from), ...(!isLast && { until: nameOf(until) }) };
        index.learn({ ...noIntent, seen: [{ directory, ...bounds, entries: pack(entries) }] });
      }
      const wanted = [...model].toSorted(([a], [b]) => a - b);
      assert.deepEqual(read(lookup, directory), wanted);
      const behind = wanted.filter(([number]) => number >= readFrom);
      assert.deepEqual(read(lookup, directory, nameOf(readFrom)), behind);
    }),
    { numRuns: 40 },
  );
});

test('who reads names goes on where it was while those before are replaced', (t) => {
  const { index, lookup } = newIndex(t);
  const all = Array.from({ length: 3000 }, (_, number) => [number, 1] as const);
  index.learn({ ...noIntent, seen: [{ directory: 1, from: noName, entries: pack(all) }] });
  const found: number[] = [];
  let reached = 0;
  for (const page of lookup.entriesFrom(1, noName)) {
    const reader = new PackedReader(page);
    while (reader.next()) found.push((reached = Number.parseInt(Buffer.from(reader.entry.name).toString(), 10)));
    // Part of the page that was just read, and all before it, are taken out.
    index.learn({ ...noIntent, seen: [{ directory: 1, from: noName, until: nameOf(reached - 5), entries: noName }] });
  }
  assert.deepEqual(
    found,
    all.map(([number]) => number),
  );
  assert.deepEqual(
    read(lookup, 1).map(([number]) => number),
    [2994, 2995, 2996, 2997, 2998, 2999],
  );
});

test('a directory that begins anew, or hangs nowhere any more, forgets its names, and one that is put again does not', (t) => {
  const { index, lookup } = newIndex(t);
  const known: IndexedDirectory = {
    number: 7,
    parent: 1,
    name: nameOf(7),
    since: 3,
    device: 1,
    inode: 5n,
    birth: '',
    own: noName,
  };
  const learnNames = () =>
    index.learn({ ...noIntent, seen: [{ directory: 7, from: noName, entries: pack([[1, 1]]) }] });
  index.learn({ ...noIntent, directories: [known] });
  learnNames();
  index.learn({ ...noIntent, directories: [{ ...known, name: nameOf(8) }] });
  assert.equal(read(lookup, 7).length, 1);
  index.learn({ ...noIntent, directories: [{ ...known, since: 4 }] });
  assert.equal(read(lookup, 7).length, 0);
  learnNames();
  index.learn({ ...noIntent, detached: [7] });
  assert.equal(read(lookup, 7).length, 0);
});

test('entries are changed in place, page by page, in every directory', (t) => {
  const { index, lookup } = newIndex(t);
  const many = Array.from({ length: 1000 }, (_, number) => [number, 1] as const);
  for (const directory of [1, 2]) {
    index.learn({ ...noIntent, seen: [{ directory, from: noName, entries: pack(many) }] });
  }
  let pages = 0;
  index.changeEntries((packed) => {
    packed.fill(9, 2, 3);
    return ++pages > 1;
  });
  assert.ok(pages >= 6, `${pages} pages`);
  const first = [...lookup.entriesFrom(1, noName)][0]!;
  const last = [...lookup.entriesFrom(2, noName)].at(-1);
  assert.deepEqual([first[2], last?.[2]], ['0'.charCodeAt(0), 9]);
});
