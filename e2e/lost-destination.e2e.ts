import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from './process-tree.ts';
import { RunningAgentProcess } from './running-agent.ts';
import { startServerProcess } from './server-process.ts';
import { archiveFolderOf } from './stored-records.ts';

type Standing = {
  readonly state: string;
  readonly reason: string;
  readonly loss?: { readonly fromCommit: number; readonly toCommit: number };
};

function standingOf(agent: RunningAgentProcess): Standing | undefined {
  return (agent.run('status').value['standings'] as Standing[] | undefined)?.[0];
}

function isProtected(agent: RunningAgentProcess): boolean {
  return standingOf(agent)?.state === 'protected';
}

/** What `recover` gives of the protected folder, by a key file, from the files of the archive alone. */
function recovered(agent: RunningAgentProcess, archive: string, to: string): Record<string, string> {
  const keyFile = path.join(agent.folder, `${to}.key`);
  assert.equal(agent.run('key', 'export', '--out', keyFile).status, 0);
  const out = path.join(agent.folder, to);
  const { status, stderr } = agent.run('recover', archive, '--key', keyFile, '--to', out);
  assert.equal(status, 0, stderr);
  const tree = path.join(out, agent.tree);
  return Object.fromEntries(readdirSync(tree).map((name) => [name, readFileSync(path.join(tree, name), 'latin1')]));
}

async function startWithCloud(t: TestContext) {
  const server = await startServerProcess(t);
  const agent = new RunningAgentProcess(t);
  agent.enroll(await server.invite());
  await agent.start();
  return { agent, server, archive: () => archiveFolderOf(server.homeDir) };
}

test('a folder destination that is renamed while the agent runs is behind within seconds, and goes on when it is back', async (t) => {
  const agent = new RunningAgentProcess(t);
  agent.write('early', 'early');
  await agent.start();
  const destination = agent.addDestination();
  assert.equal(agent.run('backup').status, 0);
  await until(() => isProtected(agent), 'the first backup', 20_000);
  renameSync(destination, `${destination} away`);
  await until(() => standingOf(agent)?.state === 'behind', 'the standing of a folder that is gone', 30_000);
  agent.write('late', 'late');
  const refused = agent.run('backup');
  assert.notEqual(refused.status, 0, 'nothing is acknowledged that is nowhere');
  renameSync(`${destination} away`, destination);
  const again = agent.run('backup');
  assert.equal(again.status, 0, again.stderr);
  assert.deepEqual(recovered(agent, destination, 'out'), { early: 'early', late: 'late' });
});

test('an empty folder in the place of a destination gets everything, although there was nothing new to send', async (t) => {
  const agent = new RunningAgentProcess(t);
  agent.write('early', 'early');
  await agent.start();
  const destination = agent.addDestination();
  assert.equal(agent.run('backup').status, 0);
  const archive = path.join(destination, readdirSync(destination)[0]!);
  renameSync(archive, `${destination} aside`);
  mkdirSync(archive);
  await until(() => agent.run('backup').status === 0 && isProtected(agent), 'a backup into the new folder', 30_000);
  assert.deepEqual(recovered(agent, archive, 'out'), { early: 'early' });
});

test('a destination that was emptied says how it is filled anew, and that does it', async (t) => {
  const agent = new RunningAgentProcess(t);
  agent.write('early', 'early');
  await agent.start();
  const destination = agent.addDestination();
  const other = agent.addDestination('other');
  assert.equal(agent.run('backup').status, 0);
  rmSync(path.join(destination, readdirSync(destination)[0]!), { recursive: true });
  agent.run('backup');
  const standings = agent.run('status').value['standings'] as { destination: string; remedy?: string }[];
  const told = standings.find((standing) => standing.destination === destination);
  assert.match(told?.remedy ?? '', /gone for good: holdfast destination remove .* then add it again/);
  assert.equal(agent.run('destination', 'remove', destination).status, 0);
  assert.equal(agent.run('destination', 'add', destination).status, 0);
  assert.equal(agent.run('backup').status, 0);
  for (const [folder, out] of [
    [destination, 'out'],
    [other, 'other out'],
  ] as const)
    assert.deepEqual(recovered(agent, path.join(folder, readdirSync(folder)[0]!), out), { early: 'early' });
});

