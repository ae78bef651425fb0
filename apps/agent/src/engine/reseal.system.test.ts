import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { neededRecords, openRecordSync, parseRecordHeader, RecordKind } from '@holdfast/archive';
import fc from 'fast-check';
import { beginEpoch, close, epochsThere, expectNoChain, letGo, resealAll, settle, shownAt } from './reseal-testing.ts';
import { newDevice, TestDevice } from './testing.ts';

/** A file that has more pieces than a row names, so that they are in a list. */
function inPieces(count: number): Buffer {
  return Buffer.concat([Buffer.from('SQLite format 3\0'), randomBytes(count * 64 * 1024 - 16)]);
}

async function allShown(device: TestDevice) {
  const commits = Array.from({ length: device.index.head().number }, (_, place) => place + 1);
  return Promise.all(commits.map((commit) => shownAt(device, commit)));
}

test('once the past is sealed again and let go, no record of an older epoch is there, and every commit shows the same', async (t) => {
  const { device, tree } = newDevice(t);
  device.aheadSeconds = 60;
  const write = (name: string, bytes: string | Uint8Array) => writeFileSync(path.join(tree, name), bytes);
  const long = inPieces(40);
  write('long', long);
  for (let file = 0; file < 60; file++) write(`small ${file}`, `content of ${file}`);
  write('block', randomBytes(700_000));
  // Names enough for a tree of several leaves, most of which nothing changes later.
  for (let file = 0; file < 500; file++) write(`empty ${'x'.repeat(100)} ${file}`, '');
  await device.backup(tree);
  write('long', Buffer.concat([long.subarray(0, 20 * 64 * 1024), inPieces(20)]));
  write('small 3', 'another content');
  rmSync(path.join(tree, 'block'));
  // A day later a checkpoint is due: the tree has nodes.
  device.aheadSeconds = 3 * 86_400;
  await device.backup(tree);
  const before = await allShown(device);
  const below = beginEpoch(device);
  write('new', randomBytes(200_000));
  await device.backup(tree);
  const head = await shownAt(device, device.index.head().number);
  const bytesBefore = device.destination.bytes;

  const { below: old } = await neededRecords(device.state(), device.load, { below });
  const stretches = await resealAll(device, below);
  assert.ok(stretches.length > 2, `${stretches.length} stretches`);
  const sum = (of: (stretch: (typeof stretches)[number]) => number) =>
    stretches.reduce((all, each) => all + of(each), 0);
  assert.equal(
    sum(({ records }) => records),
    old.dataRecords,
  );
  assert.equal(
    sum(({ lists }) => lists),
    old.lists,
  );
  assert.ok(old.lists >= 2);
  assert.ok(old.nodes >= 4, `${old.nodes} nodes`);
  assert.ok(device.destination.bytes - bytesBefore > old.dataBytes * 0.9, 'what was dry run is uploaded again');
  assert.equal(
    sum(({ left }) => left.size),
    0,
  );
  // Nothing is done a second time.
  assert.deepEqual(
    (await resealAll(device, below)).map(({ records, lists }) => records + lists),
    [0],
  );
  const closed = await close(device, below);
  assert.deepEqual(closed.needed, { dataRecords: 0, dataBytes: 0, lists: 0, nodes: 0 });
  assert.equal(closed.liveSet, 1);
  assert.ok(letGo(device) > 0);
  assert.deepEqual(epochsThere(device), new Set([1]));
  for (const [place, shown] of before.entries()) assert.deepEqual(await shownAt(device, place + 1), shown);
  assert.deepEqual(await shownAt(device, device.index.head().number), head);
  // What comes later refers to nothing that is gone, though the bytes are old.
  write('copy of long', long);
  write('small 3', 'content of 3');
  const again = await device.backup(tree);
  assert.equal(again.newBytes, 0, 'equal bytes are found where they lie now');
  assert.deepEqual(epochsThere(device), new Set([1]));
  await shownAt(device, device.index.head().number);
});

test('a record that nobody gives whole is left, named and needed still, and the others are sealed again', async (t) => {
  const { device, tree } = newDevice(t);
  device.aheadSeconds = 60;
  for (const name of ['kept', 'lost']) writeFileSync(path.join(tree, name), randomBytes(150_000));
  await device.backup(tree);
  const below = beginEpoch(device);
  const data = [...device.destination.records].filter(
    ([, record]) => parseRecordHeader(record).kind === RecordKind.block,
  );
  assert.ok(data.length >= 2, 'where a file is cut follows from the keys of the archive');
  const [lost, record] = data[0]!;
  const damaged = record.slice();
  damaged[damaged.length - 20]! ^= 1;
  device.destination.records.set(lost, damaged);
  const [stretch] = await resealAll(device, below);
  assert.deepEqual([...stretch!.left.keys()], [lost]);
  assert.equal(stretch!.records, data.length - 1);
  const closed = await close(device, below);
  assert.equal(closed.needed.dataRecords, 1);
  letGo(device);
  assert.ok(device.destination.records.has(lost), 'a live set lets go nothing that is needed');
  device.destination.records.set(lost, record);
  assert.equal((await resealAll(device, below))[0]!.records, 1);
  assert.equal((await close(device, below)).needed.dataRecords, 0);
  letGo(device);
  assert.deepEqual(epochsThere(device), new Set([1]));
  assert.equal((await shownAt(device, 1)).size > 0, true);
});

