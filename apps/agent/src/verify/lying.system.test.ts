import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseRecordHeader, RecordKind } from '@holdfast/archive';
import type { DestinationSession } from '../destinations/destination-place.ts';
import { folderPlace, prepareFolder } from '../destinations/folder-place.ts';
import { TestAgent } from '../testing.ts';

type Fields = Readonly<Record<string, unknown>>;
/** What the server gives for a record of its own; undefined: that it has none. */
type Answer = (record: Uint8Array) => Uint8Array | undefined;

const timeout = 120_000;

type Scene = Awaited<ReturnType<typeof newAgent>>;

/** An agent with a server, which is a folder that answers as it likes; `answer` says how. */
async function newAgent(t: TestContext) {
  const scene: { answer: Answer; session?: DestinationSession } = { answer: (record) => record };
  const agent = new TestAgent({
    makePlace: (config) => {
      const place = folderPlace({ ...config, folder: server });
      return {
        config,
        open: async (facts) => {
          await prepareFolder(server, facts.archiveId);
          scene.session = answering(await place.open(facts), (record) => scene.answer(record));
          return scene.session;
        },
      };
    },
  });
  t.after(() => agent.remove());
  const server = path.join(agent.folder, 'server');
  mkdirSync(server);
  agent.addServer();
  agent.write('long', Buffer.concat([Buffer.from('SQLite format 3\0'), randomBytes(1_400_000)]));
  // Too small to be cut.
  agent.write('short', randomBytes(50_000));
  await agent.start();
  return { agent, scene };
}

function answering(session: DestinationSession, answer: Answer): DestinationSession {
  const read = session.read.bind(session);
  session.read = async function* (ordinals, signal) {
    for await (const record of read(ordinals, signal)) {
      const given = answer(record);
      if (given) yield given;
    }
  };
  return session;
}

type Lie = { readonly kinds: readonly number[]; readonly isWithheld: boolean };

/** Has the server alter, or withhold, what it has by now of some kinds. */
async function lie({ scene }: Scene, { kinds, isWithheld }: Lie): Promise<Set<number>> {
  const ordinals = new Set<number>();
  for await (const { ordinal, kind } of scene.session!.list()) if (kinds.includes(kind)) ordinals.add(ordinal);
  scene.answer = (record) => {
    if (!ordinals.has(parseRecordHeader(record).ordinal)) return record;
    if (isWithheld) return undefined;
    const altered = record.slice();
    altered[altered.length - 1]! ^= 1;
    return altered;
  };
  return ordinals;
}

const data = [RecordKind.block, RecordKind.bundle];

/** What was found at the server and, where there is one, at the folder. */
async function verify({ agent }: Scene) {
  const { head, destinations } = await agent.ask('verify', { full: true });
  const [server, folder] = destinations as Fields[];
  const { damagedCount, copied, storedAgain, leftCount } = server!;
  const left = server!['left'] as Fields[];
  return { head: Number(head), folder, left, counts: { damagedCount, copied, storedAgain, leftCount } };
}

test(
  'records that one destination alters or withholds, and another has whole, are stored nowhere under new numbers',
  { timeout },
  async (t) => {
    const scene = await newAgent(t);
    const { agent } = scene;
    await agent.addDestination('folder');
    await agent.ask('backup');
    await agent.untilProtected();
    const before = await verify(scene);
    assert.deepEqual(before.counts, { damagedCount: 0, copied: 0, storedAgain: 0, leftCount: 0 });
    for (const isWithheld of [false, true]) {
      const { size } = await lie(scene, { kinds: data, isWithheld });
      const found = await verify(scene);
      // What it says that it has not it is sent again, under its old number; what it alters it is said to have.
      const [copied, leftCount] = isWithheld ? [size, 0] : [0, size];
      assert.deepEqual(found.counts, { damagedCount: size, copied, storedAgain: 0, leftCount });
      assert.equal(found.head, before.head, 'something was stored');
      assert.deepEqual([found.folder!['damagedCount'], found.folder!['isCurrent']], [0, true]);
      assert.equal(found.left.length, leftCount);
      for (const { problem } of found.left) assert.match(String(problem), /another destination has it whole/);
    }
    scene.scene.answer = (record) => record;
    assert.equal((await verify(scene)).counts.damagedCount, 0);
    await agent.untilProtected();
  },
);

test('records that the only destination alters are stored again from the files', { timeout }, async (t) => {
  const scene = await newAgent(t);
  await scene.agent.ask('backup');
  await scene.agent.untilProtected();
  const { size } = await lie(scene, { kinds: data, isWithheld: false });
  const found = await verify(scene);
  assert.deepEqual(found.counts, { damagedCount: size, copied: 0, storedAgain: size, leftCount: 0 });
  assert.equal((await verify(scene)).counts.damagedCount, 0);
});

test(
  'behind a list of pieces that is lost the other files are checked and mended, and nothing it may name is called mended',
  { timeout },
  async (t) => {
    const scene = await newAgent(t);
    await scene.agent.ask('backup');
    await scene.agent.untilProtected();
    const lists = await lie(scene, { kinds: [RecordKind.list], isWithheld: true });
    assert.ok(lists.size > 0);
    const withoutList = scene.scene.answer;
    await lie(scene, { kinds: data, isWithheld: false });
    const withoutData = scene.scene.answer;
    scene.scene.answer = (record) => {
      const given = withoutList(record);
      return given && withoutData(given);
    };
    const { counts, left } = await verify(scene);
    // What the list names was not to be found, so only its lists and the other file's record are damage.
    const [{ ordinal, path: name }] = left as [Fields];
    assert.ok(lists.has(Number(ordinal)));
    assert.equal(path.basename(String(name)), 'long');
    const { size } = lists;
    assert.deepEqual(counts, { damagedCount: size + 1, copied: 0, storedAgain: 1, leftCount: size });
  },
);
