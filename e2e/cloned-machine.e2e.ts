import assert from 'node:assert/strict';
import { cpSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { askAgent } from '@holdfast/agent';
import { RecordKind } from '@holdfast/archive';
import { statusOf, untilStanding } from './agent-status.ts';
import { until } from './process-tree.ts';
import { RunningAgentProcess } from './running-agent.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';
import { archiveFolderOf, conflictsIn, scanArchiveFolder, type StoredRecords } from './stored-records.ts';

/** What an agent says whose keys somebody else uses, or has used while this copy of the state was put away. */
const usedElsewhere =
  /^Another (computer writes with this one's keys|life of this computer has taken the archive over)/;
const sequences = 2 ** 32;

/** An enrolled agent whose first backup to the cloud is done. */
async function startProtected(t: TestContext, options: { readonly withFolder?: boolean } = {}) {
  const server = await startServerProcess(t);
  const agent = new RunningAgentProcess(t);
  agent.write('file', 'first');
  agent.enroll(await server.invite());
  await agent.start();
  const destination = options.withFolder ? agent.addDestination() : undefined;
  await backUp(agent);
  return { server, agent, destination };
}

async function backUp(agent: RunningAgentProcess): Promise<void> {
  const { status, stderr } = agent.run('backup');
  if (status === 0) return;
  const { standings } = await statusOf(agent);
  assert.fail(`${stderr}\n${JSON.stringify(standings)}\n${agent.log.slice(-3000)}`);
}

/** As a disk image is copied: everything of HOLDFAST_HOME, while no agent runs on either. */
function copyHome(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true, preserveTimestamps: true, filter: (name) => !lstatSync(name).isSocket() });
}

/** The folders of all archives below a server's HOLDFAST_HOME. */
function archiveFoldersOf(homeDir: string): string[] {
  const blobs = path.join(homeDir, 'blobs');
  return readdirSync(blobs).flatMap((tenant) =>
    readdirSync(path.join(blobs, tenant)).map((archive) => path.join(blobs, tenant, archive)),
  );
}

function homeOf({ folder }: RunningAgentProcess): string {
  return path.join(folder, 'home');
}

/** Another computer with a copy of the first one's state. The first one does not run now. */
function cloneOf(t: TestContext, agent: RunningAgentProcess): RunningAgentProcess {
  const clone = new RunningAgentProcess(t);
  copyHome(homeOf(agent), homeOf(clone));
  return clone;
}

/** The agent has stopped writing to the cloud, and says why and what to do. */
async function untilTold(agent: RunningAgentProcess): Promise<void> {
  const isTold = async () => (await statusOf(agent)).standings.some(({ reason }) => usedElsewhere.test(reason));
  await until(isTold, 'the agent to be told that another computer has its keys', 60_000);
  const { standings } = await statusOf(agent);
  const told = standings.filter(({ reason }) => usedElsewhere.test(reason));
  assert.ok(told.every(({ state, remedy }) => state === 'failed' && /enrol it as a new device/.test(remedy ?? '')));
}

type Version = { readonly from: string; readonly type: string };

/** The contents that a file has had, by restoring every version of it. */
async function contentsOf(agent: RunningAgentProcess, file: string): Promise<string[]> {
  const { versions } = (await askAgent(agent.socketPath, { request: 'versions', path: file })) as unknown as {
    versions: readonly Version[];
  };
  const contents = new Set<string>();
  for (const [place, { from }] of versions.entries()) {
    const to = path.join(agent.folder, `version ${place} of ${path.basename(file)} ${Date.now()}`);
    const report = await askAgent(agent.socketPath, { request: 'restore', paths: [file], to, at: from });
    assert.deepEqual([report['failed'], report['problems']], [[], []]);
    contents.add(readFileSync(path.join(to, path.basename(file)), 'utf8'));
  }
  return [...contents].toSorted();
}

