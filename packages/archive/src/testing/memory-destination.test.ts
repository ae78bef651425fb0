import assert from 'node:assert/strict';
import test from 'node:test';

import { CodedError } from '@holdfast/base';
import fc from 'fast-check';

import { joinBytes } from '../format/cursor.ts';
import { draftRevision } from '../format/header.ts';
import { RecordKind } from '../format/record.ts';
import { openArchive } from '../tree/open-archive.ts';
import { rootDirectory } from '../tree/state.ts';
import { ArchiveMaker, type MadeRecord } from './archive-maker.ts';
import { fixedTools } from './folder-source.ts';
import { golden, prose, putFile } from './golden-rows.ts';
import { GoldenScene } from './golden-scene.ts';
import { createMemoryDestination } from './memory-destination.ts';

const entropy = new Uint8Array(32).fill(0x33);
const newFile = (scene: GoldenScene, name: string) => putFile(scene, name, [prose(name, 40)]);

/** Four commits, the second a checkpoint. */
async function makeScene(seed = 'memory'): Promise<GoldenScene> {
  const maker = new ArchiveMaker(seed, entropy);
  maker.addEpoch(golden(0));
  maker.keyring(golden(0));
  const scene = new GoldenScene(maker);
  for (const [index, name] of ['one', 'two', 'three', 'four'].entries()) {
    newFile(scene, name);
    await scene.commit({ time: golden(index), isCheckpoint: index === 1 });
  }
  return scene;
}

function destinationOf(records: readonly MadeRecord[]) {
  const destination = createMemoryDestination();
  for (const { bytes } of records) destination.append(bytes);
  return destination;
}

const open = (records: readonly MadeRecord[]) => openArchive(destinationOf(records), { entropy }, fixedTools);

async function namesAt(records: readonly MadeRecord[]): Promise<string[]> {
  const { state } = await open(records);
  const rows = await Array.fromAsync(state.list(rootDirectory, state.head));
  return rows.map(({ name }) => new TextDecoder().decode(name));
}

test('records are kept by ordinal, again is fine, and other bytes under one ordinal are refused', async () => {
  const { maker } = await makeScene();
  const other = await makeScene('other');
  const destination = createMemoryDestination();
  destination.append(joinBytes(...maker.records.map(({ bytes }) => bytes)));
  destination.append(maker.records[3]!.bytes);
  assert.equal(destination.ordinals.length, maker.records.length);
  assert.throws(() => destination.append(other.maker.records[3]!.bytes), { code: 'archive.corrupt' });
  assert.throws(() => destination.append(maker.records[3]!.bytes.subarray(1)), { code: 'archive.corrupt' });
  assert.throws(() => destination.append(maker.records[3]!.bytes.slice(0, -1)), { code: 'archive.corrupt' });
});

test('without its newest commits an archive reads as of the last whole line, and says what hangs in the air', async () => {
  const { maker } = await makeScene();
  const commits = maker.records.filter(({ kind }) => kind === 'commit');
  const without = (...gone: (MadeRecord | undefined)[]) => maker.records.filter((record) => !gone.includes(record));
  assert.deepEqual(await namesAt(maker.records), ['four', 'one', 'three', 'two']);
  assert.deepEqual(await namesAt(without(commits[3])), ['one', 'three', 'two']);
  assert.deepEqual(await namesAt(without(commits[0])), ['four', 'one', 'three', 'two']);
  const gap = await open(without(commits[2]));
  assert.equal(gap.state.head, 2);
  assert.deepEqual(
    gap.branches.map(({ number }) => number),
    [4],
  );
  await assert.rejects(open(without(commits[0], commits[1])), { code: 'archive.no_head' });
});

test('a record of another archive, or one in the place of another, is not taken for what it is not', async () => {
  const { maker } = await makeScene();
  const other = await makeScene('other');
  const foreign = other.maker.records.filter(({ kind }) => kind === 'commit');
  const commits = maker.records.filter(({ kind }) => kind === 'commit');
  const mixed = maker.records.map((record) => (record === commits[3] ? foreign[3]! : record));
  const archive = await open(mixed);
  assert.equal(archive.state.head, 3);
  assert.match(archive.problems[0]!.problem, /not signed by a writer of this archive/);
  const destination = destinationOf(maker.records);
  const bundles = maker.records.filter(({ kind }) => kind === 'bundle');
  const swapping = {
    ordinalsOf: (kind: number) => destination.ordinalsOf(kind),
    read: (ordinal: number) => destination.read(ordinal === bundles[0]!.ordinal ? bundles[1]!.ordinal : ordinal),
  };
  const swapped = await openArchive(swapping, { entropy }, fixedTools);
  const found = await swapped.state.lookup([Buffer.from('one')], 4);
  await assert.rejects(Array.fromAsync(swapped.streams.pieces(found!.entry!.row.streams![0]!)), {
    code: 'archive.corrupt',
  });
});

test('of two commits with one number the line with the later time counts, and the other is a branch', async () => {
  const scene = await makeScene();
  const { maker } = scene;
  const third = maker.commits[2]!;
  newFile(scene, 'late');
  const clone = await scene.commit({ time: golden(1000), writer: 0, after: third });
  const archive = await open(maker.records);
  assert.deepEqual([archive.head.number, archive.head.ordinal], [4, clone.ordinal]);
  assert.deepEqual(
    archive.branches.map(({ ordinal }) => ordinal),
    [maker.commits[3]!.ordinal],
  );
});

test('a feature or a draft that this version does not know stops the reading with its name', async () => {
  const scene = await makeScene();
  const { maker } = scene;
  await maker.commit({ time: golden(9), readFeatures: ['folding'] });
  await assert.rejects(open(maker.records), (error: CodedError) => {
    assert.equal(error.code, 'archive.unknown_feature');
    assert.deepEqual(error.details['features'], ['folding']);
    return true;
  });
  // Also of the draft before: its slots are other ones.
  for (const draft of [draftRevision - 1, draftRevision + 1]) {
    const other = maker.records.with(0, new ArchiveMaker('memory', entropy, [], draft).records[0]!);
    await assert.rejects(open(other), { code: 'archive.unknown_format' });
  }
});

test('whatever bytes are flipped in whatever records, reading goes on or stops by a declared error, never with other contents', async () => {
  const scene = await makeScene();
  const { maker } = scene;
  const contents = async (destination: ReturnType<typeof destinationOf>): Promise<void> => {
    const { state, streams } = await openArchive(destination, { entropy }, fixedTools);
    for await (const { name, row } of state.list(rootDirectory, state.head)) {
      const pieces = await Array.fromAsync(streams.pieces(row.streams![0]!));
      const text = new TextDecoder().decode(name);
      assert.equal(Buffer.from(pieces[0]!.bytes!).toString(), Buffer.from(prose(text, 40)).toString());
    }
  };
  const places = fc.array(fc.tuple(fc.nat({ max: maker.records.length - 1 }), fc.nat()), {
    minLength: 1,
    maxLength: 3,
  });
  const property = fc.asyncProperty(places, async (spoiled) => {
    const destination = destinationOf(maker.records);
    for (const [index, at] of spoiled) {
      const { ordinal, bytes } = maker.records[index]!;
      destination.spoil(ordinal, at % bytes.length);
    }
    try {
      await contents(destination);
    } catch (error) {
      if (!(error instanceof CodedError) || !error.code.startsWith('archive.')) throw error;
    }
  });
  await fc.assert(property, { numRuns: 300 });
  await contents(destinationOf(maker.records));
  assert.equal(maker.records.filter(({ kind }) => RecordKind[kind] === RecordKind.commit).length, 4);
});
