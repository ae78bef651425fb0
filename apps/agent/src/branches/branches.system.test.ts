import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { ArchiveFolder, nodeDisk } from '@holdfast/archive/log';
import { systemClock } from '@holdfast/base';
import { BranchBook, holdMs } from './branch-book.ts';
import { BranchScene, contentsOf } from './branch-scene-testing.ts';

type Shown = Readonly<Record<string, unknown>>;

/** Every record below a destination's folder, as text that is that record's alone, by its ordinal. */
async function recordsBelow(folder: string): Promise<Map<number, string>> {
  const [name] = readdirSync(folder);
  const archiveId = Uint8Array.fromHex(name!.replace('holdfast-', ''));
  const dir = path.join(folder, name!);
  const opened = await ArchiveFolder.open({
    dir,
    disk: nodeDisk,
    archiveId,
    clock: systemClock,
    mode: 'read',
    parity: true,
    copies: true,
  });
  try {
    const ordinals: number[] = [];
    for await (const { ordinal } of opened.list()) ordinals.push(ordinal);
    const records = new Map<number, string>();
    for await (const outcome of opened.read(ordinals)) {
      if (outcome.status === 'found') records.set(outcome.ordinal, Buffer.from(outcome.bytes).toString('base64'));
    }
    return records;
  } finally {
    await opened.close();
  }
}

async function branchesOf({ agent }: BranchScene): Promise<readonly Shown[]> {
  return (await agent.ask('branch.list'))['branches'] as Shown[];
}

async function standingsOf({ agent }: BranchScene): Promise<Record<string, string>> {
  const standings = await agent.standings();
  return Object.fromEntries(standings.map(({ destination, state }) => [path.basename(destination ?? ''), state]));
}

const big = randomBytes(300_000);

/** What a folder alone has: two versions of a file, a long file in new folders, and a file that is gone again. */
async function startParted(t: TestContext, more: Parameters<typeof BranchScene.start>[1] = {}): Promise<BranchScene> {
  const scene = await BranchScene.start(t, more);
  const { agent } = scene;
  const there = [
    () => {
      agent.write('shared', 'only there 1');
      agent.write('new/deep/long', big);
      agent.write('passing', 'for a while');
    },
    () => {
      agent.write('shared', 'only there 2');
      rmSync(path.join(agent.tree, 'passing'));
    },
  ];
  const meanwhile = () => {
    agent.write('shared', 'meanwhile');
    rmSync(path.join(agent.tree, 'new'), { recursive: true, force: true });
  };
  await scene.part(there, [meanwhile]);
  await scene.backUp();
  return scene;
}

test('what only a folder has is shown, and nothing is added there until a person decides', async (t) => {
  const scene = await startParted(t);
  const { agent } = scene;
  assert.deepEqual(await standingsOf(scene), { server: 'protected', folder: 'failed' });
  const before = await recordsBelow(scene.folder);
  const [shown, ...others] = await branchesOf(scene);
  const { from: _from, to: _to, ...facts } = shown!;
  assert.deepEqual(others, []);
  assert.deepEqual(facts, {
    branch: 1,
    destination: scene.folder,
    state: 'open',
    fromCommit: 4,
    toCommit: 5,
    isMixed: false,
    files: 3,
    versions: 4,
    versionBytes: 300_035,
    newBytes: 300_035,
  });
  const items = await agent.items('branch.show', { branch: 1 });
  assert.deepEqual(
    items.map((item) => [path.relative(agent.tree, String(item['path'])), item['commit'], item['sizeBytes']]),
    [
      ['passing', 4, 11],
      ['shared', 4, 12],
      ['new/deep/long', 4, 300_000],
      ['shared', 5, 12],
    ],
  );
  const dry = await agent.ask('branch.take-in', { branch: 1, dryRun: true });
  assert.deepEqual([dry['dryRun'], dry['versions'], dry['newBytes'], dry['state']], [true, 4, 300_035, 'open']);
  agent.write('more', 'on the line');
  await scene.backUp();
  assert.deepEqual(await recordsBelow(scene.folder), before);
  assert.deepEqual(await contentsOf(scene, 'shared'), ['before', 'meanwhile']);
  const remedies = JSON.stringify((await agent.ask('status'))['standings']);
  assert.match(remedies, /holdfast branch take-in 1, or holdfast branch give-up 1/);
});

