import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { cpSync, lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  bringInWriter,
  parseKeyring,
  parseRecordHeader,
  RecordKind,
  recordLengthOf,
  splitRecord,
  writerOf,
} from '@holdfast/archive';
import { systemClock, systemRandom } from '@holdfast/base';
import { KeyStore } from '../keys/key-store.ts';
import { TestAgent } from '../testing.ts';
import type { DestinationSession } from './destination-place.ts';
import { destinationErrors } from './errors.ts';
import { folderPlace, prepareFolder } from './folder-place.ts';

/** What a server says of itself in place of what is so. */
type Lie = {
  readonly head?: DestinationSession['head'];
  readonly keyringNumber?: number;
  readonly highestSequence?: number;
  /** It takes a new writer only when the writer before introduced it, as the cloud does. */
  readonly requiresIntroduction?: boolean;
};

const signal = new AbortController().signal;

/** An agent with a server, which is a folder that may say anything, and with a folder that is what it is. */
class Scene {
  readonly agent: TestAgent;
  readonly server: string;
  folder = '';
  lie: Lie = {};
  isAway = false;
  /** Records of this kind, and what would come after them, do not reach the server. */
  lostKind: number | undefined;
  lost = 0;

  private constructor(t: TestContext) {
    this.agent = new TestAgent({
      makePlace: (config) => {
        const folder = this.server;
        const place = folderPlace({ ...config, folder });
        return {
          config,
          open: async (facts) => {
            if (this.isAway) throw destinationErrors.away({ folder });
            await prepareFolder(folder, facts.archiveId);
            const session = await place.open(facts);
            this.#loseFrom(session);
            this.#tell(session);
            return session;
          },
        };
      },
    });
    t.after(() => this.agent.remove());
    this.server = path.join(this.agent.folder, 'server');
  }

  /** With one backup at both destinations. */
  static async start(t: TestContext): Promise<Scene> {
    const scene = new Scene(t);
    const { agent } = scene;
    mkdirSync(scene.server);
    agent.addServer();
    agent.write('first', randomBytes(80_000));
    await agent.start();
    scene.folder = await agent.addDestination('folder');
    await scene.backUp();
    return scene;
  }

  async backUp(): Promise<void> {
    await this.agent.ask('backup');
    await this.agent.untilProtected();
  }

  /** Copies a folder aside, as it is; the agent does not run. */
  keep(folder: string): () => void {
    const kept = `${folder} ${randomBytes(4).toString('hex')}`;
    const isFile = (name: string) => !lstatSync(name).isSocket();
    cpSync(folder, kept, { recursive: true, preserveTimestamps: true, filter: isFile });
    return () => {
      rmSync(folder, { recursive: true });
      cpSync(kept, folder, { recursive: true, preserveTimestamps: true });
    };
  }

  keys() {
    return new KeyStore(path.join(this.agent.options.stateDir, 'keys.json')).load()!;
  }

  /** SHA-256 of every record of a destination, by ordinal. */
  async records(folder: string): Promise<Map<number, string>> {
    const found = new Map<number, string>();
    await this.withSession(folder, async (session) => {
      const ordinals: number[] = [];
      for await (const { ordinal } of session.list()) ordinals.push(ordinal);
      for await (const record of session.read(ordinals)) {
        found.set(parseRecordHeader(record).ordinal, hash('sha256', record));
      }
    });
    return found;
  }

  async withSession(folder: string, work: (session: DestinationSession) => Promise<void>): Promise<void> {
    const { archiveId } = this.keys().keys;
    const place = folderPlace({ destinationId: 1, name: folder, kind: 'folder', folder });
    const facts = { archiveId, known: undefined, keyRecords: [], clock: systemClock, random: systemRandom, signal };
    const session = await place.open(facts);
    try {
      await work(session);
    } finally {
      await session.close();
    }
  }

  async standingOf(name: string): Promise<{ readonly state: string; readonly reason: string }> {
    const found = (await this.agent.standings()).find(({ destination }) => destination === name);
    return found ?? assert.fail(`nothing stands at ${name}`);
  }

  async isProtectedAt(name: string): Promise<boolean> {
    return (await this.standingOf(name)).state === 'protected';
  }

  /** All of the tree is restored from what a destination alone holds. */
  async expectTreeIn(names: readonly string[]): Promise<void> {
    for (const name of names) assert.ok(await this.agent.has(path.join(this.agent.tree, name)), name);
  }

  #tell(session: DestinationSession): void {
    const { head, keyringNumber, highestSequence, requiresIntroduction = true } = this.lie;
    Object.assign(session, { requiresIntroduction });
    if (head) Object.assign(session, { head });
    if (keyringNumber) Object.defineProperty(session, 'keyringNumber', { get: () => keyringNumber });
    if (highestSequence) session.highestSequence = async () => highestSequence;
  }

  #loseFrom(session: DestinationSession): void {
    const append = session.append.bind(session);
    session.append = async (fragment) => {
      const whole = lengthBefore(fragment, this.lostKind);
      if (whole > 0) await append(fragment.subarray(0, whole));
      if (whole === fragment.length) return;
      this.lost++;
      throw destinationErrors.away({ folder: session.name });
    };
  }
}

