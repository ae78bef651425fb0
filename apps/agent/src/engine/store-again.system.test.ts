import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  contentOf,
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
async function* nowhere(): AsyncGenerator<Uint8Array> {}

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
    lost: { ordinals: lost, state: device.state(), rawsOf: nowhere },
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
  const more = { ...nothing, lost: { ordinals: lostAgain, state: device.state(), rawsOf: nowhere } };
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
  // Another destination gives bytes of its own first: one that has the piece is asked all the same.
  const rawsOf = async function* (ordinal: number) {
    yield randomBytes(200_000);
    const record = elsewhere.get(ordinal);
    if (record) yield openRecordSync(record, device.openKeys).raw;
  };
  const { storedAgain } = await device.backup(tree, {
    ...nothing,
    lost: { ordinals: lost, state: device.state(), rawsOf },
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

/** A file that has more pieces than a row names, so that they are in a list. */
function inPieces(count: number): Buffer {
  return Buffer.concat([Buffer.from('SQLite format 3\0'), randomBytes(count * 64 * 1024 - 16)]);
}

test('what a list that is lost may name is neither counted as stored again nor forgotten, and the rest is stored', async (t) => {
  for (const isListLost of [true, false]) {
    const { device, tree } = newDevice(t);
    device.aheadSeconds = 60;
    writeFileSync(path.join(tree, 'listed'), inPieces(20));
    writeFileSync(path.join(tree, 'plain'), randomBytes(100_000));
    await device.backup(tree);
    const listing = await device.listing();
    const keyOf = (name: string) => [...listing.keys()].find((key) => key.endsWith(`/${name}`))!;
    const [plain] = await recordsOf(device, keyOf('plain'));
    const [first, second] = await recordsOf(device, keyOf('listed'));
    const list = contentOf(listing.get(keyOf('listed'))!)!.list!.list.ordinal;
    const lost = new Set([plain!, first!, second!]);
    for (const ordinal of lost) device.destination.records.delete(ordinal);
    const kept = device.destination.records.get(list)!;
    if (isListLost) device.destination.records.delete(list);
    const { storedAgain } = await device.backup(tree, {
      ...nothing,
      lost: { ordinals: lost, state: device.state(), rawsOf: nowhere },
    });
    assert.deepEqual(new Set(storedAgain?.left.keys()), new Set(isListLost ? [first, second] : []));
    assert.equal(storedAgain?.pieces, isListLost ? 1 : 3);
    for (const { name } of storedAgain.left.values()) assert.equal(Buffer.from(name).toString(), 'listed');
    const known = [...lost].filter((ordinal) => device.index.recordOwners(ordinal) !== undefined);
    assert.deepEqual(known, isListLost ? [...lost] : []);
    // Once the list is to be had, what it names is.
    device.destination.records.set(list, kept);
    assert.deepEqual(await unreadable(device), new Set(isListLost ? [first, second] : []));
    const more = { ...nothing, lost: { ordinals: lost, state: device.state(), rawsOf: nowhere } };
    assert.equal((await device.backup(tree, more)).storedAgain?.left.size, 0);
    assert.deepEqual(await unreadable(device), new Set());
  }
});

test('a list that is altered keeps no other file from being stored again', async (t) => {
  const { device, tree } = newDevice(t);
  device.aheadSeconds = 60;
  writeFileSync(path.join(tree, 'listed'), inPieces(20));
  // Too small to be cut.
  writeFileSync(path.join(tree, 'plain'), randomBytes(50_000));
  await device.backup(tree);
  const listing = await device.listing();
  const keyOf = (name: string) => [...listing.keys()].find((key) => key.endsWith(`/${name}`))!;
  const lost = new Set(await recordsOf(device, keyOf('plain')));
  for (const ordinal of lost) device.destination.records.delete(ordinal);
  const list = contentOf(listing.get(keyOf('listed'))!)!.list!.list.ordinal;
  const altered = device.destination.records.get(list)!.slice();
  altered[altered.length - 20]! ^= 1;
  device.destination.records.set(list, altered);
  const { storedAgain } = await device.backup(tree, {
    ...nothing,
    lost: { ordinals: lost, state: device.state(), rawsOf: nowhere },
  });
  assert.deepEqual([storedAgain?.pieces, storedAgain?.left.size], [1, 0]);
});

/** A file with a list of pieces, the last of which was lost and stored again; and a file that is that piece, and names the new record. */
async function movedOnce(t: TestContext) {
  const { device, tree } = newDevice(t);
  device.aheadSeconds = 60;
  const files = { listed: path.join(tree, 'listed'), copy: path.join(tree, 'copy') };
  const end = randomBytes(10_000);
  writeFileSync(files.listed, Buffer.concat([inPieces(20), end]));
  await device.backup(tree);
  const contentOfFile = async (name: string) =>
    contentOf([...(await device.listing())].find(([key]) => key.endsWith(`/${name}`))![1])!;
  const lose = async (...ordinals: readonly number[]) => {
    for (const ordinal of ordinals) device.destination.records.delete(ordinal);
    const lost = { ordinals: new Set(ordinals), state: device.state(), rawsOf: nowhere };
    return (await device.backup(tree, { ...nothing, lost })).storedAgain!;
  };
  const listed = await contentOfFile('listed');
  const first = (await Array.fromAsync(streamExtents(listed, device.load))).at(-1);
  assert.ok(first);
  assert.deepEqual([first.length, (await lose(first.ordinal)).left.size], [end.length, 0]);
  writeFileSync(files.copy, end);
  await device.backup(tree);
  const second = (await contentOfFile('copy')).extents![0]!;
  assert.deepEqual(await device.state().resolveExtent(first), second);
  assert.notEqual(second.ordinal, first.ordinal);
  return { device, tree, files, first, second, list: listed.list!.list.ordinal, lose };
}

test('a move that a look cut short left behind is led on to where the bytes were stored since, though no file has them', async (t) => {
  const { device, tree, files, first, second, lose } = await movedOnce(t);
  const [move] = await Array.fromAsync(device.state().range(Uint8Array.of(3), Uint8Array.of(4)));
  const left = { key: move!.key.slice(), value: move!.value.slice() };
  await lose(second.ordinal);
  const third = await device.state().resolveExtent(second);
  // The move of the version before, as it was: it leads to what is moved itself.
  await device.backup(tree, { ...nothing, settings: [left] });
  for (const file of Object.values(files)) rmSync(file);
  await device.backup(tree);
  assert.deepEqual(await unreadable(device), new Set([second.ordinal]));
  const stored = await lose(second.ordinal);
  assert.deepEqual([stored.pieces, stored.left.size], [0, 0]);
  assert.deepEqual(await device.state().resolveExtent(first), third);
  assert.deepEqual(await unreadable(device), new Set());
  // What is lost at the end of such a chain is left for every record on the way to it.
  await device.backup(tree, { ...nothing, settings: [left] });
  const both = [second.ordinal, third.ordinal];
  assert.deepEqual(new Set((await lose(...both)).left.keys()), new Set(both));
});

test('every move to bytes that are stored again is led on with them, also for rows that are not looked at then', async (t) => {
  const { device, first, second, list, lose } = await movedOnce(t);
  // The row of the first version is not come to, as when the look is cut short before it.
  const kept = device.destination.records.get(list)!;
  device.destination.records.delete(list);
  await lose(second.ordinal);
  device.destination.records.set(list, kept);
  const third = await device.state().resolveExtent(second);
  assert.notEqual(third.ordinal, second.ordinal);
  assert.deepEqual(await device.state().resolveExtent(first), third);
  assert.deepEqual(await unreadable(device), new Set());
});
