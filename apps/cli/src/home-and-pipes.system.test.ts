import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createOutput } from './output.ts';
import { createProgram } from './program.ts';
import { shellWord, welcomeText } from './up/welcome.ts';

const launcher = path.resolve(import.meta.dirname, '../bin/holdfast.mjs');

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast cli '));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function run(home: string, ...args: string[]) {
  const env = { ...process.env, HOLDFAST_HOME: home };
  const { status, stderr } = spawnSync(process.execPath, [launcher, ...args, '--json'], {
    env,
    cwd: tmpdir(),
    encoding: 'utf8',
    timeout: 60_000,
  });
  const { error } = JSON.parse(stderr.trim().split('\n').at(-1) ?? '') as { error: Record<string, string> };
  return { status, code: error['code'], remedy: error['remedy'] ?? '', stderr };
}

const starters = [['up'], ['cloud', 'start'], ['cloud', 'migrate'], ['agent', 'run']];

test('a state folder that cannot be made is a declared error that says what to do', { timeout: 120_000 }, (t) => {
  const folder = newFolder(t);
  const file = path.join(folder, 'a file');
  writeFileSync(file, '');
  for (const args of starters) {
    for (const home of [file, path.join(file, 'below')]) {
      const { status, code, remedy, stderr } = run(home, ...args);
      assert.deepEqual([status, code], [2, 'home.not_made'], `${args.join(' ')}: ${stderr}`);
      assert.match(remedy, /HOLDFAST_HOME/);
    }
  }
});

test(
  'a control socket that cannot be made there is a declared error that says what to do',
  { timeout: 120_000 },
  (t) => {
    const folder = newFolder(t);
    const file = path.join(folder, 'a file');
    writeFileSync(file, 'kept');
    const refused = [
      path.join(file, 'agent.sock'),
      path.join(file, 'below', 'agent.sock'),
      '/proc/nowhere/agent.sock',
      folder,
      file,
    ];
    for (const socket of refused) {
      const { status, code, remedy, stderr } = run(path.join(folder, 'home'), 'agent', 'run', '--socket', socket);
      assert.deepEqual([status, code], [8, 'control.cannot_listen'], `${socket}: ${stderr}`);
      assert.match(remedy, /--socket/);
      assert.doesNotMatch(stderr, /node:fs|at .*:\d+:\d+/);
    }
    assert.equal(readFileSync(file, 'utf8'), 'kept');
  },
);

test(
  'a control socket in a folder that is not there yet is made, and one left over is replaced',
  { timeout: 60_000 },
  async (t) => {
    const folder = newFolder(t);
    const socket = path.join(folder, 'not', 'there yet', 'agent.sock');
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const agent = spawn(
        process.execPath,
        [launcher, 'agent', 'run', '--state', path.join(folder, 'state'), '--socket', socket],
        {
          stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
          cwd: folder,
        },
      );
      t.after(() => agent.kill('SIGKILL'));
      const [message] = (await once(agent, 'message')) as [{ socketPath: string }];
      assert.equal(message.socketPath, socket);
      assert.ok(existsSync(socket));
      agent.kill(signal);
      await once(agent, 'exit');
    }
    assert.equal(existsSync(socket), false);
  },
);

test(
  'nothing is written into a state folder of another user',
  { timeout: 120_000, skip: process.getuid?.() !== 0 && 'needs root' },
  (t) => {
    const home = path.join(newFolder(t), 'home');
    mkdirSync(home);
    chownSync(home, 12_001, 12_001);
    for (const args of starters) {
      const { status, code, stderr } = run(home, ...args);
      assert.deepEqual([status, code], [4, 'home.foreign'], `${args.join(' ')}: ${stderr}`);
      assert.deepEqual(readdirSync(home), []);
    }
  },
);

test('up refuses to protect a folder that is not there, before anything is made', (t) => {
  const home = path.join(newFolder(t), 'home');
  const { status, code, remedy } = run(home, 'up', '--path', path.join(home, 'nope'));
  assert.deepEqual([status, code, existsSync(home)], [5, 'up.no_folder', false]);
  assert.notEqual(remedy, '');
});

test('an empty path is refused: a variable that is not set must not mean this folder', (t) => {
  const home = path.join(newFolder(t), 'home');
  for (const args of [
    ['ls', ''],
    ['restore', ''],
    ['restore', '/a', '--to', ''],
    ['set', 'add', 'x', ''],
  ]) {
    const { status, code } = run(home, ...args);
    assert.deepEqual([status, code], [2, 'command.invalid'], args.join(' '));
  }
  for (const args of [
    ['ls', '.'],
    ['restore', '/a'],
    ['set', 'add', 'x', '/a'],
  ]) {
    assert.equal(run(home, ...args).code, 'control.not_running', args.join(' '));
  }
});

test('a reader that leaves, as head does, ends no command with a fault', async () => {
  const child = spawn(process.execPath, [launcher, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  assert.deepEqual([code, stderr], [0, '']);
});

test(
  'a result that cannot be written is said, with an exit code',
  { skip: !existsSync('/dev/full') && 'needs /dev/full' },
  () => {
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', `${shellWord(process.execPath)} ${shellWord(launcher)} --help > /dev/full`],
      {
        encoding: 'utf8',
      },
    );
    assert.equal(status, 8, stderr);
    assert.match(stderr, /output\.not_written/);
  },
);

test('what up prints to try works in a shell in any folder', (t) => {
  const elsewhere = newFolder(t);
  const home = path.join(newFolder(t), "it's home", '.holdfast');
  const output = createOutput(false);
  const url = 'https://localhost:8443';
  const groups = new Map(createProgram().commands.map((command) => [command.name(), command]));
  for (const more of [{}, { protectedPath: '/a b', caFile: '/ca.pem' }]) {
    const lines = welcomeText(home, { url, ...more }, output).split('\n');
    const [setup, ...commands] = lines.slice(lines.findIndex((line) => line.startsWith('Try:')) + 1);
    for (const command of commands) {
      const [program, name, child] = command.trim().split(' ');
      if (program !== 'holdfast' || name === '--help') continue;
      const group = groups.get(name!);
      assert.ok(
        group && (group.commands.length === 0 || group.commands.some((each) => each.name() === child)),
        command,
      );
    }
    const script = `${setup}\nholdfast --version && holdfast status`;
    const { stdout, stderr } = spawnSync('sh', ['-c', script], { cwd: elsewhere, encoding: 'utf8' });
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/, stderr);
    assert.ok(stderr.includes(path.join(home, 'agent', 'agent.sock')), stderr);
  }
});