/** Bytes of the records of a fragment before the first of a kind. */
function lengthBefore(fragment: Uint8Array, kind: number | undefined): number {
  let at = 0;
  while (at < fragment.length) {
    const header = parseRecordHeader(fragment, at);
    if (header.kind === kind) break;
    at += recordLengthOf(header);
  }
  return at;
}

/** No ordinal has two contents, whatever destination one asks. */
async function expectOneContent(scene: Scene): Promise<void> {
  const [here, there] = [await scene.records(scene.folder), await scene.records(scene.server)];
  const differing = [...here].filter(([ordinal, sha256]) => (there.get(ordinal) ?? sha256) !== sha256);
  assert.deepEqual(differing, []);
}

function writersIn(records: ReadonlyMap<number, string>): readonly number[] {
  return [...new Set([...records.keys()].map(writerOf))].toSorted((a, b) => a - b);
}

const lies: Readonly<Record<string, Lie>> = {
  'it holds more records of this computer than were made': { highestSequence: 10_000_000 },
  'it has a head far ahead': { head: { number: 1_000_000, sha256: 'a'.repeat(64) } },
  'there is a newer keyring': { keyringNumber: 9, requiresIntroduction: false },
  'there is a newer keyring, and that it wants introductions': { keyringNumber: 9 },
};

test('a server that offers an older archive and lies about itself changes nothing for the folder beside it', async (t) => {
  const scene = await Scene.start(t);
  const { agent } = scene;
  await agent.stop();
  const setBack = scene.keep(scene.server);
  await agent.start();
  agent.write('second', randomBytes(80_000));
  await scene.backUp();
  for (const [name, lie] of Object.entries(lies)) {
    await agent.stop();
    setBack();
    scene.lie = lie;
    await agent.start();
    agent.write(name, 'written while it lies');
    await agent.ask('backup');
    await agent.until(
      () => scene.isProtectedAt(scene.folder),
      `the folder is protected beside one that says that ${name}`,
    );
    assert.equal((await scene.standingOf('server')).state, 'failed', name);
  }
  assert.equal(scene.keys().keys.writerNumber, 0, 'no writer number was given up');
  await scene.expectTreeIn(['first', 'second', ...Object.keys(lies)]);
  // An honest one that was set back is brought to where the folder is.
  scene.lie = {};
  await scene.backUp();
  await agent.stop();
  assert.deepEqual(await scene.records(scene.server), await scene.records(scene.folder));
});

test('a server that offers an older archive while the folder is away is not gone on from, and waits for the folder', async (t) => {
  const scene = await Scene.start(t);
  const { agent } = scene;
  await agent.stop();
  const setBack = scene.keep(scene.server);
  await agent.start();
  agent.write('second', randomBytes(80_000));
  await scene.backUp();
  await agent.stop();
  setBack();
  renameSync(scene.folder, `${scene.folder} away`);
  for (const [lie, state] of [
    [{ head: { number: 1_000_000, sha256: 'a'.repeat(64) } }, 'failed'],
    [{ highestSequence: 10_000_000 }, 'failed'],
    [{}, 'behind'],
  ] as const) {
    scene.lie = lie;
    await agent.start();
    await agent.ask('backup').catch(() => undefined);
    assert.equal((await scene.standingOf('server')).state, state);
    await agent.stop();
  }
  renameSync(`${scene.folder} away`, scene.folder);
  await agent.start();
  await scene.backUp();
  await agent.stop();
  assert.equal(scene.keys().keys.writerNumber, 0);
  assert.deepEqual(await scene.records(scene.server), await scene.records(scene.folder));
});

test('a keyring that somebody forged into a folder beside the server changes nothing for the server', async (t) => {
  const scene = await Scene.start(t);
  const { agent } = scene;
  await agent.stop();
  const setBack = scene.keep(scene.folder);
  await agent.start();
  agent.write('second', randomBytes(80_000));
  await scene.backUp();
  await agent.stop();
  setBack();
  const { keys, keyRecords } = scene.keys();
  const { writers } = parseKeyring(splitRecord(keyRecords.at(-1)!).open);
  const ring = { epochs: [{ number: 0, suite: 1, key: systemRandom(32) }], slotKeys: [] };
  const forged = bringInWriter(
    { ...keys, ring, signingSeed: systemRandom(32) },
    { writers, headNumber: 100, origin: 'recovery_code' },
    { wrapSlots: () => [], clock: systemClock },
  );
  await scene.withSession(scene.folder, (session) => session.append(forged.record));
  await agent.start();
  agent.write('third', 'third');
  await agent.ask('backup');
  await agent.until(() => scene.isProtectedAt('server'), 'the server is protected');
  const { state, reason } = await scene.standingOf(scene.folder);
  assert.equal(state, 'failed');
  assert.match(reason, /of a writer or with a key that it does not know/);
  assert.equal(scene.keys().keys.writerNumber, 0);
  await scene.expectTreeIn(['first', 'second', 'third']);
});

