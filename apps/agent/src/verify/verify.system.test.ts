import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { TestAgent } from '../testing.ts';

type Fields = Readonly<Record<string, unknown>>;

const timeout = 120_000;

async function newAgent(t: TestContext, ...destinations: readonly string[]): Promise<TestAgent> {
  const agent = new TestAgent();
  t.after(() => agent.remove());
  agent.write('folder/long', randomBytes(400_000));
  agent.write('small', 'small');
  await agent.start();
  for (const name of destinations) await agent.addDestination(name);
  await agent.ask('backup');
  await agent.untilProtected();
  return agent;
}

async function archiveFolders(agent: TestAgent): Promise<string[]> {
  const { destinations } = await agent.ask('destination.list');
  return (destinations as { archiveFolder: string }[]).map(({ archiveFolder }) => archiveFolder);
}

/** Overwrites some of what a destination has of long files. */
async function damage(archiveFolder: string): Promise<void> {
  const folder = path.join(archiveFolder, 'segments');
  const segment = readdirSync(folder)
    .map((name) => path.join(folder, name))
    .find((file) => statSync(file).size > 400_000)!;
  const handle = await open(segment, 'r+');
  await handle.write(Buffer.alloc(100_000), 0, 100_000, 150_000);
  await handle.sync();
  await handle.close();
}

const verify = async (agent: TestAgent, full = true) =>
  (await agent.ask('verify', { full }))['destinations'] as Fields[];
const counts = ({ damagedCount, copied, storedAgain, leftCount }: Fields) => [
  Number(damagedCount) > 0,
  Number(copied),
  Number(storedAgain) > 0,
  Number(leftCount),
];

async function restored(agent: TestAgent, name: string): Promise<Buffer> {
  const to = path.join(agent.folder, `to ${randomBytes(4).toString('hex')}`);
  const report = await agent.ask('restore', { paths: [path.join(agent.tree, name)], to, deleted: true });
  assert.deepEqual([report['failedCount'], report['problems']], [0, []]);
  return readFileSync(path.join(to, path.basename(name)));
}

test('what a destination lost is stored again from the files, and no version is made of it', { timeout }, async (t) => {
  const agent = await newAgent(t, 'first');
  const long = path.join(agent.tree, 'folder/long');
  const [first] = await archiveFolders(agent);
  await damage(first!);
  const [found] = await verify(agent);
  assert.deepEqual(counts(found!), [true, 0, true, 0], JSON.stringify(found));
  assert.equal(found!['loss'], undefined, 'what mending adds is no loss of what was there');
  const [again] = await verify(agent);
  assert.deepEqual([...counts(again!), again!['isCurrent']], [false, 0, false, 0, true]);
  await agent.untilProtected();
  assert.equal(await agent.versions(long), 1);
  const content = readFileSync(long);
  rmSync(long);
  assert.ok(content.equals(await restored(agent, 'folder/long')));
});

test('what another destination has is copied from there, though no file has it any more', { timeout }, async (t) => {
  const agent = await newAgent(t, 'first', 'second');
  const long = path.join(agent.tree, 'folder/long');
  const content = readFileSync(long);
  rmSync(long);
  await agent.ask('backup');
  const [first, second] = await archiveFolders(agent);
  await damage(first!);
  const [found, whole] = await verify(agent);
  assert.deepEqual([found!['copied'], found!['storedAgain'], found!['leftCount']], [found!['damagedCount'], 0, 0]);
  assert.ok(Number(found!['copied']) > 0);
  assert.equal(whole!['damagedCount'], 0);
  assert.equal((await verify(agent))[0]!['damagedCount'], 0);
  await agent.untilProtected();
  rmSync(second!, { recursive: true });
  assert.ok(content.equals(await restored(agent, 'folder/long')));
});

test(
  'what nothing gives back is named by file and version, and status says so until another look finds it whole',
  { timeout },
  async (t) => {
    const agent = await newAgent(t, 'first');
    const long = path.join(agent.tree, 'folder/long');
    rmSync(long);
    await agent.ask('backup');
    const [first] = await archiveFolders(agent);
    const segments = path.join(first!, 'segments');
    const before = new Map(readdirSync(segments).map((name) => [name, readFileSync(path.join(segments, name))]));
    await damage(first!);
    const [found] = await verify(agent);
    assert.deepEqual(counts(found!), [true, 0, false, Number(found!['damagedCount'])]);
    const [left] = found!['left'] as Fields[];
    assert.equal(left!['path'], long);
    assert.ok(!Number.isNaN(Date.parse(String(left!['versionAt']))));
    const standing = async () => ((await agent.ask('status'))['standings'] as Fields[])[0]!;
    for (const isRestarted of [false, true]) {
      if (isRestarted) {
        await agent.stop();
        await agent.start();
        await agent.ask('backup');
      }
      const { state, reason, remedy, damage: told } = await standing();
      assert.deepEqual([state, (told as Fields)['count']], ['incomplete', found!['leftCount']]);
      assert.match(`${String(reason)} ${String(remedy)}`, /missing or damaged.*holdfast verify/);
      assert.equal(((told as Fields)['records'] as Fields[])[0]!['path'], long);
    }
    await agent.stop();
    for (const [name, bytes] of before) {
      const handle = await open(path.join(segments, name), 'r+');
      await handle.write(bytes, 0, bytes.length, 0);
      await handle.close();
    }
    await agent.start();
    await agent.ask('backup');
    assert.equal((await verify(agent, false))[0]!['damagedCount'], 0);
    await agent.untilProtected();
  },
);

test(
  'a destination that was rolled back under the agent is said to be, once, and what it lacks is sent again',
  { timeout },
  async (t) => {
    const agent = await newAgent(t, 'first');
    const [first] = await archiveFolders(agent);
    const older = path.join(agent.folder, 'older');
    cpSync(first!, older, { recursive: true });
    const late = path.join(agent.tree, 'late');
    agent.write('late', randomBytes(100_000));
    await agent.ask('backup');
    rmSync(first!, { recursive: true });
    cpSync(older, first!, { recursive: true });
    const [found] = await verify(agent);
    const { fromCommit, toCommit } = found!['loss'] as { fromCommit: number; toCommit: number };
    assert.ok(fromCommit >= 2 && toCommit >= fromCommit, `${fromCommit} to ${toCommit}`);
    // The device goes on as another writer: what that means is not lost on who keeps it protected.
    await agent.until(() => agent.has(late), 'what is gone is sent again by itself');
    await agent.untilProtected();
    const [again] = await verify(agent);
    assert.deepEqual([again!['loss'], again!['isCurrent'], again!['damagedCount']], [undefined, true, 0]);
  },
);
