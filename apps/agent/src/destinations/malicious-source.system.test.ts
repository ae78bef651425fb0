import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { cpSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { crc32 } from 'node:zlib';
import { type Ordinal, parseRecordHeader, RecordKind } from '@holdfast/archive';
import { systemClock, systemRandom } from '@holdfast/base';
import { TestAgent } from '../testing.ts';
import type { DestinationSession } from './destination-place.ts';
import { folderPlace, prepareFolder } from './folder-place.ts';
import { genuineIn, isProof } from './own-ordinals.ts';

const ports = { clock: systemClock, random: systemRandom };
const { signal } = new AbortController();

type Bend = (record: Uint8Array) => Uint8Array | undefined;

/** A record of its length, kind and ordinal under an epoch that nobody has, with a right checksum. */
function garbageFor(record: Uint8Array): Uint8Array {
  const garbage = record.slice();
  garbage[6] = 200;
  garbage.set(randomBytes(garbage.length - 52), 52);
  return withCrc(garbage);
}

function flippedAt(record: Uint8Array, at: number): Uint8Array {
  const flipped = record.slice();
  flipped[at]! ^= 1;
  return flipped;
}

function withCrc(record: Uint8Array): Uint8Array {
  const crc = crc32(record.subarray(52), crc32(record.subarray(0, 48)));
  new DataView(record.buffer).setUint32(48, crc, true);
  return record;
}

/** An agent with a server, which may give and list what it likes, and with a folder that lags behind it. */
class Scene {
  readonly agent: TestAgent;
  readonly server: string;
  folder = '';
  /** What the server gives in place of a record; undefined for nothing. */
  bend: Bend = (record) => record;
  /** Ordinals that the server lists besides, as nodes of the tree. */
  invented: readonly Ordinal[] = [];

  constructor(t: TestContext) {
    this.agent = new TestAgent({
      makePlace: (config) => {
        const place = folderPlace({ ...config, folder: this.server });
        return {
          config,
          open: async (facts) => {
            await prepareFolder(this.server, facts.archiveId);
            const session = await place.open(facts);
            this.#tell(session);
            return session;
          },
        };
      },
    });
    t.after(() => this.agent.remove());
    this.server = path.join(this.agent.folder, 'server');
  }

  /** With two backups at the server, of which the folder lacks the second one; the agent does not run. */
  async start(): Promise<void> {
    const { agent } = this;
    mkdirSync(this.server);
    agent.addServer();
    agent.write('first', randomBytes(80_000));
    await agent.start();
    this.folder = await agent.addDestination('folder');
    await this.backUp();
    await agent.stop();
    const older = `${this.folder} older`;
    const isFile = (name: string) => !lstatSync(name).isSocket();
    cpSync(this.folder, older, { recursive: true, preserveTimestamps: true, filter: isFile });
    // The next backup makes a tree of it.
    await this.agent.withArchive(async ({ index }) => index.set('checkpoint.at', 1));
    await agent.start();
    agent.write('second', randomBytes(80_000));
    agent.write('third', randomBytes(80_000));
    await this.backUp();
    await agent.stop();
    rmSync(this.folder, { recursive: true });
    cpSync(older, this.folder, { recursive: true, preserveTimestamps: true });
  }

  async backUp(): Promise<void> {
    await this.agent.ask('backup');
    await this.agent.untilProtected();
  }

  async stateOf(name: string): Promise<string | undefined> {
    return (await this.agent.standings()).find(({ destination }) => destination === name)?.state;
  }

  /** Every record of a destination. */
  async records(folder: string): Promise<readonly Uint8Array[]> {
    return this.agent.withArchive(async ({ archiveId }) => {
      const place = folderPlace({ destinationId: 1, name: folder, kind: 'folder', folder });
      const session = await place.open({ archiveId, known: undefined, keyRecords: [], ...ports, signal });
      try {
        const ordinals = (await Array.fromAsync(session.list())).map(({ ordinal }) => ordinal);
        const records: Uint8Array[] = [];
        for await (const record of session.read(ordinals)) records.push(record.slice());
        return records;
      } finally {
        await session.close();
      }
    });
  }

  async hashes(folder: string): Promise<ReadonlyMap<Ordinal, string>> {
    const records = await this.records(folder);
    return new Map(records.map((record) => [parseRecordHeader(record).ordinal, hash('sha256', record)]));
  }

  /** Nothing lies in the folder under any ordinal but what lies at the server. */
  async expectGenuine(): Promise<void> {
    const [here, there] = [await this.hashes(this.folder), await this.hashes(this.server)];
    const foreign = [...here].filter(([ordinal, sha256]) => there.get(ordinal) !== sha256);
    assert.deepEqual(foreign, []);
  }

  #tell(session: DestinationSession): void {
    const { read, list } = { read: session.read.bind(session), list: session.list.bind(session) };
    const [bend, invented] = [(record: Uint8Array) => this.bend(record), () => this.invented];
    session.read = async function* (ordinals, ...more) {
      for await (const record of read(ordinals, ...more)) {
        const given = bend(record);
        if (given) yield given;
      }
      for (const ordinal of ordinals.filter((each) => invented().includes(each))) yield inventedNode(ordinal);
    };
    session.list = async function* (kind) {
      yield* list(kind);
      if (kind === undefined) for (const ordinal of invented()) yield { ordinal, kind: RecordKind.tree };
    };
  }
}

