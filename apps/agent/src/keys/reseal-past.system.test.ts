import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { logErrors, ordinalOf, parseRecordHeader, RecordKind, type Ordinal } from '@holdfast/archive';
import { nodeDisk, scanRecords } from '@holdfast/archive/log';
import { type CodedError, systemClock, systemRandom } from '@holdfast/base';
import { storageErrors } from '@holdfast/contract';
import { prepareCustomKeySlot } from '@holdfast/trust';
import { BranchScene } from '../branches/branch-scene-testing.ts';
import type { DestinationPlace } from '../destinations/destination-place.ts';
import { destinationErrors } from '../destinations/errors.ts';
import { archiveFolderIn, folderPlace } from '../destinations/folder-place.ts';
import { TestAgent } from '../testing.ts';
import { makeArchive, withNewWriter } from './archive-keyring.ts';
import { withChangedSlots } from './change-slots.ts';
import { oldBelow, targetEpoch } from './reseal-past.ts';

const ports = { clock: systemClock, random: systemRandom };
const hasty = {
  ...systemClock,
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 50), signal),
};

test('what is old lies below the keyring that began an epoch, and all of earlier writers is old', () => {
  const begins = (stored: ReturnType<typeof makeArchive>, ordinal: Ordinal) =>
    withChangedSlots(stored, { isStruck: () => false, added: [], beginsEpoch: true }, { ...ports, ordinal });
  const one = makeArchive(ports);
  assert.equal(oldBelow(one, 0), 1);
  const three = begins(begins(one, 100), 500);
  assert.deepEqual(
    [0, 1, 2].map((epoch) => oldBelow(three, epoch)),
    [1, 100, 500],
  );
  const next = withNewWriter(three, { headNumber: 7, origin: 'state_lost' }, ports);
  assert.equal(oldBelow(next, 2), ordinalOf(1, 0));
  assert.equal(oldBelow(begins(next, ordinalOf(1, 40)), 3), ordinalOf(1, 40));
  assert.deepEqual([targetEpoch(three, undefined), targetEpoch(three, 1)], [2, 1]);
  assert.throws(() => targetEpoch(three, 3), { code: 'keys.no_such_epoch' });
});

/** An agent with one destination, which fails to take data when told to; an own key was set after the first backup. */
async function startAgent(t: TestContext) {
  const failure: { error?: CodedError; onAppend?: () => void; appended: number } = { appended: 0 };
  const isData = (fragment: Uint8Array) => {
    const { kind } = parseRecordHeader(fragment);
    return kind === RecordKind.block || kind === RecordKind.bundle;
  };
  const failing = (place: DestinationPlace): DestinationPlace => ({
    ...place,
    async open(facts) {
      mkdirSync(archiveFolderIn(place.config.folder!, facts.archiveId), { recursive: true });
      const session = await place.open(facts);
      const append = session.append.bind(session);
      session.append = async (fragment) => {
        if (isData(fragment)) {
          failure.appended++;
          failure.onAppend?.();
          if (failure.error) throw failure.error;
        }
        await append(fragment);
      };
      return session;
    },
  });
  const folder: { path?: string } = {};
  const makePlace = (config: Parameters<typeof folderPlace>[0]) =>
    failing(folderPlace({ ...config, folder: folder.path! }));
  const agent = new TestAgent({ clock: hasty, makePlace });
  t.after(() => agent.remove());
  folder.path = path.join(agent.folder, 'destination');
  agent.addServer();
  for (let number = 0; number < 8; number++) agent.write(`file ${number}`, randomBytes(600_000));
  await agent.start();
  await agent.untilProtected();
  await setOwnKey(agent);
  return { agent, failure };
}

/** Begins an epoch. */
async function setOwnKey(agent: TestAgent, { isProtectedThen = true } = {}): Promise<void> {
  const { archiveId } = await agent.ask('key.list');
  const { slot, publicKey } = prepareCustomKeySlot(
    Uint8Array.fromHex(String(archiveId)),
    randomBytes(32),
    systemRandom,
  );
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  const given = { slotId: hex(slot.slotId), commitment: hex(slot.commitment), publicKey: hex(publicKey) };
  await agent.ask('key.use-own', { choice: 'custom', slot: given });
  if (isProtectedThen) await agent.untilProtected();
}

type Result = {
  readonly records: number;
  readonly left: object;
  readonly liveSet?: number;
  readonly heldUpBy?: { readonly why: string };
};
const nothingLeft = { dataRecords: 0, dataBytes: 0, lists: 0, nodes: 0 };

test('a full disk, a quota, a destination that goes away: each is said as it is, and resealing goes on when it is asked again', async (t) => {
  const { agent, failure } = await startAgent(t);
  const errors = [
    storageErrors.quota_exceeded(),
    logErrors.disk_full(),
    storageErrors.full(),
    destinationErrors.away({ folder: '/away' }),
  ];
  for (const error of errors) {
    failure.error = error;
    await assert.rejects(agent.ask('key.reseal'), { code: error.code });
    const { reseal } = await agent.ask('key.list');
    assert.deepEqual(reseal, { begunEpoch: 1 });
    delete failure.error;
  }
  // Files are protected all the same.
  agent.write('meanwhile', randomBytes(1000));
  await agent.untilProtected();
  const done = (await agent.ask('key.reseal')) as unknown as Result;
  assert.ok(done.records >= 8);
  assert.deepEqual([done.left, done.liveSet], [nothingLeft, 1]);
  const { reseal } = (await agent.ask('key.list')) as unknown as { reseal: Record<string, unknown> };
  assert.deepEqual([reseal['epoch'], reseal['left'], reseal['begunEpoch']], [1, 0, undefined]);
  // A destination that begins now gets nothing of the past as it was sealed then.
  const later = await agent.addDestination('later');
  await agent.ask('backup');
  await agent.untilProtected();
  assert.deepEqual(await epochsIn(later), new Set([1]));
  const again = (await agent.ask('key.reseal')) as unknown as Result;
  assert.deepEqual([again.records, again.left, again.liveSet], [0, nothingLeft, 2]);
});

