import assert from 'node:assert/strict';
import { cpSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { askAgent } from '@holdfast/agent';
import { EnrollmentStore } from '@holdfast/agent/cloud';
import { RecordKind } from '@holdfast/archive';
import { statusOf, untilStanding } from './agent-status.ts';
import { until } from './process-tree.ts';
import { RunningAgentProcess } from './running-agent.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';
import { archiveFolderOf, conflictsIn, scanArchiveFolder, type StoredRecords } from './stored-records.ts';

/** So many, and of so long names, that they are taken in by several commits. */
const manyFiles = 1500;
const nameOf = (place: number) => path.join('many', `${place} ${'of a long name '.repeat(15)}`);
const text = (place: number) => `file ${place}, only in the folder`;

type Answer = Readonly<Record<string, unknown>>;

function ask(agent: RunningAgentProcess, request: string, about: object = {}): Promise<Answer> {
  return askAgent(agent.socketPath, { request, ...about });
}

async function backUp(agent: RunningAgentProcess): Promise<void> {
  await ask(agent, 'backup').catch((error: unknown) => assert.fail(`${String(error)}\n${agent.log.slice(-3000)}`));
}

/** As a disk image is copied: everything of HOLDFAST_HOME, while no agent runs on either. */
function copyHome(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true, preserveTimestamps: true, filter: (name) => !lstatSync(name).isSocket() });
}

/** While the server is down the folder gets commits; the agent has ended afterwards. */
async function writeOnlyThere(agent: RunningAgentProcess, server: ServerProcess): Promise<void> {
  await server.stop();
  for (let place = 0; place < manyFiles; place++) agent.write(nameOf(place), text(place));
  for (const said of ['only in the folder', 'only in the folder, again']) {
    agent.write('file', said);
    await ask(agent, 'backup').catch(() => undefined);
  }
  await agent.kill('SIGTERM');
}

type Scene = {
  readonly server: ServerProcess;
  /** Whose archive it is at last. */
  readonly agent: RunningAgentProcess;
  /** What it protects. */
  readonly tree: string;
  readonly folder: string;
  readonly keyFile: string;
};

async function startScene(t: TestContext): Promise<Scene> {
  const server = await startServerProcess(t);
  const agent = new RunningAgentProcess(t);
  agent.write('file', 'first');
  agent.enroll(await server.invite());
  await agent.start();
  const folder = agent.addDestination();
  await backUp(agent);
  const keyFile = path.join(agent.folder, 'key');
  assert.equal(agent.run('key', 'export', '--out', keyFile).status, 0);
  return { server, agent, tree: agent.tree, folder, keyFile };
}

/**
 * The folder gets commits; then the computer's disk is set back to a time before them, and goes on from the server's head
 * while the folder is not connected.
 */
async function startSetBack(t: TestContext): Promise<Scene> {
  const scene = await startScene(t);
  const { server, agent, folder } = scene;
  const home = path.join(agent.folder, 'home');
  const image = path.join(agent.folder, 'image');
  await agent.kill('SIGTERM');
  copyHome(home, image);
  await agent.start();
  agent.write('file', 'second');
  await backUp(agent);
  await writeOnlyThere(agent, server);
  copyHome(image, home);
  rmSync(path.join(agent.tree, 'many'), { recursive: true });
  renameSync(folder, `${folder} away`);
  await server.start();
  agent.write('file', 'on the line');
  await agent.start();
  await ask(agent, 'backup').catch(() => undefined);
  const isThere = async () => (await statusOf(agent)).standings.some(({ state }) => state === 'protected');
  await until(isThere, 'the server to go on', 60_000);
  renameSync(`${folder} away`, folder);
  await ask(agent, 'backup').catch(() => undefined);
  return scene;
}

/** The contents that a file has had, oldest version first; what follows the same contents is left out. */
async function contentsOf({ agent, tree }: Scene, name: string): Promise<readonly string[]> {
  const file = path.join(tree, name);
  const { versions } = (await ask(agent, 'versions', { path: file })) as { versions: readonly { from: string }[] };
  const contents: string[] = [];
  for (const [place, { from }] of versions.entries()) {
    const to = path.join(agent.folder, `version ${place} ${performance.now()}`);
    await ask(agent, 'restore', { paths: [file], to, at: from });
    contents.push(readFileSync(path.join(to, path.basename(file)), 'utf8'));
  }
  return contents.filter((each, place) => each !== contents[place - 1]);
}

function archiveIn(folder: string): string {
  return path.join(folder, readdirSync(folder)[0]!);
}

/** Records of both; those that both have are one. */
function joined(a: StoredRecords, b: StoredRecords): StoredRecords {
  const both = new Map(a);
  for (const [ordinal, contents] of b) {
    const known = both.get(ordinal) ?? [];
    both.set(ordinal, [...known, ...contents.filter(({ sha256 }) => !known.some((each) => each.sha256 === sha256))]);
  }
  return both;
}