function assertNoConflict(records: StoredRecords): void {
  assert.deepEqual(conflictsIn(records), { ordinals: [], nonces: [] });
}

/** The numbers of the writers that made commits. */
function writersIn(records: StoredRecords): number[] {
  const commits = [...records].filter(([, contents]) => contents.some(({ kind }) => kind === RecordKind.commit));
  return [...new Set(commits.map(([ordinal]) => Math.floor(ordinal / sequences)))].toSorted((a, b) => a - b);
}

const inTurn = { timeout: 400_000 };

test(
  'of two computers with one state one writes, the other is told to enrol, and nothing of either is lost',
  inTurn,
  async (t) => {
    const { server, agent } = await startProtected(t);
    await agent.kill('SIGTERM');
    const clone = cloneOf(t, agent);
    await agent.start();
    const ofAgent = agent.write('of the agent', 'agent 1');
    await backUp(agent);

    await clone.start();
    const ofClone = clone.write('of the clone', 'clone 1');
    assert.equal(clone.run('set', 'add', 'clone', clone.tree).status, 0);
    await backUp(clone);
    agent.write('of the agent', 'agent 2');
    await untilTold(agent);
    clone.write('of the clone', 'clone 2');
    // The other one, which looked who writes, may have ended its session: it is opened again within seconds.
    await until(() => clone.run('backup').status === 0, 'the clone to go on', 60_000);
    await untilStanding(clone, 'protected');
    assert.ok(
      (await statusOf(agent)).standings.some(({ reason }) => usedElsewhere.test(reason)),
      'they do not take turns',
    );

    // Insisting, even by a new start, changes nothing: the other one goes on by itself.
    assert.notEqual(agent.run('backup').status, 0);
    await untilTold(agent);
    await agent.kill('SIGTERM');
    await agent.start();
    await untilTold(agent);
    clone.write('of the clone', 'clone 3');
    // While its session is opened again nothing is read, either.
    const isThere = () =>
      contentsOf(clone, ofClone)
        .then((contents) => contents.includes('clone 3'))
        .catch(() => false);
    await until(isThere, 'the clone to go on', 60_000);
    assert.deepEqual(await contentsOf(clone, ofClone), ['clone 1', 'clone 2', 'clone 3']);
    assert.ok((await contentsOf(clone, ofAgent)).includes('agent 1'), 'what the other one stored is there, too');

    // Enrolled as a new device it is protected again.
    await agent.kill('SIGTERM');
    rmSync(agent.stateDir, { recursive: true });
    agent.enroll(await server.invite());
    await agent.start();
    await backUp(agent);
    await untilStanding(agent, 'protected');
    await Promise.all([agent.kill('SIGTERM'), clone.kill('SIGTERM')]);
    await server.stop();
    const all = await Promise.all(archiveFoldersOf(server.homeDir).map(scanArchiveFolder));
    assert.equal(all.length, 2);
    for (const records of all) assertNoConflict(records);
    assert.deepEqual(
      all.map(writersIn).toSorted((a, b) => a.length - b.length),
      [[0], [0, 1]],
    );
  },
);

test(
  'two computers with one old state that start at once end with one that writes and one that is told',
  inTurn,
  async (t) => {
    const { server, agent } = await startProtected(t);
    await agent.kill('SIGTERM');
    const clone = cloneOf(t, agent);
    const old = path.join(agent.folder, 'old');
    copyHome(homeOf(agent), old);
    await agent.start();
    agent.write('file', 'second');
    await backUp(agent);
    await agent.kill('SIGTERM');
    copyHome(old, homeOf(agent));
    await Promise.all([agent.start(), clone.start()]);
    let rounds = 0;
    const isSettled = async () => {
      agent.write('file', `round ${++rounds}`);
      const states = await Promise.all([agent, clone].map(async (each) => (await statusOf(each)).standings));
      const told = states.filter((standings) => standings.some(({ reason }) => usedElsewhere.test(reason)));
      const fine = states.filter((standings) =>
        standings.every(({ state }) => state === 'protected' || state === 'backing_up'),
      );
      return told.length === 1 && fine.length === 1;
    };
    await until(isSettled, 'one of the two to be told', 120_000);
    await Promise.all([agent.kill('SIGTERM'), clone.kill('SIGTERM')]);
    await server.stop();
    assertNoConflict(await scanArchiveFolder(archiveFolderOf(server.homeDir)));
  },
);

