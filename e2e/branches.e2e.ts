import assert from 'node:assert/strict';
import { cpSync, lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { askAgent } from '@holdfast/agent';
import { statusOf, untilStanding } from './agent-status.ts';
import { until } from './process-tree.ts';
import { RunningAgentProcess } from './running-agent.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';
import { archiveFolderOf, conflictsIn, scanArchiveFolder, type StoredRecords } from './stored-records.ts';

/** So many that they come in several commits. */
const manyFiles = 3500;
const text = (place: number) => `file ${place}, only in the folder`;

async function backUp(agent: RunningAgentProcess): Promise<void> {
  const { status, stderr } = agent.run('backup');
  if (status !== 0) assert.fail(`${stderr}\n${agent.log.slice(-3000)}`);
}

/** As a disk image is copied: everything of HOLDFAST_HOME, while no agent runs on either. */
function copyHome(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true, preserveTimestamps: true, filter: (name) => !lstatSync(name).isSocket() });
}

type Scene = {
  readonly server: ServerProcess;
  readonly agent: RunningAgentProcess;
  readonly folder: string;
  readonly keyFile: string;
};

/**
 * The server is down while the folder gets commits; then the computer's disk is set back to a time before both, and goes
 * on from the server's head while the folder is not connected.
 */
async function startParted(t: TestContext): Promise<Scene> {
  const server = await startServerProcess(t);
  const agent = new RunningAgentProcess(t);
  const home = path.join(agent.folder, 'home');
  const image = path.join(agent.folder, 'image');
  agent.write('file', 'first');
  agent.enroll(await server.invite());
  await agent.start();
  const folder = agent.addDestination();
  await backUp(agent);
  const keyFile = path.join(agent.folder, 'key');
  assert.equal(agent.run('key', 'export', '--out', keyFile).status, 0);
  await agent.kill('SIGTERM');
  copyHome(home, image);
  await agent.start();
  agent.write('file', 'second');
  await backUp(agent);
  await server.stop();
  agent.write('file', 'only in the folder');
  for (let place = 0; place < manyFiles; place++) agent.write(`many/${place}`, text(place));
  agent.run('backup');
  agent.write('file', 'only in the folder, again');
  agent.run('backup');
  await agent.kill('SIGTERM');
  copyHome(image, home);
  rmSync(path.join(agent.tree, 'many'), { recursive: true });
  const away = `${folder} away`;
  cpSync(folder, away, { recursive: true });
  rmSync(folder, { recursive: true });
  await server.start();
  await agent.start();
  agent.write('file', 'on the line');
  agent.run('backup');
  await until(
    async () => (await statusOf(agent)).standings.some(({ state }) => state === 'protected'),
    'the server to go on',
    60_000,
  );
  cpSync(away, folder, { recursive: true });
  agent.run('backup');
  return { server, agent, folder, keyFile };
}

/** The contents that a file has had, oldest version first. */
async function contentsOf(agent: RunningAgentProcess, file: string): Promise<string[]> {
  const { versions } = (await askAgent(agent.socketPath, { request: 'versions', path: file })) as unknown as {
    versions: readonly { readonly from: string }[];
  };
  return versions.map(({ from }, place) => {
    const to = path.join(agent.folder, `version ${place} of ${path.basename(file)} ${Date.now()}`);
    assert.equal(agent.run('restore', file, '--to', to, '--at', from).status, 0);
    return readFileSync(path.join(to, path.basename(file)), 'utf8');
  });
}

