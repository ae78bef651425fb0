import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { askAgent } from '@holdfast/agent';
import { listed, statusOf, untilStanding } from './agent-status.ts';
import { until } from './process-tree.ts';
import { type Ended, RunningAgentProcess } from './running-agent.ts';

const codeOf = ({ value }: Ended) => (value['error'] as { code: string } | undefined)?.code;

test('Holdfast’s own folder is not protected by name, nor as a part of another, nor through a link', async (t) => {
  const agent = new RunningAgentProcess(t);
  const home = path.join(agent.folder, 'home');
  agent.write('file', '1');
  // HOLDFAST_HOME is reached through a link: what it leads to is what must not be read.
  const elsewhere = path.join(agent.folder, 'elsewhere');
  mkdirSync(path.join(elsewhere, 'real'), { recursive: true });
  symlinkSync(path.join(elsewhere, 'real'), home);
  writeFileSync(path.join(elsewhere, 'real/master.key'), 'a secret of the server');
  writeFileSync(path.join(elsewhere, 'beside'), 'of the user');
  await agent.start();
  agent.addDestination();
  const add = (name: string, ...includes: string[]) => agent.run('set', 'add', name, ...includes);
  for (const own of [home, `${home}/`, path.join(home, 'agent'), `${agent.tree}/../home`, path.join(elsewhere, 'real')])
    assert.equal(codeOf(add('own', own)), 'sets.path_protects_holdfast', own);
  assert.equal(add('above', elsewhere).status, 0);
  assert.equal(agent.run('set', 'change', 'home', '--add', agent.folder).status, 0);
  assert.equal(agent.run('backup').status, 0);
  assert.deepEqual(await listed(agent, elsewhere), [path.join(elsewhere, 'beside')]);
  assert.equal(await listed(agent, path.join(elsewhere, 'real')), undefined);
  assert.deepEqual((await listed(agent, agent.folder))?.map((each) => path.basename(each)).toSorted(), [
    'elsewhere',
    'tree',
  ]);
  assert.equal(agent.run('find', 'master.key').value['entries'] === undefined, false);
  assert.deepEqual(agent.run('find', 'master.key').value['entries'], []);
  assert.equal(agent.run('why', path.join(elsewhere, 'real/master.key')).value['status'], 'excluded');
});

test('a file that becomes a folder and a file again has all its versions', async (t) => {
  const agent = new RunningAgentProcess(t);
  const name = agent.write('name', 'a file');
  await agent.start();
  agent.addDestination();
  await untilStanding(agent, 'protected');
  const inside = path.join(name, 'inside');
  rmSync(name);
  agent.write('name/inside', 'in a folder');
  await until(async () => (await listed(agent, inside)) !== undefined, 'the folder, seen by itself');
  rmSync(name, { recursive: true });
  agent.write('name', 'a file again');
  const typeNow = () => (agent.run('versions', name).value['versions'] as { type: string }[]).at(-1)?.type;
  await until(() => typeNow() === 'file', 'the file again, seen by itself');
  assert.equal(await listed(agent, inside), undefined);
  const versions = agent.run('versions', name).value['versions'] as { type: string; from: string }[];
  assert.deepEqual(
    versions.map(({ type }) => type),
    ['file', 'directory', 'file'],
  );
  const restored = (at: string, ...more: string[]) => {
    const to = path.join(agent.folder, `as of ${versions.findIndex(({ from }) => from === at)}`);
    const ended = agent.run('restore', name, '--to', to, '--at', at, ...more);
    assert.equal(ended.status, 0, ended.stderr);
    return path.join(to, 'name');
  };
  assert.equal(readFileSync(restored(versions[0]!.from), 'utf8'), 'a file');
  assert.equal(readFileSync(path.join(restored(versions[1]!.from), 'inside'), 'utf8'), 'in a folder');
  assert.equal(readFileSync(restored(versions[2]!.from), 'utf8'), 'a file again');
});