test('what was stored again before, and is moved, is sealed again for every name that it has', async (t) => {
  const { device, tree } = newDevice(t);
  device.aheadSeconds = 60;
  writeFileSync(path.join(tree, 'file'), randomBytes(100_000));
  await device.backup(tree);
  // Two changes of keys with a reseal each: the second one moves what the first one moved.
  const first = beginEpoch(device);
  await resealAll(device, first);
  // A row that names the record of now, beside one that a move leads there.
  writeFileSync(path.join(tree, 'a file'), await contentOfFile(device));
  await device.backup(tree);
  const shown = await shownAt(device, device.index.head().number);
  const second = beginEpoch(device);
  // The row that names the record of now comes first, and a stretch ends behind it.
  const stretches = await resealAll(device, second, { mostBytes: 1, between: () => expectNoChain(device) });
  assert.ok(stretches.length > 1);
  const records = stretches.map((stretch) => stretch.records);
  assert.equal(Math.max(...records), 1);
  assert.equal(records.filter((count) => count > 0).length, 1, 'one record, whatever its names');
  assert.equal((await close(device, second)).needed.dataRecords, 0);
  letGo(device);
  assert.deepEqual(epochsThere(device), new Set([2]));
  assert.deepEqual(await shownAt(device, device.index.head().number), shown);
});

async function contentOfFile(device: TestDevice): Promise<Uint8Array> {
  const [record] = [...device.destination.records.values()].filter(
    (each) => parseRecordHeader(each).kind === RecordKind.block,
  );
  return openRecordSync(record!, device.openKeys).raw;
}

type Step =
  | { readonly what: 'write'; readonly file: number; readonly size: number }
  | { readonly what: 'remove' | 'rename'; readonly file: number }
  | { readonly what: 'epoch' | 'backup' | 'reseal' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant('write' as const), file: fc.nat(7), size: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constantFrom('remove' as const, 'rename' as const), file: fc.nat(7) }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('backup' as const) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constantFrom('epoch' as const, 'reseal' as const) }) },
);

/** The same file and size has the same bytes: pieces are shared by files and versions. */
function bytesOf(size: number): Uint8Array {
  const lengths = [0, 300, 40_000, 200_000, 20 * 64 * 1024 + 5000];
  const bytes = new Uint8Array(lengths[size]!);
  for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 31 + (at >> 8) * 7 + (at >> 16) * 13 + size) & 0xff;
  bytes.set(Buffer.from('SQLite format 3\0').subarray(0, bytes.length));
  return bytes;
}

test('whatever happened, and wherever resealing was cut off, every commit shows the same, and the newest epoch alone is needed', async (t) => {
  const numRuns = process.env.HOLDFAST_TEST_FULL ? 60 : 3;
  const histories = fc.tuple(
    fc.array(step, { minLength: 4, maxLength: 16 }),
    fc.array(fc.nat(6), { maxLength: 3 }),
    fc.constantFrom(200_000, 10_000_000),
  );
  await fc.assert(
    fc.asyncProperty(histories, async ([steps, cuts, mostBytes]) => {
      const device = new TestDevice();
      t.after(() => device.remove());
      device.aheadSeconds = 60;
      const tree = path.join(device.folder, 'tree');
      mkdirSync(tree);
      const file = (number: number) => path.join(tree, `file ${number}`);
      let epochFrom = 2;
      for (const each of steps) {
        if (each.what === 'write') writeFileSync(file(each.file), bytesOf(each.size));
        else if (each.what === 'remove') rmSync(file(each.file), { force: true });
        else if (each.what === 'rename') renameIfThere(file(each.file), file((each.file + 3) % 8));
        else if (each.what === 'epoch') epochFrom = beginEpoch(device);
        else if (each.what === 'reseal') await resealAll(device, epochFrom, { mostBytes });
        else await device.backup(tree, { workers: 1 });
      }
      writeFileSync(file(0), bytesOf(2));
      await device.backup(tree, { workers: 1 });
      const before = await allShown(device);
      const below = beginEpoch(device);
      for (const cut of cuts) {
        device.destination.failFrom = device.destination.fragments + cut;
        const run = async () => {
          await resealAll(device, below, { mostBytes });
          await close(device, below);
        };
        await run().catch((error: unknown) => assert.match(String(error), /told to fail|stopped/));
        device.destination.failFrom = Number.POSITIVE_INFINITY;
        settle(device);
        await expectNoChain(device);
      }
      let round = 0;
      const between = async () => {
        writeFileSync(file(round++ % 8), bytesOf(round % 5));
        await device.backup(tree, { workers: 1 });
      };
      await resealAll(device, below, { mostBytes, between });
      await resealAll(device, below, { mostBytes: 10_000_000 });
      await expectNoChain(device);
      const after = await allShown(device);
      assert.deepEqual((await close(device, below)).needed, { dataRecords: 0, dataBytes: 0, lists: 0, nodes: 0 });
      letGo(device);
      const newest = device.keys.ring.epochs.at(-1)!.number;
      assert.deepEqual(epochsThere(device), new Set([newest]));
      for (const [place, shown] of [...before, ...after.slice(before.length)].entries())
        assert.deepEqual(await shownAt(device, place + 1), shown, `commit ${place + 1}`);
    }),
    { numRuns, interruptAfterTimeLimit: 240_000 },
  );
});

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