function folderIn(folder: string): string {
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

test(
  'what a folder has that the server never saw is a branch: a person takes it in, killed again and again, and no ordinal has two contents',
  { timeout: 900_000 },
  async (t) => {
    const { server, agent, folder, keyFile } = await startParted(t);
    const ofFolder = (await statusOf(agent)).standings.filter(({ state }) => state === 'failed');
    assert.ok(ofFolder.every(({ remedy }) => /holdfast branch take-in 1/.test(remedy ?? '')) && ofFolder.length === 1);
    const branch = await scanArchiveFolder(folderIn(folder));
    const listed = agent.run('branch', 'list').value['branches'] as readonly Readonly<Record<string, unknown>>[];
    assert.deepEqual(
      listed.map(({ state, destination, files, versions }) => ({ state, destination, files, versions })),
      [{ state: 'open', destination: folder, files: manyFiles + 1, versions: manyFiles + 2 }],
    );
    const asked = agent.runWith({ input: 'no\n' }, 'branch', 'give-up', '1');
    assert.deepEqual([asked.status, /confirm.not_given/.test(asked.stderr)], [6, true]);
    const dry = agent.run('branch', 'take-in', '1', '--dry-run').value;
    assert.deepEqual([dry['dryRun'], dry['versions']], [true, manyFiles + 2]);

    // The small reader finds the branch's head where nobody added to it.
    const before = path.join(agent.folder, 'before');
    assert.equal(agent.run('recover', folderIn(folder), '--key', keyFile, '--to', before).status, 0);
    assert.equal(readFileSync(path.join(before, agent.tree, 'file'), 'utf8'), 'only in the folder, again');

    let kills = 0;
    for (let waitMs = 150; waitMs < 2000; waitMs *= 2) {
      const asking = askAgent(agent.socketPath, { request: 'branch.take-in', branch: 1 }).then(
        () => true,
        () => false,
      );
      const isDone = await Promise.race([asking, new Promise((resolve) => setTimeout(() => resolve(false), waitMs))]);
      await agent.kill();
      await asking;
      kills++;
      await agent.start();
      await until(() => agent.run('backup').status !== undefined, 'a pass');
      const to = path.join(agent.folder, `after kill ${kills}`);
      assert.equal(agent.run('restore', path.join(agent.tree, 'file'), '--to', to).status, 0);
      assert.equal(readFileSync(path.join(to, 'file'), 'utf8'), 'on the line', 'what is there now stays the newest');
      if (isDone) break;
    }
    const state = () => (agent.run('branch', 'list').value['branches'] as readonly { state: string }[])[0]?.state;
    if (state() === 'open') assert.equal(agent.run('branch', 'take-in', '1').status, 0);
    assert.equal(state(), 'taken_in');
    await backUp(agent);
    await untilStanding(agent, 'protected');
    assert.deepEqual(await contentsOf(agent, path.join(agent.tree, 'file')), [
      'first',
      'second',
      'on the line',
      'only in the folder',
      'only in the folder, again',
      'on the line',
    ]);
    for (const place of [0, 1700, manyFiles - 1]) {
      assert.deepEqual(await contentsOf(agent, path.join(agent.tree, 'many', String(place))), [text(place)]);
    }
    const verified = agent.run('verify', '--full');
    assert.equal(verified.status, 0, verified.stderr);
    await agent.kill('SIGTERM');
    await server.stop();
    const [here, there] = [
      await scanArchiveFolder(folderIn(folder)),
      await scanArchiveFolder(archiveFolderOf(server.homeDir)),
    ];
    assert.deepEqual(conflictsIn(joined(here, there)), { ordinals: [], nonces: [] });
    for (const ordinal of branch.keys()) assert.ok(here.has(ordinal), 'the records of the branch stay in the folder');
    for (const ordinal of there.keys()) assert.ok(here.has(ordinal), 'and it has all of the line');

    // The small reader, written from the format document, reads the line there and names the branch.
    const out = path.join(agent.folder, 'recovered');
    const recovered = agent.run('recover', folderIn(folder), '--key', keyFile, '--to', out);
    assert.equal(readFileSync(path.join(out, agent.tree, 'file'), 'utf8'), 'on the line', recovered.stderr);
    assert.match(recovered.stdout + recovered.stderr, /branch/);
  },
);