test('a disk that is set back goes on under a new writer number, with all of every time', inTurn, async (t) => {
  const { server, agent } = await startProtected(t);
  const keyFile = path.join(agent.folder, 'key');
  assert.equal(agent.run('key', 'export', '--out', keyFile).status, 0);
  await agent.kill('SIGTERM');
  const images = ['first', 'second'].map((name) => path.join(agent.folder, `${name} image`));
  copyHome(homeOf(agent), images[0]!);
  const file = path.join(agent.tree, 'file');
  const rounds = ['second', 'third', 'fourth'];
  for (const [round, content] of rounds.entries()) {
    await agent.start();
    agent.write('file', content);
    const ofRound = agent.write(`of round ${round}`, content);
    await backUp(agent);
    agent.write(`of round ${round}`, `${content}, changed`);
    await backUp(agent);
    assert.deepEqual(await contentsOf(agent, ofRound), [content, `${content}, changed`]);
    await agent.kill(round === 1 ? 'SIGKILL' : 'SIGTERM');
    // Once to before it went on at all, and once to where it had gone on as another writer.
    if (round === 1) copyHome(homeOf(agent), images[1]!);
    if (round < 2) copyHome(images[round]!, homeOf(agent));
  }
  copyHome(images[1]!, homeOf(agent));
  await agent.start();
  agent.write('file', 'fifth');
  await backUp(agent);
  assert.deepEqual(await contentsOf(agent, file), ['fifth', 'first', 'fourth', 'second', 'third']);
  for (const [round, content] of rounds.entries()) {
    const found = await contentsOf(agent, path.join(agent.tree, `of round ${round}`));
    assert.deepEqual(found, [content, `${content}, changed`]);
  }
  assert.equal(agent.run('verify', '--full').status, 0);

  // An image that is older than a writer whose key it lacks: nobody could tell it from a stolen one.
  await agent.kill('SIGTERM');
  copyHome(images[0]!, homeOf(agent));
  await agent.start();
  await untilTold(agent);
  await agent.kill('SIGTERM');
  await server.stop();
  const folder = archiveFolderOf(server.homeDir);
  const records = await scanArchiveFolder(folder);
  assertNoConflict(records);
  assert.deepEqual(writersIn(records), [0, 1, 2]);
  const out = path.join(agent.folder, 'recovered');
  assert.equal(agent.run('recover', folder, '--key', keyFile, '--to', out).status, 0);
  assert.equal(readFileSync(path.join(out, file), 'utf8'), 'fifth');
});

/** Both places have the same records, and each ordinal the same bytes. */
async function assertAgree(folder: string, server: ServerProcess): Promise<void> {
  const [here, there] = await Promise.all([
    scanArchiveFolder(path.join(folder, readdirSync(folder)[0]!)),
    scanArchiveFolder(archiveFolderOf(server.homeDir)),
  ]);
  const plain = (records: StoredRecords) =>
    new Map([...records].map(([ordinal, contents]) => [ordinal, new Set(contents.map(({ sha256 }) => sha256))]));
  assert.deepEqual(plain(here), plain(there));
  assertNoConflict(here);
}