test('a state that is set back goes on from either destination, and both come to one head', async (t) => {
  for (const away of ['none', 'server', 'folder'] as const) {
    const scene = await Scene.start(t);
    const { agent } = scene;
    await agent.stop();
    const setBack = scene.keep(agent.options.stateDir);
    await agent.start();
    agent.write('second', randomBytes(80_000));
    await scene.backUp();
    await agent.stop();
    setBack();
    if (away === 'folder') renameSync(scene.folder, `${scene.folder} away`);
    scene.isAway = away === 'server';
    await agent.start();
    agent.write('third', 'third');
    await agent.ask('backup');
    if (away === 'folder') renameSync(`${scene.folder} away`, scene.folder);
    scene.isAway = false;
    await scene.backUp();
    await scene.expectTreeIn(['first', 'second', 'third']);
    await agent.stop();
    assert.equal(scene.keys().keys.writerNumber, 1);
    assert.deepEqual(await scene.records(scene.server), await scene.records(scene.folder));
  }
});

test('a state that is set back goes on from the server that went on, though the folder still is where the state is', async (t) => {
  const scene = await Scene.start(t);
  const { agent } = scene;
  await agent.stop();
  const setBack = [scene.keep(agent.options.stateDir), scene.keep(scene.folder)];
  await agent.start();
  agent.write('second', randomBytes(80_000));
  await scene.backUp();
  rmSync(path.join(agent.tree, 'second'));
  await scene.backUp();
  await agent.stop();
  for (const set of setBack) set();
  await agent.start();
  agent.write('third', 'third');
  await scene.backUp();
  assert.equal(await agent.versions(path.join(agent.tree, 'second')), 1, 'what only the server had is there');
  await agent.stop();
  assert.equal(scene.keys().keys.writerNumber, 1);
  assert.deepEqual(await scene.records(scene.server), await scene.records(scene.folder));
});

/** Another life of the device, which its state does not know of, sends the server so many large files and no commit. */
async function leaveRecords(scene: Scene, files: number): Promise<void> {
  const { agent } = scene;
  await agent.stop();
  const setBack = scene.keep(agent.options.stateDir);
  renameSync(scene.folder, `${scene.folder} away`);
  scene.lostKind = RecordKind.commit;
  const names = Array.from({ length: files }, (_, number) => `other ${number}`);
  for (const name of names) agent.write(name, randomBytes(80_000));
  await agent.start();
  await agent.until(async () => scene.lost > 0, 'a commit is lost');
  await agent.stop();
  scene.lostKind = undefined;
  for (const name of names) rmSync(path.join(agent.tree, name));
  renameSync(`${scene.folder} away`, scene.folder);
  setBack();
}

test('records that another life of this computer left at a server make it take a new number, on its own state', async (t) => {
  const scene = await Scene.start(t);
  const { agent } = scene;
  await leaveRecords(scene, 3);
  await agent.start();
  agent.write('second', randomBytes(80_000));
  await scene.backUp();
  await scene.expectTreeIn(['first', 'second']);
  await agent.stop();
  assert.equal(scene.keys().keys.writerNumber, 1);
  await expectOneContent(scene);
  assert.deepEqual(writersIn(await scene.records(scene.folder)), [0, 1]);
});

test('an ordinal under which a server has a record of another life is not taken for sent to it', async (t) => {
  const scene = await Scene.start(t);
  const { agent } = scene;
  await leaveRecords(scene, 200);
  scene.isAway = true;
  await agent.start();
  agent.write('second', randomBytes(80_000));
  await agent.ask('backup');
  assert.equal(scene.keys().keys.writerNumber, 0, 'nobody could know');
  scene.isAway = false;
  for (const name of ['third', 'fourth']) {
    agent.write(name, randomBytes(80_000));
    await agent.ask('backup');
    await agent.until(() => scene.isProtectedAt(scene.folder), 'the folder is protected');
    assert.deepEqual((await scene.standingOf('server')).state, 'failed');
    await agent.stop();
    await agent.start();
  }
  await scene.expectTreeIn(['first', 'second', 'third', 'fourth']);
  await agent.stop();
  assert.equal(scene.keys().keys.writerNumber, 1);
  const commits = async (folder: string) => {
    let count = 0;
    await scene.withSession(folder, async (session) => {
      for await (const { kind } of session.list(RecordKind.commit)) count += kind === RecordKind.commit ? 1 : 0;
    });
    return count;
  };
  assert.ok(
    (await commits(scene.server)) < (await commits(scene.folder)),
    'no commit counts that reaches what is not there',
  );
});