/** Epochs of the sealed records in a destination's segments, but for those of keyrings. */
async function epochsIn(destination: string): Promise<ReadonlySet<number>> {
  const epochs = new Set<number>();
  const names = readdirSync(destination, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.seg'));
  for (const name of names) {
    const file = await nodeDisk.open(path.join(destination, name), 'read');
    for await (const finding of scanRecords(file)) {
      if (finding.found !== 'record' || finding.kind === RecordKind.keyring) continue;
      const header = new Uint8Array(52);
      await file.read(header, finding.offset);
      const { epoch, sealedBytes } = parseRecordHeader(header);
      if (sealedBytes > 0) epochs.add(epoch);
    }
    await file.close();
  }
  return epochs;
}

test('what an earlier writer of the archive sealed is sealed again, too, and let go once every destination was looked at', async (t) => {
  const agent = new TestAgent({ clock: hasty });
  t.after(() => agent.remove());
  for (let number = 0; number < 4; number++) agent.write(`file ${number}`, randomBytes(200_000));
  await agent.start();
  const one = await agent.addDestination('one');
  const two = await agent.addDestination('two');
  await agent.ask('backup');
  await agent.untilProtected();
  await agent.stop();
  // What the agent knew is lost: it goes on as the next writer.
  for (const end of ['', '-wal', '-shm']) rmSync(path.join(agent.options.stateDir, `index.db${end}`), { force: true });
  await agent.start();
  await agent.ask('backup');
  await agent.untilProtected();
  await setOwnKey(agent);
  await agent.ask('backup');
  renameSync(two, `${two} away`);
  const held = (await agent.ask('key.reseal')) as unknown as Result;
  assert.deepEqual([held.left, held.liveSet, held.heldUpBy?.why], [nothingLeft, undefined, 'away']);
  assert.ok(held.records >= 4);
  renameSync(`${two} away`, two);
  await agent.ask('backup');
  await agent.untilProtected();
  const done = (await agent.ask('key.reseal')) as unknown as Result;
  assert.deepEqual([done.records, done.left, done.liveSet], [0, nothingLeft, 1]);
  const later = await agent.addDestination('later');
  await agent.ask('backup');
  await agent.untilProtected();
  assert.deepEqual([await epochsIn(later), (await epochsIn(one)).size], [new Set([1]), 2]);
  const { destinations } = (await agent.ask('verify', { full: true })) as unknown as {
    destinations: readonly { readonly damagedCount: number; readonly isCurrent: boolean }[];
  };
  for (const { damagedCount, isCurrent } of destinations) assert.deepEqual([damagedCount, isCurrent], [0, true]);
  assert.equal(destinations.length, 3);
});

test('while a branch is undecided no live set is written, and once it was taken in its records are let go, too', async (t) => {
  const scene = await BranchScene.start(t, { clock: hasty });
  const { agent } = scene;
  await scene.part([() => agent.write('only there', randomBytes(100_000))], [() => agent.write('meanwhile', 'new')]);
  await setOwnKey(agent, { isProtectedThen: false });
  const held = (await agent.ask('key.reseal')) as unknown as Result;
  assert.deepEqual([held.left, held.liveSet, held.heldUpBy?.why], [nothingLeft, undefined, 'branch']);
  const [branch] = (await agent.ask('branch.list'))['branches'] as { readonly branch: number }[];
  await agent.ask('branch.take-in', { branch: branch!.branch });
  await scene.backUp();
  await agent.untilProtected();
  const done = (await agent.ask('key.reseal')) as unknown as Result;
  assert.deepEqual([done.left, done.heldUpBy, done.liveSet], [nothingLeft, undefined, 1]);
  const later = await agent.addDestination('later');
  await agent.ask('backup');
  await agent.untilProtected();
  assert.deepEqual(await epochsIn(later), new Set([1]));
});

test('one reseal runs at a time, and an agent that is stopped meanwhile goes on with it when it is asked again', async (t) => {
  const { agent, failure } = await startAgent(t);
  const refused: Promise<void>[] = [];
  const stopped: Promise<void>[] = [];
  failure.onAppend = () => {
    if (refused.length === 0) refused.push(assert.rejects(agent.ask('key.reseal'), { code: 'keys.reseal_runs' }));
    else if (stopped.length === 0) stopped.push(Promise.all(refused).then(() => agent.stop()));
  };
  await assert.rejects(agent.ask('key.reseal'));
  assert.deepEqual([refused.length, stopped.length], [1, 1]);
  await Promise.all([...refused, ...stopped]);
  delete failure.onAppend;
  await agent.start();
  await agent.untilProtected();
  const { left, liveSet } = (await agent.ask('key.reseal')) as unknown as Result;
  assert.deepEqual([left, liveSet], [nothingLeft, 1]);
});