type Branch = {
  readonly state: string;
  readonly destination: string;
  readonly files: number;
  readonly versions: number;
};

function listed(agent: RunningAgentProcess): readonly Branch[] {
  const { status, stderr, value } = agent.run('branch', 'list');
  assert.equal(status, 0, stderr);
  const branches = value['branches'] as readonly Branch[];
  return branches.map(({ state, destination, files, versions }) => ({ state, destination, files, versions }));
}

/** What may be asked of a branch before anybody decides; it changes nothing. */
async function expectUndecided(agent: RunningAgentProcess, folder: string): Promise<void> {
  const failed = (await statusOf(agent)).standings.filter(({ state }) => state === 'failed');
  assert.ok(failed.length === 1 && /holdfast branch take-in 1/.test(failed[0]?.remedy ?? ''), JSON.stringify(failed));
  const versions = manyFiles + 2;
  assert.deepEqual(listed(agent), [{ state: 'open', destination: folder, files: manyFiles + 1, versions }]);
  const shown = agent.run('branch', 'show', '1');
  assert.match(shown.stdout, /1499 of a long name/);
  const asked = agent.runWith({ input: 'no\n' }, 'branch', 'give-up', '1');
  assert.deepEqual([asked.status, /confirm.not_given/.test(asked.stderr)], [6, true]);
  const dry = agent.run('branch', 'take-in', '1', '--dry-run').value;
  assert.deepEqual([dry['dryRun'], dry['versions']], [true, versions]);
  assert.deepEqual(listed(agent), [{ state: 'open', destination: folder, files: manyFiles + 1, versions }]);
}

/** Begins to take the branch in, and kills the agent once the server's files have grown so often; whether it was in time. */
async function killTakingIn(agent: RunningAgentProcess, server: ServerProcess, growths: number): Promise<boolean> {
  const segments = path.join(archiveFolderOf(server.homeDir), 'segments');
  const lengthOf = () => readdirSync(segments).reduce((sum, name) => sum + statSync(path.join(segments, name)).size, 0);
  const ended = new AbortController();
  const asking = ask(agent, 'branch.take-in', { branch: 1 })
    .catch(() => undefined)
    .then(() => ended.abort());
  let [seen, grown] = [lengthOf(), 0];
  while (!ended.signal.aborted && grown < growths) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    const now = lengthOf();
    if (now > seen) grown++;
    seen = now;
  }
  const isInTime = !ended.signal.aborted;
  await agent.kill();
  await asking;
  return isInTime;
}

async function contentNow({ agent, tree }: Scene, name: string): Promise<string> {
  const to = path.join(agent.folder, `now ${performance.now()}`);
  await ask(agent, 'restore', { paths: [path.join(tree, name)], to });
  return readFileSync(path.join(to, path.basename(name)), 'utf8');
}

/** A person takes the branch in, and the agent is killed meanwhile: after so many growths of the server's files each time. */
async function takeIn(scene: Scene, now: string, killsAfter: readonly number[]): Promise<void> {
  const { agent, server } = scene;
  let kills = 0;
  for (const growths of killsAfter) {
    if (!(await killTakingIn(agent, server, growths))) break;
    kills++;
    await agent.start();
    assert.equal(await contentNow(scene, 'file'), now, 'what is there now stays the newest');
  }
  if (agent.child?.signalCode) await agent.start().catch(() => undefined);
  assert.equal(kills, killsAfter.length, 'it was killed in the middle each time');
  if (listed(agent)[0]?.state === 'open') {
    const taken = agent.run('branch', 'take-in', '1');
    assert.equal(taken.status, 0, taken.stderr);
  }
  assert.equal(listed(agent)[0]?.state, 'taken_in');
  await backUp(agent);
  await untilStanding(agent, 'protected');
}

/** Ends both, and looks at every record that lies at either: each ordinal has one content, wherever it lies. */
async function expectOneContentEach({ agent, server, folder }: Scene, branch: StoredRecords): Promise<void> {
  await agent.kill('SIGTERM');
  await server.stop();
  const here = await scanArchiveFolder(archiveIn(folder));
  const there = await scanArchiveFolder(archiveFolderOf(server.homeDir));
  assert.deepEqual(conflictsIn(joined(here, there)), { ordinals: [], nonces: [] });
  for (const ordinal of branch.keys()) assert.ok(here.has(ordinal), 'the records of the branch stay in the folder');
  // What a killed agent sent before its commit is nobody's.
  const commits = [...there].filter(([, [first]]) => first?.kind === RecordKind.commit);
  for (const [ordinal] of commits) assert.ok(here.has(ordinal), 'and it has every commit of the line');
}

