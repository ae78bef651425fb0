import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CodedError, systemClock } from '@holdfast/base';
import { joinBytes } from '../format/cursor.ts';
import { type Ordinal, ordinalOf } from '../format/ordinal.ts';
import { encodeRecord, RecordKind } from '../format/record.ts';
import { ArchiveFolder, type FolderOptions } from './archive-folder.ts';
import type { Disk } from './disk.ts';
import { keyringRecord, seededBytes, storedRecord } from './fixtures.ts';
import type { ReadOutcome } from './folder-reader.ts';
import { nodeDisk } from './node-disk.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const archiveId = seededBytes(1, 16);

function options(dir: string, disk: Disk, more: Partial<FolderOptions> = {}): FolderOptions {
  const base = { archiveId, clock: systemClock, mode: 'write', parity: true, copies: true } as const;
  return { dir, disk, ...base, segmentBodyBytes: 64 * 1024, ...more };
}

async function withDirectory(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'archive folder '));
  try {
    await work(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

async function code(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'no error';
  } catch (error) {
    return error instanceof CodedError ? error.code : String(error);
  }
}

async function outcomes(folder: ArchiveFolder, ordinals: readonly Ordinal[]): Promise<Map<Ordinal, ReadOutcome>> {
  const read = await Array.fromAsync(folder.read(ordinals));
  return new Map(read.map((outcome) => [outcome.ordinal, outcome]));
}

/** Records of several kinds: mostly blocks, with a keyring, trees and commits among them. */
function mixedRecords(count: number): Map<Ordinal, Uint8Array> {
  const kinds = [RecordKind.block, RecordKind.bundle, RecordKind.tree, RecordKind.block, RecordKind.commit];
  const records = new Map<Ordinal, Uint8Array>([[1, keyringRecord(1, 1)]]);
  for (let i = 0; i < count; i++) {
    records.set(i + 2, storedRecord(i + 2, 500 + ((i * 2654435761) % 9000), kinds[i % kinds.length]));
  }
  return records;
}

async function expectAll(folder: ArchiveFolder, records: ReadonlyMap<Ordinal, Uint8Array>): Promise<void> {
  const read = await outcomes(folder, [...records.keys()]);
  assert.equal(read.size, records.size);
  for (const [ordinal, bytes] of records) {
    const outcome = read.get(ordinal)!;
    assert.equal(outcome.status, 'found', `record ${ordinal}`);
    assert.deepEqual(outcome.status === 'found' && Buffer.from(outcome.bytes), Buffer.from(bytes));
  }
}

test('what is appended and synced is read back by this process, by another one, and after opening again', async () => {
  await withDirectory(async (dir) => {
    const records = mixedRecords(80);
    const folder = await ArchiveFolder.open(options(dir, nodeDisk));
    const reader = await ArchiveFolder.open(options(dir, nodeDisk, { mode: 'read' }));
    const list = [...records.values()];
    for (let i = 0; i < list.length; i += 7) {
      await folder.append(joinBytes(...list.slice(i, i + 7)));
      await folder.sync();
      const shown = new Map([...records].slice(0, i + 7));
      await expectAll(reader, shown);
    }
    await expectAll(folder, records);
    const { kinds, highestSequences, segments, missingSegments } = await folder.status();
    assert.ok(segments > 3);
    assert.deepEqual(missingSegments, []);
    assert.deepEqual([...highestSequences], [[0, 81]]);
    assert.equal(
      [...kinds.values()].reduce((sum, { bytes }) => sum + bytes, 0),
      list.reduce((sum, { length }) => sum + length, 0),
    );
    assert.deepEqual((await reader.status()).kinds, kinds);
    const commits = (await Array.fromAsync(folder.list(RecordKind.commit))).map(({ ordinal }) => ordinal);
    assert.deepEqual(
      commits,
      Array.from({ length: 16 }, (_, i) => i * 5 + 6),
    );
    await folder.close();
    await reader.close();
    const again = await ArchiveFolder.open(options(dir, nodeDisk));
    await expectAll(again, records);
    assert.deepEqual((await again.scrub()).findings, []);
    await again.close();
  });
});

test('records come out in the order in which they are stored, each once, and unknown ones are said to be unknown', async () => {
  const folder = await ArchiveFolder.open(options('/a', new SimulatedDisk()));
  const order = [9, 4, 7, 2, 30, 3];
  for (const ordinal of order) await folder.append(storedRecord(ordinal, 20_000));
  await folder.sync();
  const read = await Array.fromAsync(folder.read([2, 3, 4, 7, 9, 30, 4, 99]));
  assert.deepEqual(
    read.map(({ ordinal, status }) => [ordinal, status]),
    [...order.map((ordinal) => [ordinal, 'found']), [99, 'unknown']],
  );
  assert.deepEqual([await folder.has(30), await folder.has(31)], [true, false]);
  await folder.close();
});

test('bytes that are not whole valid records are refused and change nothing; their sound variants are taken', async () => {
  const disk = new SimulatedDisk();
  const folder = await ArchiveFolder.open(options('/a', disk));
  const good = storedRecord(5, 600);
  const changed = (at: number, value: number) => {
    const copy = Uint8Array.from(good);
    copy[at] = value;
    return copy;
  };
  const keyring = keyringRecord(1, 1);
  const brokenKeyring = encodeRecord({
    kind: RecordKind.keyring,
    epoch: 0,
    ordinal: 1,
    open: Uint8Array.of(9, 9),
    sealed: seededBytes(1, 60),
    signature: seededBytes(2, 64),
    nonce: seededBytes(3, 24),
  });
  const refused = {
    'a cut record': good.subarray(0, good.length - 1),
    'a flipped bit': changed(300, good[300]! ^ 1),
    'another magic': changed(0, 0),
    'another version': encodeRecord({ version: 2, kind: 3, epoch: 0, ordinal: 5, sealed: seededBytes(1, 60) }),
    'an unknown kind': encodeRecord({ kind: 77, epoch: 0, ordinal: 5 }),
    'a length beyond the end': changed(20, 255),
    'one ordinal twice': joinBytes(good, good),
    'something behind': joinBytes(good, new Uint8Array(52)),
    'a keyring without a number': brokenKeyring,
  };
  const before = disk.files();
  for (const [name, bytes] of Object.entries(refused)) {
    assert.equal(await code(folder.append(joinBytes(storedRecord(4, 57), bytes))), 'log.record_invalid', name);
  }
  assert.deepEqual(disk.files(), before);
  const accepted = [
    good,
    storedRecord(4, 57),
    joinBytes(storedRecord(6, 900), storedRecord(7, 900)),
    storedRecord(ordinalOf(3, 0), 60, RecordKind.commit),
    keyring,
    storedRecord(ordinalOf(65_535, 4_000_000), 60),
    encodeRecord({
      kind: RecordKind.live,
      epoch: 0,
      ordinal: 8,
      open: seededBytes(1, 60),
      signature: seededBytes(2, 64),
    }),
    storedRecord(9, 80_000),
    new Uint8Array(0),
  ];
  for (const bytes of accepted) await folder.append(bytes);
  await folder.sync();
  await expectAll(
    folder,
    new Map([
      [5, good],
      [9, storedRecord(9, 80_000)],
      [1, keyring],
    ]),
  );
  await folder.close();
});

test('an ordinal that is known is taken again with the same bytes, and refused with others, synced or not', async () => {
  const folder = await ArchiveFolder.open(options('/a', new SimulatedDisk()));
  const records = [storedRecord(2, 700), storedRecord(3, 700)];
  const other = encodeRecord({
    kind: 3,
    epoch: 0,
    ordinal: 3,
    nonce: seededBytes(3, 24),
    sealed: seededBytes(99, 700),
  });
  assert.deepEqual((await folder.append(joinBytes(...records))).repeated, []);
  for (const when of ['before the sync', 'after it']) {
    const again = await folder.append(joinBytes(...records, storedRecord(when === 'after it' ? 5 : 4, 57)));
    assert.deepEqual([again.repeated, again.written.length], [[2, 3], 1], when);
    assert.equal(await code(folder.append(joinBytes(storedRecord(8, 57), other))), 'log.ordinal_known', when);
    assert.equal(await folder.has(8), false);
    await folder.sync();
  }
  assert.equal((await Array.fromAsync(folder.list())).length, 4);
  await folder.close();
});

test('what was examined is appended as it is, and looked at again where records came in between', async () => {
  await withDirectory(async (dir) => {
    const folder = await ArchiveFolder.open(options(dir, nodeDisk));
    const [first, second] = [storedRecord(2, 900), storedRecord(3, 900)];
    const both = await folder.examine(joinBytes(first, second));
    assert.deepEqual(
      both.records.map(({ isKnown }) => isKnown),
      [false, false],
    );
    assert.deepEqual((await folder.append(both)).written.length, 2);
    assert.deepEqual((await folder.append(both)).repeated, [2, 3], 'again: they are here now');
    const third = storedRecord(4, 900);
    const early = await folder.examine(third);
    await folder.append(third);
    assert.deepEqual(await folder.append(early), { written: [], repeated: [4] });
    const late = await folder.examine(storedRecord(5, 900));
    await folder.append(storedRecord(5, 901));
    assert.equal(await code(folder.append(late)), 'log.ordinal_known');
    await folder.sync();
    await folder.close();
  });
});

test('header and keyrings are kept three times, and another keyring of the same number is refused', async () => {
  await withDirectory(async (dir) => {
    const folder = await ArchiveFolder.open(options(dir, nodeDisk));
    const keyring = keyringRecord(1, 1);
    await folder.append(keyring);
    await folder.append(keyringRecord(2, 900));
    await folder.sync();
    assert.deepEqual(
      (await readdir(join(dir, 'keys'))).toSorted(),
      [1, 2].flatMap((number) => [1, 2, 3].map((copy) => `keyring-${number}.${copy}`)),
    );
    for (const copy of [1, 2, 3])
      assert.deepEqual(await readFile(join(dir, 'keys', `keyring-1.${copy}`)), Buffer.from(keyring));
    assert.equal(await code(folder.append(keyringRecord(2, 901))), 'log.keyring_known');
    await folder.append(keyringRecord(3, 901));
    await folder.close();
  });
});

test('what is appended while a sync is under way shares the next one', async () => {
  const simulated = new SimulatedDisk();
  let gate: Promise<void> = Promise.resolve();
  let syncs = 0;
  const disk: Disk = Object.assign(Object.create(simulated) as Disk, {
    open: async (path: string, mode: 'read' | 'write' | 'create') => {
      const file = await simulated.open(path, mode);
      const sync = async () => {
        syncs++;
        await gate;
        await file.sync();
      };
      return { ...file, sync };
    },
  });
  const methods = ['list', 'stat', 'makeDirectory', 'rename', 'link', 'remove', 'syncDirectory'] as const;
  for (const method of methods) Object.assign(disk, { [method]: simulated[method].bind(simulated) });
  const folder = await ArchiveFolder.open(options('/a', disk, { copies: false, segmentBodyBytes: 1024 * 1024 }));
  await folder.append(storedRecord(2, 500));
  const opening = Promise.withResolvers<void>();
  gate = opening.promise;
  syncs = 0;
  const first = folder.sync();
  const later = Array.from({ length: 50 }, async (_, i) => {
    await folder.append(storedRecord(i + 3, 500));
    await folder.sync();
    assert.equal((await folder.readOne(i + 3)).status, 'found');
  });
  // Each append takes its turn, so when this one is through all of them wait for the disk.
  await folder.append(storedRecord(99, 500));
  opening.resolve();
  await Promise.all([first, ...later]);
  assert.equal(syncs, 2);
  await folder.close();
});

test('a full disk refuses what does not fit and goes on when there is room', async () => {
  const disk = new SimulatedDisk();
  const folder = await ArchiveFolder.open(options('/a', disk));
  const records = mixedRecords(60);
  let isFull = false;
  disk.fault = ({ operation, path }) => {
    const isWrite = ['write', 'open'].includes(operation) && !path.endsWith('.idx');
    return isFull && isWrite ? { code: 'ENOSPC', ...(operation === 'write' ? { writtenBytes: 100 } : {}) } : undefined;
  };
  for (const [ordinal, bytes] of records) {
    isFull = ordinal % 3 === 0;
    if (isFull) assert.equal(await code(folder.append(bytes)), 'log.disk_full');
    isFull = false;
    await folder.append(bytes);
    await folder.sync();
  }
  await folder.seal();
  await expectAll(folder, records);
  assert.deepEqual((await folder.scrub()).findings, []);
  await folder.close();
});

test('a failed sync closes the folder for good; opening it again gives all that was acknowledged', async () => {
  const disk = new SimulatedDisk();
  let folder = await ArchiveFolder.open(options('/a', disk));
  await folder.append(storedRecord(2, 700));
  let acknowledged = await folder.sync();
  disk.fault = ({ operation }) => (operation === 'sync' ? { code: 'EIO' } : undefined);
  await folder.append(storedRecord(3, 700));
  assert.equal(await code(folder.sync()), 'log.poisoned');
  disk.fault = undefined;
  assert.equal(await code(folder.sync()), 'log.poisoned');
  assert.equal(await code(folder.append(storedRecord(4, 700))), 'log.poisoned');
  assert.equal((await folder.readOne(2)).status, 'found');
  await folder.close();
  folder = await ArchiveFolder.open(options('/a', disk, { acknowledged }));
  await folder.append(storedRecord(3, 700));
  acknowledged = await folder.sync();
  disk.cutPower();
  disk.powerOn();
  folder = await ArchiveFolder.open(options('/a', disk, { acknowledged }));
  await expectAll(folder, new Map([2, 3].map((ordinal) => [ordinal, storedRecord(ordinal, 700)])));
  await folder.close();
});

test('an index or catalogue that is gone or behind is made again from the segments', async () => {
  await withDirectory(async (dir) => {
    const records = mixedRecords(70);
    records.set(ordinalOf(2, 5), storedRecord(ordinalOf(2, 5), 800));
    let folder = await ArchiveFolder.open(options(dir, nodeDisk));
    for (const bytes of records.values()) await folder.append(bytes);
    const acknowledged = await folder.sync();
    await folder.settle();
    await folder.close();
    const index = join(dir, 'index');
    const losses = [
      () => rm(index, { recursive: true }),
      () => rm(join(index, '0.idx')),
      () => rm(join(index, 'catalogue')),
      () => truncate(join(index, '0.idx'), 500),
      async () =>
        writeFile(join(index, 'catalogue'), (await readFile(join(index, 'catalogue'), 'utf8')).replaceAll('1', '2')),
    ];
    for (const lose of losses) {
      await lose();
      folder = await ArchiveFolder.open(options(dir, nodeDisk, { acknowledged }));
      await expectAll(folder, records);
      const found = await outcomes(folder, [...records.keys()]);
      assert.ok([...found.values()].every((o) => o.status === 'found' && o.damagedPlace === undefined));
      assert.deepEqual(await folder.append(records.get(40)!), { written: [], repeated: [40] });
      await folder.close();
    }
    assert.ok((await stat(join(index, '0.idx'))).size >= 71 * 12);
  });
});

test('a folder of another archive is refused, one of this archive is opened', async () => {
  const disk = new SimulatedDisk();
  const folder = await ArchiveFolder.open(options('/a', disk));
  await folder.append(storedRecord(2, 57));
  await folder.sync();
  await folder.close();
  assert.equal(
    await code(ArchiveFolder.open(options('/a', disk, { archiveId: seededBytes(2, 16) }))),
    'log.other_archive',
  );
  await (await ArchiveFolder.open(options('/a', disk))).close();
});

test('a folder opened for reading changes nothing and refuses to be written', async () => {
  const disk = new SimulatedDisk();
  const folder = await ArchiveFolder.open(options('/a', disk));
  for (const bytes of mixedRecords(30).values()) await folder.append(bytes);
  await folder.sync();
  await folder.close();
  const before = disk.files();
  const reader = await ArchiveFolder.open(options('/a', disk, { mode: 'read' }));
  assert.equal(await code(reader.append(storedRecord(99, 57))), 'log.read_only');
  assert.equal(await code(reader.sync()), 'log.read_only');
  assert.equal(await code(reader.repair()), 'log.read_only');
  await reader.scrub();
  await expectAll(reader, mixedRecords(30));
  assert.deepEqual(disk.files(), before);
  await reader.close();
  assert.equal(await code(reader.has(2)), 'log.closed');
});