/** A node that nobody made, with a right checksum. */
function inventedNode(ordinal: Ordinal): Uint8Array {
  const record = Buffer.alloc(52 + 528);
  record.write('HFR1');
  record[4] = 1;
  record[5] = RecordKind.tree;
  record[6] = 200;
  record.writeUIntLE(ordinal, 8, 6);
  record.writeUInt32LE(528, 20);
  record.set(randomBytes(528), 52);
  return withCrc(new Uint8Array(record));
}

test('every genuine record may be copied and proves its device; none that a source changed or made up does', async (t) => {
  const scene = new Scene(t);
  await scene.start();
  const records = await scene.records(scene.server);
  await scene.agent.withArchive(async (archive) => {
    const isGenuine = genuineIn(archive);
    const seen = new Set<number>();
    for (const record of records) {
      const { kind, ordinal } = parseRecordHeader(record);
      seen.add(kind);
      assert.deepEqual([isGenuine(record), isProof(record, archive)], [true, true], `kind ${kind}`);
      const lies: Uint8Array[] = [
        flippedAt(record, 48 + (ordinal % 4)),
        Buffer.concat([record, Uint8Array.of(0)]),
        record.with(4, 2),
      ];
      // A header and a commit say by their kind that no epoch but theirs can be meant.
      if (kind !== RecordKind.header) lies.push(garbageFor(record), withCrc(flippedAt(record, record.length - 1)));
      for (const [place, lie] of lies.entries()) {
        const told = `kind ${kind}, lie ${place}`;
        assert.deepEqual([isGenuine(lie), isProof(lie, archive)], [false, false], told);
      }
    }
    const { header, keyring, block, tree, commit } = RecordKind;
    for (const kind of [header, keyring, block, tree, commit]) assert.ok(seen.has(kind), `kind ${kind} was there`);
    const newest = records.findLast((record) => parseRecordHeader(record).kind === block)!;
    archive.index.set('ordinals', parseRecordHeader(newest).ordinal);
    assert.deepEqual([isGenuine(newest), isProof(newest, archive)], [false, true], 'of an ordinal still to be used');
  });
});

test('garbage that a server gives, and nodes that it makes up, do not come to the folder, which is filled all the same', async (t) => {
  const scene = new Scene(t);
  await scene.start();
  const { agent } = scene;
  scene.invented = [40_000_000, 50_000_000];
  let garbage = 0;
  scene.bend = (record) => {
    const { kind } = parseRecordHeader(record);
    if (kind !== RecordKind.block && kind !== RecordKind.bundle) return record;
    garbage++;
    return garbageFor(record);
  };
  await agent.start();
  await agent.ask('backup');
  await agent.until(
    async () => (await scene.stateOf(scene.folder)) === 'protected',
    'the folder has it from the files',
  );
  await agent.stop();
  assert.ok(garbage > 0);
  await scene.expectGenuine();
});

test('a folder that a server withholds a node of the tree from is not protected, until it gives it', async (t) => {
  for (const lie of [() => undefined, garbageFor] satisfies Bend[]) {
    const scene = new Scene(t);
    await scene.start();
    const { agent } = scene;
    const here = await scene.hashes(scene.folder);
    const isNode = (record: Uint8Array) => {
      const { kind, ordinal } = parseRecordHeader(record);
      return kind === RecordKind.tree && !here.has(ordinal);
    };
    const isAnyNode = (await scene.records(scene.server)).some(isNode);
    assert.ok(isAnyNode, 'the folder lacks a node');
    scene.bend = (record) => (isNode(record) ? lie(record) : record);
    await agent.start();
    await agent.ask('backup');
    assert.equal(await scene.stateOf(scene.folder), 'behind');
    scene.bend = (record) => record;
    await scene.backUp();
    await agent.stop();
    await scene.expectGenuine();
    assert.deepEqual(await scene.hashes(scene.folder), await scene.hashes(scene.server));
  }
});
