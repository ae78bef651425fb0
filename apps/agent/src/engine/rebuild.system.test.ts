import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  bringInWriter,
  commitChain,
  LocalIndex,
  newestCommit,
  parseRecordHeader,
  rebuildIndex,
} from '@holdfast/archive';
import { systemClock } from '@holdfast/base';
import { createLinuxSource } from './linux-source.ts';
import { newDevice, type TestDevice } from './testing.ts';

function write(file: string, content: string | Uint8Array): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
}

function shelfOf({ destination }: TestDevice) {
  return {
    async *list(kind: number) {
      for (const [ordinal, record] of destination.records)
        if (parseRecordHeader(record).kind === kind) yield { ordinal };
    },
    read: (ordinals: readonly number[]) => destination.read(ordinals),
  };
}

/** The index is gone: rebuilds it from the destination, as the next writer. */
async function loseIndex(device: TestDevice) {
  device.index.close();
  const { index } = LocalIndex.open(path.join(fs.mkdtempSync(path.join(device.folder, 'state ')), 'index.db'));
  const { keys } = device;
  const publicKey = device.publicKey;
  const writers = [{ number: 0, publicKey, firstCommit: 1, origin: 'first' as const }];
  const head = await newestCommit(shelfOf(device), { archiveId: keys.archiveId, writers });
  const commits = head ? await commitChain(shelfOf(device), head) : [];
  const { openKeys, load } = device;
  const counts = await rebuildIndex({ index, keys: openKeys, commits, load, source: createLinuxSource() });
  const known = { writers, headNumber: head?.number ?? 0, origin: 'state_lost' as const };
  device.keys = bringInWriter(keys, known, { wrapSlots: () => [], clock: systemClock }).keys;
  index.set('ordinals', 1);
  device.index = index;
  return counts;
}

test('losing the index costs no upload of data, and every version is still there', async (t) => {
  const { device, tree } = newDevice(t);
  const random = Buffer.alloc(3_000_000, 'x').map((_, at) => (at * 2654435761) >>> 13);
  write(path.join(tree, 'large'), random);
  for (let at = 0; at < 500; at++) write(path.join(tree, `${at % 7}/deep/${at}`), `content ${at}`);
  fs.linkSync(path.join(tree, 'large'), path.join(tree, '3/linked'));
  fs.symlinkSync('nowhere', path.join(tree, 'link'));
  const first = await device.backup(tree);
  write(path.join(tree, 'large'), random.subarray(0, 1_000_000));
  const second = await device.backup(tree);
  const before = [...(await device.listing()).keys()];

  const counts = await loseIndex(device);
  assert.ok(counts.adoptedEntries >= 502, `${counts.adoptedEntries} adopted`);
  const after = await device.backup(tree);
  assert.deepEqual([after.newBytes, after.changedNames], [0, 0]);
  assert.ok(after.head <= second.head + 1, 'at most a checkpoint');
  assert.deepEqual([...(await device.listing()).keys()], before);

  write(path.join(tree, 'new'), 'new');
  fs.rmSync(path.join(tree, '5'), { recursive: true });
  fs.renameSync(path.join(tree, '6'), path.join(tree, 'six'));
  const third = await device.backup(tree);
  assert.equal(third.newBytes, 3);
  const listing = await device.listing();
  assert.ok(listing.has(path.join(tree, 'six/deep/6')) && !listing.has(path.join(tree, '5/deep/5')));
  assert.ok((await device.listing(first.head)).has(path.join(tree, '5/deep/5')));
  assert.equal(listing.get(path.join(tree, '3/linked'))?.linkGroup, listing.get(path.join(tree, 'large'))?.linkGroup);
});

test('what changed, came or went while the index was lost is found, and old files are not read again', async (t) => {
  const { device, tree } = newDevice(t);
  device.aheadSeconds = 60;
  for (const name of ['same', 'changed', 'gone']) write(path.join(tree, name), `${name} before`);
  await device.backup(tree);
  // The head must be a day younger than the files, as after a night's pass.
  device.aheadSeconds = 30 * 3600;
  write(path.join(tree, 'later'), 'later');
  await device.backup(tree);
  write(path.join(tree, 'changed'), 'changed after');
  fs.rmSync(path.join(tree, 'gone'));
  await loseIndex(device);
  const report = await device.backup(tree);
  const listing = await device.listing();
  assert.equal(
    Buffer.from(await device.contentOf(listing.get(path.join(tree, 'changed'))!)).toString(),
    'changed after',
  );
  assert.equal(listing.has(path.join(tree, 'gone')), false);
  assert.equal(report.readBytes, 'changed after'.length);
});

test('an archive without commits gives an empty index', async (t) => {
  const { device, tree } = newDevice(t);
  write(path.join(tree, 'file'), '1');
  const counts = await loseIndex(device);
  assert.deepEqual(counts, { rows: 0, pieces: 0, directories: 0, adoptedEntries: 0 });
  assert.equal((await device.backup(tree)).newBytes, 1);
  assert.ok((await device.listing()).has(path.join(tree, 'file')));
});

test('a folder that is gone when the index is lost takes its number again when it comes back, those in it too', async (t) => {
  const { device, tree } = newDevice(t);
  const numberOf = async (name: string, commit = device.index.head().number) => {
    const state = device.state();
    const volumes = await Array.fromAsync(state.list({ directoryNumber: 0, since: 0 }, commit));
    const names = path
      .join(tree, name)
      .split('/')
      .slice(1)
      .map((part) => Buffer.from(part));
    const found = await Promise.all(volumes.map((volume) => state.lookup([volume.name, ...names], commit)));
    return found.find((each) => each?.directory)?.directory?.directoryNumber;
  };
  const names = ['gone', 'gone/below', 'replaced', 'moved/elsewhere'];
  for (const name of ['gone/below', 'replaced', 'first', 'stays/in']) {
    fs.mkdirSync(path.join(tree, name), { recursive: true });
    write(path.join(tree, name, 'file'), `of ${name}`);
  }
  const first = await device.backup(tree);
  fs.mkdirSync(path.join(tree, 'moved'));
  fs.renameSync(path.join(tree, 'first'), path.join(tree, 'moved/elsewhere'));
  const second = await device.backup(tree);
  const before = await Promise.all(names.map((name) => numberOf(name, second.head)));
  const stays = await numberOf('stays/in');
  for (const name of ['gone', 'replaced', 'moved/elsewhere']) fs.rmSync(path.join(tree, name), { recursive: true });
  write(path.join(tree, 'replaced'), 'a file');
  const third = await device.backup(tree);

  await loseIndex(device);
  fs.rmSync(path.join(tree, 'replaced'));
  for (const name of names) write(path.join(tree, name, 'file again'), 'again');
  await device.backup(tree);
  assert.deepEqual(await Promise.all(names.map((name) => numberOf(name))), before);
  assert.equal(await numberOf('stays/in'), stays);
  const listed = async (commit?: number) =>
    [...(await device.listing(commit)).keys()].filter((name) => /(gone|replaced|elsewhere|first)/.test(name)).length;
  assert.equal(await listed(), 8, 'what was in them before is not there again');
  assert.deepEqual([await listed(third.head), await listed(first.head)], [1, 7]);
});