test('a folder and the cloud agree by ordinal, and each catches up after it was away', inTurn, async (t) => {
  const { server, agent, destination = '' } = await startProtected(t, { withFolder: true });
  await untilStanding(agent, 'protected');
  await assertAgree(destination, server);

  await server.stop();
  agent.write('while the cloud was away', 'one');
  agent.run('backup');
  agent.write('file', 'second');
  agent.run('backup');
  assert.deepEqual((await statusOf(agent)).standings.map(({ state }) => state).toSorted(), ['behind', 'protected']);
  await server.start();
  await backUp(agent);
  await untilStanding(agent, 'protected');
  await assertAgree(destination, server);

  renameSync(destination, `${destination} away`);
  agent.write('while the folder was away', 'two');
  agent.run('backup');
  agent.write('file', 'third');
  agent.run('backup');
  assert.deepEqual((await statusOf(agent)).standings.map(({ state }) => state).toSorted(), ['behind', 'protected']);
  renameSync(`${destination} away`, destination);
  await backUp(agent);
  await untilStanding(agent, 'protected');
  await assertAgree(destination, server);

  // One after the other, killed in between.
  await server.stop();
  agent.write('file', 'fourth');
  agent.run('backup');
  await agent.kill();
  renameSync(destination, `${destination} away`);
  await server.start();
  await agent.start();
  agent.write('file', 'fifth');
  agent.run('backup');
  renameSync(`${destination} away`, destination);
  await backUp(agent);
  await untilStanding(agent, 'protected');
  await assertAgree(destination, server);
  assert.deepEqual(
    (await contentsOf(agent, path.join(agent.tree, 'file'))).filter((each) => each !== 'fourth'),
    ['fifth', 'first', 'second', 'third'],
  );
});

test(
  'of two computers with one state and a folder between them, what only the folder has is a branch that nobody adds to',
  inTurn,
  async (t) => {
    const { server, agent, destination = '' } = await startProtected(t, { withFolder: true });
    await agent.kill('SIGTERM');
    const clone = cloneOf(t, agent);
    await agent.start();
    agent.write('file', 'second');
    await backUp(agent);
    await clone.start();
    clone.run('backup');
    const ofFolder = (standings: Awaited<ReturnType<typeof statusOf>>['standings']) =>
      standings.filter((standing) => (standing as { destination?: string }).destination === destination);
    const locked = ofFolder((await statusOf(clone)).standings);
    assert.ok(
      locked.every(({ state, reason }) => state === 'behind' && /Somebody else is writing/.test(reason)),
      JSON.stringify(locked),
    );

    agent.write('file', 'only in the folder');
    await untilTold(agent);
    // As many commits as it takes to be ahead of what the clone has by then; asking for them would end the clone's session.
    for (const name of ['another', 'a third']) {
      const file = agent.write(name, 'only in the folder, too');
      await until(() => agent.run('ls', file).status === 0, 'one more commit', 60_000);
    }
    await until(
      async () => ofFolder((await statusOf(agent)).standings).every(({ state }) => state === 'protected'),
      'the folder to have it',
      60_000,
    );
    await agent.kill('SIGTERM');
    const branch = await scanArchiveFolder(path.join(destination, readdirSync(destination)[0]!));
    clone.run('backup');
    const branched = ofFolder((await statusOf(clone)).standings);
    assert.ok(
      branched.every(({ state, reason }) => state === 'failed' && /another life of this computer/.test(reason)),
      JSON.stringify(branched),
    );
    const isGoingOn = async () => (await statusOf(clone)).standings.some(({ state }) => state === 'protected');
    await until(isGoingOn, 'the cloud to go on', 60_000);
    await clone.kill('SIGTERM');
    await server.stop();
    const [here, there] = [
      await scanArchiveFolder(path.join(destination, readdirSync(destination)[0]!)),
      await scanArchiveFolder(archiveFolderOf(server.homeDir)),
    ];
    assert.deepEqual(new Set(here.keys()), new Set(branch.keys()), 'nothing was added to the branch');
    const both = new Map(there);
    for (const [ordinal, contents] of here) {
      const known = both.get(ordinal) ?? [];
      both.set(ordinal, [...known, ...contents.filter(({ sha256 }) => !known.some((each) => each.sha256 === sha256))]);
    }
    assertNoConflict(both);
  },
);