test('a folder destination that was rolled back is told so, and what it lacks is sent again from the files', async (t) => {
  const agent = new RunningAgentProcess(t);
  agent.write('early', randomBytes(100_000).toString('hex'));
  await agent.start();
  const destination = agent.addDestination();
  assert.equal(agent.run('backup').status, 0);
  await agent.kill('SIGTERM');
  cpSync(destination, `${destination} older`, { recursive: true });
  await agent.start();
  const late = randomBytes(100_000).toString('hex');
  agent.write('late', late);
  assert.equal(agent.run('backup').status, 0);
  await agent.kill('SIGTERM');
  rmSync(destination, { recursive: true });
  renameSync(`${destination} older`, destination);
  await agent.start();
  agent.write('last', 'last');
  assert.equal(agent.run('backup').status, 0);
  assert.ok(standingOf(agent)?.loss, 'status says what the destination had lost');
  const files = recovered(agent, destination, 'out');
  assert.deepEqual([Object.keys(files).sort(), files['late'] === late], [['early', 'last', 'late'], true]);
});

test('a server whose archive was rolled back while it was down is found out, and gets again what it lacks', async (t) => {
  const { agent, server, archive } = await startWithCloud(t);
  agent.write('early', randomBytes(100_000).toString('hex'));
  assert.equal(agent.run('backup').status, 0);
  const backup = path.join(agent.folder, 'older');
  cpSync(archive(), backup, { recursive: true });
  const late = randomBytes(100_000).toString('hex');
  agent.write('late', late);
  assert.equal(agent.run('backup').status, 0);
  await server.kill();
  const at = archive();
  rmSync(at, { recursive: true });
  cpSync(backup, at, { recursive: true });
  await server.start();
  agent.write('last', 'last');
  await until(() => agent.run('backup').status === 0, 'a backup to the server that came back', 60_000);
  assert.ok(standingOf(agent)?.loss, 'status says what the server had lost');
  const files = recovered(agent, at, 'out');
  assert.deepEqual([Object.keys(files).sort(), files['late'] === late], [['early', 'last', 'late'], true]);
});

test('a server whose archive is deleted while it runs acknowledges nothing more into it, and gets everything again', async (t) => {
  const { agent, archive } = await startWithCloud(t);
  const early = randomBytes(100_000).toString('hex');
  agent.write('early', early);
  assert.equal(agent.run('backup').status, 0);
  const at = archive();
  rmSync(at, { recursive: true });
  agent.write('late', 'late');
  await until(() => agent.run('backup').status === 0, 'a backup to the server that lost everything', 60_000);
  assert.ok(standingOf(agent)?.loss, 'status says what the server had lost');
  assert.deepEqual(recovered(agent, at, 'out'), { early, late: 'late' });
});

test('verify says it in words when the archive was rolled back under a running server, and a backup mends it', async (t) => {
  const { agent, archive } = await startWithCloud(t);
  agent.write('early', randomBytes(100_000).toString('hex'));
  assert.equal(agent.run('backup').status, 0);
  await until(() => isProtected(agent), 'the first backup', 20_000);
  const at = archive();
  const older = path.join(agent.folder, 'older');
  cpSync(at, older, { recursive: true });
  const late = randomBytes(100_000).toString('hex');
  agent.write('late', late);
  assert.equal(agent.run('backup').status, 0);
  rmSync(at, { recursive: true });
  cpSync(older, at, { recursive: true });
  const found = agent.run('verify', '--full');
  assert.equal(found.status, 9, found.stdout + found.stderr);
  const { code, remedy } = (JSON.parse(found.stderr) as { error: { code: string; remedy: string } }).error;
  assert.deepEqual([code, /holdfast backup/.test(remedy)], ['verify.rolled_back', true]);
  assert.equal(agent.run('backup').status, 0);
  const mended = agent.run('verify', '--full');
  assert.equal(mended.status, 0, mended.stdout + mended.stderr);
  const files = recovered(agent, at, 'out');
  assert.deepEqual([Object.keys(files).sort(), files['late'] === late], [['early', 'late'], true]);
});