test('a branch that is taken in is older versions, what is there now stays the newest, and no ordinal has two contents', async (t) => {
  const scene = await startParted(t);
  const { agent } = scene;
  const branch = await recordsBelow(scene.folder);
  const taken = await agent.ask('branch.take-in', { branch: 1 });
  assert.deepEqual(
    [taken['versions'], taken['knownVersions'], taken['storedBytes'], taken['leftCount'], taken['state']],
    [4, 0, 300_035, 0, 'taken_in'],
  );
  assert.deepEqual(await standingsOf(scene), { server: 'protected', folder: 'protected' });
  assert.deepEqual(await contentsOf(scene, 'shared'), [
    'before',
    'meanwhile',
    'only there 1',
    'only there 2',
    'meanwhile',
  ]);
  assert.deepEqual(await contentsOf(scene, 'new/deep/long'), [big.toString('latin1')]);
  assert.deepEqual(await contentsOf(scene, 'passing'), ['for a while']);
  const now = (await agent.items('ls', { path: agent.tree })).map((item) => path.basename(String(item['path'])));
  assert.deepEqual(now, ['both have', 'shared']);
  const deleted = await agent.items('ls', { path: path.join(agent.tree, 'new', 'deep'), deleted: true });
  assert.deepEqual(
    deleted.map((item) => [path.basename(String(item['path'])), item['isDeleted']]),
    [['long', true]],
  );

  agent.write('shared', 'later');
  await scene.backUp();
  const verified = await agent.ask('verify', { full: true });
  for (const found of verified['destinations'] as Shown[]) {
    assert.deepEqual([found['isCurrent'], found['damagedCount']], [true, 0], JSON.stringify(found));
  }
  const refused = agent.ask('branch.take-in', { branch: 1 });
  await assert.rejects(refused, { code: 'branches.decided' });
  await agent.stop();
  const [here, there] = [await recordsBelow(scene.folder), await recordsBelow(scene.server)];
  for (const [ordinal, record] of branch) assert.equal(here.get(ordinal), record, 'the branch stays where it is');
  for (const [ordinal, record] of there) assert.equal(here.get(ordinal), record, 'the folder has all of the line');
  const onlyHere = [...here.keys()].filter((ordinal) => !there.has(ordinal));
  assert.ok(
    onlyHere.length > 0 && onlyHere.every((ordinal) => branch.has(ordinal)),
    'and no other destination the branch',
  );
});

/** A branch of which one commit is known, where its folder has two by now. */
async function startLonger(t: TestContext): Promise<BranchScene> {
  const scene = await BranchScene.start(t);
  const { agent } = scene;
  const [shorter, longer] = ['shorter', 'longer'].map((name) => path.join(agent.folder, name));
  const there = [
    () => agent.write('shared', 'only there 1'),
    () => {
      cpSync(scene.folder, shorter!, { recursive: true, preserveTimestamps: true });
      agent.write('shared', 'only there 2');
    },
  ];
  await scene.part(there, [() => agent.write('shared', 'meanwhile')]);
  renameSync(scene.folder, longer!);
  renameSync(shorter!, scene.folder);
  const [known] = await branchesOf(scene);
  assert.deepEqual([known!['toCommit'], known!['versions']], [4, 1]);
  renameSync(scene.folder, shorter!);
  renameSync(longer!, scene.folder);
  return scene;
}

test('a branch that went on since it was found is taken in as it is now, all of it', async (t) => {
  const scene = await startLonger(t);
  const taken = await scene.agent.ask('branch.take-in', { branch: 1 });
  assert.deepEqual([taken['versions'], taken['toCommit'], taken['state']], [2, 5, 'taken_in']);
  const contents = await contentsOf(scene, 'shared');
  assert.deepEqual(contents.slice(-3), ['only there 1', 'only there 2', 'meanwhile']);
});

test('a branch that went on since it was found is not given up before it was looked at again', async (t) => {
  const scene = await startLonger(t);
  const { agent } = scene;
  await assert.rejects(agent.ask('branch.give-up', { branch: 1 }), { code: 'branches.went_on' });
  const [known] = await branchesOf(scene);
  assert.deepEqual([known!['state'], known!['toCommit'], known!['versions']], ['open', 5, 2]);
  assert.equal((await agent.ask('branch.give-up', { branch: 1 }))['state'], 'given_up');
  await scene.backUp();
  assert.deepEqual(await standingsOf(scene), { server: 'protected', folder: 'protected' });
});

