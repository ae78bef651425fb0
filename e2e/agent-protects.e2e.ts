import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { until } from './process-tree.ts';
import { RunningAgentProcess } from './running-agent.ts';

test('closing a file makes it durable within 10 s, with nobody running a command, and recover gives it back', async (t) => {
  const agent = new RunningAgentProcess(t);
  agent.write('before', 'before');
  await agent.start();
  const destination = agent.addDestination();
  assert.equal(agent.run('backup').status, 0);
  const archive = path.join(destination, readdirSync(destination)[0]!);
  const stored = () => sizeOf(path.join(archive, 'segments'));
  const before = stored();
  const content = randomBytes(200_000);
  const closedAt = performance.now();
  const file = agent.write('deep/er/file', content);
  await until(() => stored() >= before + content.length, 'the content at the destination', 10_000);
  const found = () => agent.run('ls', file).status === 0;
  await until(found, 'the file in the archive', 10_000);
  t.diagnostic(`${Math.round(performance.now() - closedAt)} ms, looking included`);

  const keyFile = path.join(agent.folder, 'key');
  assert.equal(agent.run('key', 'export', '--out', keyFile).status, 0);
  assert.equal(statSync(keyFile).mode & 0o777, 0o600);
  assert.equal(
    agent.run('key', 'export', '--out', keyFile).value['error'] !== undefined,
    true,
    'it is never overwritten',
  );
  await agent.kill('SIGTERM');
  const out = path.join(agent.folder, 'out');
  const recovered = agent.run('recover', destination, '--key', keyFile, '--to', out);
  assert.equal(recovered.status, 0, recovered.stderr);
  execFileSync('diff', ['-r', agent.tree, path.join(out, agent.tree)]);
});

test('a recovery code that was typed back opens the archive, and the one before does not', async (t) => {
  const agent = new RunningAgentProcess(t);
  agent.write('file', 'content');
  await agent.start();
  const destination = agent.addDestination();
  assert.equal(agent.run('backup').status, 0);
  const wrong = agent.runWith({ input: `${'abandon '.repeat(23)}art\n` }, 'key', 'show-recovery');
  assert.deepEqual([wrong.status, (wrong.value['error'] as { code: string }).code], [2, 'keys.code_differs']);
  const code = await showAndTypeBack(agent);
  assert.equal(agent.run('backup').status, 0);
  await agent.kill('SIGTERM');
  const out = path.join(agent.folder, 'out');
  const recovered = agent.runWith({ input: `${code}\n` }, 'recover', destination, '--to', out);
  assert.equal(recovered.status, 0, recovered.stderr);
  assert.equal(readFileSync(path.join(out, agent.tree, 'file'), 'utf8'), 'content');
  const shown = JSON.parse(wrong.stdout.trim().split('\n')[0]!) as { code: string };
  const refused = agent.runWith({ input: `${shown.code}\n` }, 'recover', destination, '--to', `${out} 2`);
  assert.notEqual(refused.status, 0, 'a code that was never typed back opens nothing');
  for (const name of readdirSync(agent.stateDir, { recursive: true, encoding: 'utf8' })) {
    const file = path.join(agent.stateDir, name);
    if (!statSync(file).isFile()) continue;
    const bytes = readFileSync(file);
    assert.equal(bytes.includes(code.split(' ').slice(0, 3).join(' ')), false, `${name} holds the code`);
  }
});

test('what is written after a new recovery code opens by that code and not by the struck one', async (t) => {
  const agent = new RunningAgentProcess(t);
  agent.write('early', 'written before');
  await agent.start();
  const destination = agent.addDestination();
  const struck = await showAndTypeBack(agent);
  assert.equal(agent.run('backup').status, 0);
  const code = await showAndTypeBack(agent);
  agent.write('late', 'written after');
  assert.equal(agent.run('backup').status, 0);
  await agent.kill('SIGTERM');
  const recoverBy = (input: string, to: string) => {
    const { status } = agent.runWith(
      { input: `${input}\n` },
      'recover',
      destination,
      '--to',
      path.join(agent.folder, to),
    );
    const files = path.join(agent.folder, to, agent.tree);
    return { status, names: existsSync(files) ? readdirSync(files).sort() : [] };
  };
  assert.deepEqual(recoverBy(code, 'by the new code'), { status: 0, names: ['early', 'late'] });
  const older = recoverBy(struck, 'by the struck code');
  assert.deepEqual(older.names, ['early']);
  assert.notEqual(older.status, 0, 'it says that there is more than it opens');
});

test('after kill -9 at random moments of a backup it finishes without a command, and the restore equals', async (t) => {
  const agent = new RunningAgentProcess(t);
  for (let at = 0; at < 60; at++) agent.write(`${at % 7}/large ${at}`, randomBytes(1_500_000));
  for (let at = 0; at < 2000; at++) agent.write(`small/${at % 40}/${at}`, `content ${at}`);
  await agent.start();
  agent.addDestination();
  for (let kills = 0; kills < 6; kills++) {
    await new Promise((resolve) => setTimeout(resolve, 150 + Math.random() * 900));
    await agent.kill();
    await agent.start();
  }
  const isProtected = () => {
    const standings = agent.run('status').value['standings'] as { state: string }[] | undefined;
    return standings?.every(({ state }) => state === 'protected') ?? false;
  };
  await until(isProtected, 'everything to be protected', 60_000);
  const to = path.join(agent.folder, 'restored');
  const restored = agent.run('restore', agent.tree, '--to', to);
  assert.equal(restored.status, 0, restored.stderr);
  execFileSync('diff', ['-r', agent.tree, path.join(to, 'tree')]);
  const verified = agent.run('verify', '--full');
  assert.equal(verified.status, 0, verified.stdout + verified.stderr);
});

test('losing the index costs no upload, an include that is missing is said, and a second agent on one state is refused', async (t) => {
  const agent = new RunningAgentProcess(t);
  agent.write('file', randomBytes(1_000_000));
  await agent.start();
  agent.addDestination();
  assert.equal(agent.run('backup').status, 0);
  await agent.kill();
  for (const name of ['index.db', 'index.db-wal', 'index.db-shm'])
    rmSync(path.join(agent.stateDir, name), { force: true });
  await agent.start();
  const again = agent.run('backup');
  assert.deepEqual([again.status, again.value['newBytes']], [0, 0], again.stderr);
  assert.equal(agent.run('set', 'add', 'usb', path.join(agent.folder, 'usb')).status, 0);
  const incomplete = agent.run('backup');
  assert.deepEqual([incomplete.status, (incomplete.value['error'] as { code: string }).code], [8, 'backup.incomplete']);
  const standings = agent.run('status').value['standings'] as { set: string; state: string; remedy?: string }[];
  assert.equal(standings.find(({ set }) => set === 'usb')?.state, 'incomplete');
  const second = agent.run('agent', 'run');
  assert.deepEqual([second.status, (second.value['error'] as { code: string }).code], [6, 'state.in_use']);
});

async function showAndTypeBack(agent: RunningAgentProcess): Promise<string> {
  // The words are known only once they are shown: what is typed back is what was read.
  const { askAgent } = await import('@holdfast/agent');
  const { code } = await askAgent(agent.socketPath, { request: 'key.show-recovery' });
  await askAgent(agent.socketPath, { request: 'key.confirm-recovery', code });
  return String(code);
}

function sizeOf(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(path.join(folder, name)).size, 0);
}