/** What the small reader, which is written from the format document, makes of the folder with a key file. */
function recover({ agent, tree, folder }: Scene, keyFile: string): { content: string; said: string } {
  const to = path.join(agent.folder, `recovered ${performance.now()}`);
  const { stdout, stderr } = agent.run('recover', archiveIn(folder), '--key', keyFile, '--to', to);
  return { content: readFileSync(path.join(to, tree, 'file'), 'utf8'), said: stdout + stderr };
}

type Following = {
  /** What the file has on the line. */
  readonly now: string;
  readonly killsAfter: readonly number[];
  /** Comes before the branch is taken in. */
  readonly meanwhile?: () => void;
};

/** From a branch that nobody decided about to one that was taken in. */
async function followBranch(scene: Scene, { now, killsAfter, meanwhile }: Following): Promise<void> {
  const { agent, folder } = scene;
  const branch = await scanArchiveFolder(archiveIn(folder));
  await expectUndecided(agent, folder);
  assert.equal(recover(scene, scene.keyFile).content, 'only in the folder, again', 'nobody added to its head');
  meanwhile?.();
  await takeIn(scene, now, killsAfter);
  const versions = await contentsOf(scene, 'file');
  const taken = ['only in the folder', 'only in the folder, again'];
  assert.deepEqual(
    versions.filter((each) => taken.includes(each)),
    taken,
  );
  assert.equal(versions.at(-1), now);
  for (const place of [0, manyFiles - 1]) assert.deepEqual(await contentsOf(scene, nameOf(place)), [text(place)]);
  const verified = agent.run('verify', '--full');
  assert.equal(verified.status, 0, verified.stderr);
  await expectOneContentEach(scene, branch);
}

test('what a folder has that the server never saw is a branch: a person takes it in, killed again and again, and no ordinal has two contents', async (t) => {
  const scene = await startSetBack(t);
  await followBranch(scene, { now: 'on the line', killsAfter: [1, 3] });
  const { content, said } = recover(scene, scene.keyFile);
  assert.equal(content, 'on the line', said);
  assert.match(said, /branch/);
});

/** A new computer goes on with the archive while the folder of the old one has commits that the server never saw. */
async function startReplaced(t: TestContext): Promise<{ scene: Scene; newerKeyFile: string }> {
  const scene = await startScene(t);
  const { server, agent: old, folder, tree } = scene;
  const { code } = await ask(old, 'key.show-recovery');
  await ask(old, 'key.confirm-recovery', { code });
  await backUp(old);
  const keyFile = path.join(old.folder, 'newer key');
  assert.equal(old.run('key', 'export', '--out', keyFile).status, 0);
  await writeOnlyThere(old, server);
  await server.start();
  // The disk of the new computer has what the old one had at the last, but for what is lost.
  rmSync(path.join(tree, 'many'), { recursive: true });
  old.write('file', 'on the new computer');
  const agent = new RunningAgentProcess(t);
  const { token, deviceUid } = { token: await server.invite(), deviceUid: deviceOf(old) };
  const tokenFile = path.join(agent.folder, 'token');
  writeFileSync(tokenFile, JSON.stringify(token));
  const by = ['--token-file', tokenFile, '--replace', deviceUid, '--recovery-code', '--yes'];
  const taken = agent.runWith({ input: `${String(code)}\n` }, 'agent', 'enroll', token.url, ...by);
  assert.equal(taken.status, 0, taken.stderr);
  await agent.start();
  await untilStanding(agent, 'protected');
  const added = agent.run('destination', 'add', folder);
  assert.equal(added.status, 0, added.stderr);
  await ask(agent, 'backup').catch(() => undefined);
  const newerKeyFile = path.join(agent.folder, 'key');
  assert.equal(agent.run('key', 'export', '--out', newerKeyFile).status, 0);
  return { scene: { server, agent, tree, folder, keyFile }, newerKeyFile };
}

function deviceOf({ stateDir }: RunningAgentProcess): string {
  return new EnrollmentStore(stateDir).load()!.deviceUid;
}

test('after a computer was replaced, what its folder has that the server never saw is a branch that a person of the new one takes in', async (t) => {
  const { scene, newerKeyFile } = await startReplaced(t);
  const { agent } = scene;
  const meanwhile = () => {
    assert.equal(agent.run('branch', 'give-up', '1', '--yes').status, 0);
    assert.equal(listed(agent)[0]?.state, 'given_up');
    assert.equal(agent.run('branch', 'give-up', '1', '--undo').status, 0);
  };
  await followBranch(scene, { now: 'on the new computer', killsAfter: [2], meanwhile });
  // Who was not there when the archive changed hands reads the side of the old computer, whose key file it is.
  assert.equal(recover(scene, scene.keyFile).content, 'only in the folder, again');
  const { content, said } = recover(scene, newerKeyFile);
  assert.equal(content, 'on the new computer', said);
});