test('a third destination that comes later gets the line, and nothing of the branch', async (t) => {
  const scene = await startParted(t);
  const { agent } = scene;
  await agent.ask('branch.take-in', { branch: 1 });
  const third = path.join(agent.folder, 'third');
  mkdirSync(third);
  await agent.ask('destination.add', { folder: third });
  await scene.backUp();
  await agent.untilProtected();
  await agent.stop();
  const [there, new_] = [await recordsBelow(scene.server), await recordsBelow(third)];
  assert.deepEqual(new Set(new_.keys()), new Set(there.keys()));
});

test('a branch that is given up stays where it is, can be wanted back for one hold, and taken in then', async (t) => {
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  const scene = await startParted(t, { clock });
  const { agent } = scene;
  const branch = await recordsBelow(scene.folder);
  await assert.rejects(agent.ask('branch.keep', { branch: 1 }), { code: 'branches.undecided' });
  const given = await agent.ask('branch.give-up', { branch: 1 });
  assert.equal(given['state'], 'given_up');
  assert.equal(Date.parse(String(given['keptUntil'])) - Date.parse(String(given['decidedAt'])), holdMs);
  await scene.backUp();
  assert.deepEqual(await standingsOf(scene), { server: 'protected', folder: 'protected' });
  assert.deepEqual(await contentsOf(scene, 'shared'), ['before', 'meanwhile']);
  await assert.rejects(agent.ask('branch.give-up', { branch: 1 }), { code: 'branches.decided' });
  await assert.rejects(agent.ask('branch.take-in', { branch: 1 }), { code: 'branches.decided' });

  aheadMs = holdMs - 60_000;
  assert.equal((await agent.ask('branch.keep', { branch: 1 }))['state'], 'open');
  const taken = await agent.ask('branch.take-in', { branch: 1 });
  assert.deepEqual([taken['versions'], taken['leftCount'], taken['state']], [4, 0, 'taken_in']);
  assert.deepEqual((await contentsOf(scene, 'shared')).slice(-3), ['only there 1', 'only there 2', 'meanwhile']);
  await agent.stop();
  const here = await recordsBelow(scene.folder);
  for (const [ordinal, record] of branch) assert.equal(here.get(ordinal), record);
});

test('after one hold a branch that was given up cannot be had back, and before no live set is sent there', async (t) => {
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  const scene = await startParted(t, { clock });
  const { agent } = scene;
  await agent.ask('branch.give-up', { branch: 1 });
  aheadMs = holdMs + 60_000;
  await assert.rejects(agent.ask('branch.keep', { branch: 1 }), { code: 'branches.let_go' });
});

test('a destination takes live sets once nobody can want what a branch there alone has', () => {
  const facts = new Map<string, string | number | undefined>();
  const book = new BranchBook({ fact: (key) => facts.get(key), setFact: (key, value) => void facts.set(key, value) });
  const link = { number: 9, sha256: '99', ordinal: 99 };
  const found = {
    destinationId: 2,
    head: link,
    firstCommit: 8,
    firstAtMs: 1,
    lastAtMs: 2,
    lineFrom: 2 ** 32,
    isMixed: false,
  };
  assert.equal(book.mayTakeLiveSets(2, 1000), true);
  const { branch } = book.note(found, 1000);
  assert.deepEqual([book.mayTakeLiveSets(2, 1000), book.mayTakeLiveSets(3, 1000)], [false, true]);
  book.change(branch, { state: 'given_up', decidedAtMs: 2000 });
  assert.deepEqual([book.mayTakeLiveSets(2, 1999 + holdMs), book.mayTakeLiveSets(2, 2000 + holdMs)], [false, true]);
  book.reopen(branch);
  assert.equal(book.mayTakeLiveSets(2, 2000 + 2 * holdMs), false);
  book.change(branch, { state: 'taken_in' });
  assert.equal(book.mayTakeLiveSets(2, 2000), true);

  // It went on since: the same branch, and what began to be taken in goes on, until somebody decided about it.
  const longer = { ...found, head: { ...link, number: 10, sha256: '10' } };
  assert.equal(book.note(longer, 3000).branch, 2);
  book.change(2, { since: 7 });
  const { branch: same, since } = book.note({ ...longer, head: { ...link, number: 11, sha256: '11' } }, 4000);
  assert.deepEqual([same, since], [2, 7]);
  book.forget(2);
  assert.deepEqual(book.all(), []);
});
