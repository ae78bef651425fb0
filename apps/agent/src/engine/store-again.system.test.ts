import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  directoryStart,
  type Extent,
  isHole,
  openRecordSync,
  parseRow,
  type Row,
  streamExtents,
} from '@holdfast/archive';
import { newDevice, type TestDevice } from './testing.ts';

/** Where the pieces of all versions lie, moves followed. */
async function* piecesOf(device: TestDevice): AsyncGenerator<Extent> {
  const state = device.state();
  for await (const { value } of state.range(directoryStart(0), Uint8Array.of(2))) {
    yield* piecesOfRow(device, parseRow(value));
  }
}

async function* piecesOfRow(device: TestDevice, row: Row): AsyncGenerator<Extent> {
  const state = device.state();
  for (const stream of row.streams ?? []) {
    for await (const named of streamExtents(stream, device.load)) if (!isHole(named)) yield state.resolveExtent(named);
  }
}

/** Records that rows need and that do not give their piece. */
async function unreadable(device: TestDevice): Promise<Set<number>> {
  const bad = new Set<number>();
  for await (const { ordinal, offset, length, sha256 } of piecesOf(device)) {
    const record = device.destination.records.get(ordinal);
    const raw = record && openRecordSync(record, device.openKeys).raw;
    const piece = raw?.subarray(offset, offset + length);
    if (!piece || Buffer.compare(hash('sha256', piece, 'buffer'), sha256) !== 0) bad.add(ordinal);
  }
  return bad;
}

/** The records in which a file's content lies now. */
async function recordsOf(device: TestDevice, file: string): Promise<number[]> {
  const ordinals = new Set<number>();
  for await (const { ordinal } of piecesOfRow(device, (await device.listing()).get(file)!)) ordinals.add(ordinal);
  return [...ordinals];
}

const nothing = { onlySets: [], directories: [], workers: 0 };
const nowhere = () => Promise.resolve(undefined);

test('what lay in lost records is stored again from the files, for every version, and never under a known ordinal', async (t) => {
  const { device, tree } = newDevice(t);
  const write = (name: string, bytes: string | Uint8Array) => writeFileSync(path.join(tree, name), bytes);
  const long = randomBytes(1_500_000);
  write('long', long);
  for (const name of ['one', 'two', 'three']) write(name, `${name} content`);
  device.aheadSeconds = 60;
  await device.backup(tree);
  // A second version that shares most pieces with the first.
  write('long', Buffer.concat([long, randomBytes(1000)]));
  await device.backup(tree);
  const listing = await device.listing();
  const [longKey, oneKey] = ['long', 'one'].map((name) => [...listing.keys()].find((key) => key.endsWith(`/${name}`))!);
  assert.ok(longKey && oneKey);
  const lost = new Set([(await recordsOf(device, longKey))[1]!, ...(await recordsOf(device, oneKey))]);
  const before = new Set(device.destination.records.keys());
  for (const ordinal of lost) device.destination.records.delete(ordinal);
  assert.deepEqual(await unreadable(device), lost);
  const report = await device.backup(tree, {
    ...nothing,
    lost: { ordinals: lost, state: device.state(), rawOf: nowhere },
  });
  assert.deepEqual([report.storedAgain?.pieces, report.storedAgain?.left.size], [4, 0]);
  assert.deepEqual(await unreadable(device), new Set());
  for (const ordinal of lost)
    assert.equal(device.destination.records.has(ordinal), false, 'sealed under the old ordinal');
  assert.ok([...device.destination.records.keys()].filter((ordinal) => !before.has(ordinal)).length >= 3);
  // No version more than there were: nothing of the files has changed.
  const again = await device.backup(tree);
  assert.equal(again.changedNames, 0);
  // Equal bytes are found where they lie now, and lost again they are stored once more.
  write('copy of one', 'one content');
  const copied = await device.backup(tree);
  assert.equal(copied.newBytes, 0);
  const lostAgain = new Set(await recordsOf(device, oneKey));
  for (const ordinal of lostAgain) device.destination.records.delete(ordinal);
  const more = { ...nothing, lost: { ordinals: lostAgain, state: device.state(), rawOf: nowhere } };
  assert.equal((await device.backup(tree, more)).storedAgain?.left.size, 0);
  assert.deepEqual(await unreadable(device), new Set());
});

test('what no file has any more is left and named, what another destination gives is stored again all the same', async (t) => {
  const { device, tree } = newDevice(t);
  device.aheadSeconds = 60;
  const write = (name: string, bytes: string | Uint8Array) => writeFileSync(path.join(tree, name), bytes);
  write('gone', randomBytes(100_000));
  write('other', randomBytes(100_000));
  write('changed', randomBytes(100_000));
  await device.backup(tree);
  const keys = [...(await device.listing()).keys()];
  const lostOf = async (name: string) =>
    recordsOf(
      device,
      keys.find((key) => key.endsWith(`/${name}`))!,
    );
  const [gone, other, changed] = [await lostOf('gone'), await lostOf('other'), await lostOf('changed')];
  rmSync(path.join(tree, 'gone'));
  rmSync(path.join(tree, 'other'));
  write('changed', randomBytes(100_000));
  const elsewhere = new Map(other.map((ordinal) => [ordinal, device.destination.records.get(ordinal)!]));
  const lost = new Set([...gone, ...other, ...changed]);
  for (const ordinal of lost) device.destination.records.delete(ordinal);
  const rawOf = async (ordinal: number) => {
    const record = elsewhere.get(ordinal);
    return record && openRecordSync(record, device.openKeys).raw;
  };
  const { storedAgain } = await device.backup(tree, {
    ...nothing,
    lost: { ordinals: lost, state: device.state(), rawOf },
  });
  assert.deepEqual(new Set(storedAgain?.left.keys()), new Set([...gone, ...changed]));
  assert.deepEqual(
    new Set([...storedAgain!.left.values()].map(({ name }) => Buffer.from(name).toString())),
    new Set(['gone', 'changed']),
  );
  assert.deepEqual(await unreadable(device), new Set([...gone, ...changed]));
  // Equal bytes that come later must not be looked for in what is lost.
  await device.backup(tree);
  assert.deepEqual(await unreadable(device), new Set([...gone, ...changed]));
});
