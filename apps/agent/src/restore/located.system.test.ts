import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { type Destination, parseRecordHeader, RecordKind } from '@holdfast/archive';
import { removeTree } from '../filesystem/remove-tree.ts';
import { noise, readTree } from './fixtures.ts';
import { RestoringDevice } from './testing.ts';

type Located = Awaited<ReturnType<NonNullable<Destination['locate']>>>[number];

/** Two long files and two small ones. */
function makeFew(tree: string): void {
  for (const number of [1, 2]) writeFileSync(`${tree}/long ${number}`, noise(3_000_000, number));
  for (const name of ['small 1', 'small 2']) writeFileSync(`${tree}/${name}`, name);
}

/** A device with such files, whose records lie in one file. */
async function scene(t: TestContext, make = makeFew) {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  make(tree);
  await device.backup(tree, { workers: 1 });
  const file = path.join(device.folder, 'all records');
  const places: Located[] = [];
  let offset = 0;
  for (const [ordinal, record] of device.destination.records) {
    places.push({ ordinal, file, offset, lengthBytes: record.length });
    offset += record.length;
  }
  writeFileSync(file, Buffer.concat([...device.destination.records.values()]));
  const contents = places.filter(({ ordinal }) => {
    const { kind } = parseRecordHeader(device.destination.records.get(ordinal)!);
    return kind === RecordKind.block || kind === RecordKind.bundle;
  });
  assert.ok(contents.length > 0);
  return { device, tree, places, contents };
}

/** A destination that says where records lie, and takes down which contents it had to give itself. */
function locating(
  { device, contents }: Awaited<ReturnType<typeof scene>>,
  places: readonly Located[],
  change: (record: Uint8Array, ordinal: number) => Uint8Array = (record) => record,
) {
  const asked: number[] = [];
  const known = new Set(contents.map(({ ordinal }) => ordinal));
  const destination: Destination = {
    name: 'located',
    append: () => Promise.reject(new Error('a restore does not append')),
    async *read(ordinals) {
      asked.push(...ordinals.filter((ordinal) => known.has(ordinal)));
      for await (const record of device.destination.read(ordinals)) {
        yield change(record, parseRecordHeader(record).ordinal);
      }
    },
    locate: (ordinals) => Promise.resolve(places.filter(({ ordinal }) => ordinals.includes(ordinal))),
  };
  return { destination, asked };
}

test('records that lie in files are read there, and what is wrong there is asked of the destination', async (t) => {
  const at = await scene(t);
  const { device, tree, places, contents } = at;
  const [first, second] = contents;
  assert.ok(first && second);
  const ordinals = contents.map(({ ordinal }) => ordinal);
  const changed = (how: (place: Located) => Partial<Located>) =>
    places.map((place) => (place === first ? { ...place, ...how(place) } : place));
  const damagedFile = path.join(device.folder, 'damaged');
  writeFileSync(damagedFile, device.destination.records.get(first.ordinal)!.with(100, 0).with(101, 0));
  const cases: readonly (readonly [what: string, places: readonly Located[], asked: readonly number[]])[] = [
    ['healthy', places, []],
    ['damaged', changed(() => ({ file: damagedFile, offset: 0 })), [first.ordinal]],
    ['another record', changed(() => ({ offset: second.offset, lengthBytes: second.lengthBytes })), [first.ordinal]],
    ['no file', changed(() => ({ file: `${damagedFile} and gone` })), [first.ordinal]],
    ['behind the end', changed(({ offset }) => ({ offset: offset + 1e9 })), [first.ordinal]],
    ['cut off', changed(({ lengthBytes }) => ({ lengthBytes: lengthBytes - 1 })), [first.ordinal]],
    ['no record', changed(() => ({ lengthBytes: 10 })), [first.ordinal]],
    ['unsaid', places.filter((place) => place !== first), [first.ordinal]],
    ['nothing said', [], ordinals],
  ];
  for (const [what, said, wanted] of cases) {
    const { destination, asked } = locating(at, said);
    const target = device.newFolder(`target ${what}`);
    const report = await device.restore(tree, target, { destinations: [destination], workers: 1 });
    assert.deepEqual([report.failedCount, report.restored], [0, 4], what);
    assert.deepEqual(new Set(asked), new Set(wanted), what);
    assert.equal(asked.length, wanted.length, what);
    assert.deepEqual(readTree(target), readTree(tree), what);
  }
});

test('a record that is damaged in its file and at the destination loses its files, and those only', async (t) => {
  const at = await scene(t);
  const { device, tree, places, contents } = at;
  const [first] = contents;
  assert.ok(first);
  const gone = places.map((place) => (place === first ? { ...place, offset: 1e9 } : place));
  const flip = (record: Uint8Array, ordinal: number) =>
    ordinal === first.ordinal ? record.with(record.length - 40, record[record.length - 40]! ^ 1) : record;
  const { destination } = locating(at, gone, flip);
  const target = device.newFolder('target');
  const report = await device.restore(tree, target, { destinations: [destination], workers: 1 });
  assert.ok(report.failedCount > 0 && report.failedCount < 4);
  assert.ok(report.failed.every(({ code }) => code === 'archive.not_authentic'));
  assert.equal(Object.keys(readTree(target)).length, 4 - report.failedCount);
  const { destination: whole } = locating(at, gone);
  const mended = await device.restore(tree, device.newFolder('mended'), {
    destinations: [destination, whole],
    workers: 1,
  });
  assert.deepEqual([mended.failedCount, mended.restored], [0, 4]);
});

test('a record of more files than one job is about gives them all, wherever it is read, and fails all where it is damaged', async (t) => {
  const count = 5_000;
  const at = await scene(t, (tree) => {
    for (let number = 0; number < count; number++) writeFileSync(`${tree}/${number}`, `in ${number}`);
  });
  const { device, tree, places, contents } = at;
  const ordinals = contents.map(({ ordinal }) => ordinal);
  assert.ok(count / ordinals.length > 2048, `${ordinals.length} records`);
  const gone = places.map((place) => ({ ...place, offset: 1e9 }));
  const flip = (record: Uint8Array, ordinal: number) =>
    ordinals.includes(ordinal) ? record.with(record.length - 40, record[record.length - 40]! ^ 1) : record;
  for (const [what, said, asked] of [
    ['in its file', places, []],
    ['gone from its file', gone, ordinals],
    ['in no file', [], ordinals],
  ] as const) {
    const located = locating(at, said);
    const target = device.newFolder(`target ${what}`);
    const report = await device.restore(tree, target, { destinations: [located.destination] });
    assert.deepEqual([report.failedCount, report.restored], [0, count], what);
    assert.deepEqual(
      located.asked.toSorted((a, b) => a - b),
      asked,
      what,
    );
    assert.deepEqual(readTree(target), readTree(tree), what);
  }
  const { destination } = locating(at, gone, flip);
  const lost = await device.restore(tree, device.newFolder('lost'), { destinations: [destination] });
  assert.deepEqual([lost.failedCount, lost.restored], [count, 0]);
});