test('a time before the first backup and a target inside what is protected are handled, and said', async (t) => {
  const agent = new RunningAgentProcess(t);
  const file = agent.write('deep/file', 'first');
  await agent.start();
  assert.equal(codeOf(agent.run('ls', file)), 'browse.empty');
  assert.equal(codeOf(agent.run('restore', file, '--to', agent.folder)), 'browse.empty');
  agent.addDestination();
  await untilStanding(agent, 'protected');
  const to = path.join(agent.folder, 'to');
  for (const args of [
    ['restore', file, '--to', to],
    ['ls', agent.tree],
    ['find', 'file'],
  ])
    assert.equal(codeOf(agent.run(...args, '--at', '1990-01-01')), 'time.before_first', args.join(' '));
  assert.equal(codeOf(agent.run('restore', file, '--to', to, '--at', '2999-01-01')), 'time.future');
  assert.equal(existsSync(to), false, 'nothing is made for a restore of nothing');
  assert.equal(codeOf(agent.run('ls', agent.tree, '--at', 'the day before')), 'time.invalid');
  assert.equal(agent.run('ls', agent.tree, '--at', 'now').status, 0);

  // Into the folder itself: what is there already stays, and what came is protected like anything else.
  const inside = path.join(agent.tree, 'restored');
  const ended = agent.run('restore', agent.tree, '--to', inside);
  assert.equal(ended.status, 0, ended.stderr);
  const copy = path.join(inside, 'tree/deep/file');
  assert.equal(readFileSync(copy, 'utf8'), 'first');
  assert.equal(existsSync(path.join(inside, 'tree/restored')), false, 'it is not a copy of itself');
  await until(async () => (await listed(agent, copy)) !== undefined, 'the restored files to be protected');
  assert.equal(agent.run('restore', agent.tree, '--to', inside, '--on-conflict', 'overwrite').status, 0);
  await untilStanding(agent, 'protected');
});

test('a file that grows while it is read is stored in one state, or said to be in none, and whole once it is still', async (t) => {
  const agent = new RunningAgentProcess(t);
  const block = randomBytes(1024 * 1024);
  // Every block of it says where it stands, so that a mixture shows.
  const blockAt = (at: number) => Buffer.concat([Buffer.from(String(at).padStart(16, '0')), block.subarray(16)]);
  const file = agent.write('grows', '');
  const still = agent.write('still', randomBytes(40 * 1024 * 1024));
  for (let at = 0; at < 150; at++) appendFileSync(file, blockAt(at));
  await agent.start();
  let blocks = 150;
  const growing = setInterval(() => appendFileSync(file, blockAt(blocks++).subarray(0, 1024 * 1024)), 20);
  const isFuzzy = async (name: string) => {
    const items: Readonly<Record<string, unknown>>[] = [];
    await askAgent(agent.socketPath, { request: 'ls', path: name }, { onItem: (item) => void items.push(item) });
    return items[0]!['isFuzzy'];
  };
  /** Restores what is there just now, and looks whether it is the beginning of the file, block by block. */
  const assertIsBeginning = async (round: string) => {
    const to = path.join(agent.folder, `restored ${round}`);
    assert.equal(agent.run('restore', file, '--to', to).status, 0);
    const content = readFileSync(path.join(to, 'grows'));
    assert.ok(content.length >= 150 * block.length, `${content.length} bytes`);
    for (let at = 0; at * block.length < content.length; at++) {
      const part = content.subarray(at * block.length, (at + 1) * block.length);
      assert.equal(Buffer.compare(part, blockAt(at).subarray(0, part.length)), 0, `block ${at} of ${round}`);
    }
    rmSync(to, { recursive: true });
    return content.length;
  };
  try {
    // Asked, not run as a command, which would keep this process from letting the file grow.
    const folder = path.join(agent.folder, 'destination');
    mkdirSync(folder);
    await askAgent(agent.socketPath, { request: 'destination.add', folder });
    await askAgent(agent.socketPath, { request: 'backup' });
    assert.equal(await isFuzzy(file), true);
    assert.equal(await isFuzzy(still), false);
    assert.ok(blocks > 150, 'it grew');
  } finally {
    clearInterval(growing);
  }
  const shown = agent.run('versions', file).value['versions'] as { isFuzzy: boolean }[];
  assert.ok(shown.some((version) => version.isFuzzy));
  await assertIsBeginning('while it grew');
  await until(async () => (await isFuzzy(file)) === false, 'the file that is still now', 60_000);
  assert.equal(await assertIsBeginning('when it was still'), blocks * block.length);
  await untilStanding(agent, 'protected');
  assert.deepEqual((await statusOf(agent)).problems, []);
});
