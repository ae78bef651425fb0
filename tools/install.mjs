/**
 * Installs the packages when package-lock.json changed since the last time, then becomes the program named by its
 * arguments: `node tools/install.mjs FILE ARGS...`. Node 20 can run it, before anything is installed.
 *
 * Two at once: one installs, the other waits. A program that runs from these node_modules keeps them: the installation
 * is refused until it has been stopped.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { becomeProgram, fail, rootDir } from './pinned-node.mjs';

const modulesDir = path.join(rootDir, 'node_modules');
const stampFile = path.join(modulesDir, '.holdfast-installed');
const lockFile = path.join(rootDir, '.holdfast-install.lock');
const HEARTBEAT_MS = 1_000;
/** A lock whose holder gave no sign for this long was left by a killed one. */
const STALE_MS = 10_000;
const WAIT_MS = 15 * 60_000;

const readText = (file) => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
};

function wantedStamp() {
  const lock = readText(path.join(rootDir, 'package-lock.json'));
  if (lock === undefined) fail(`${rootDir} holds no package-lock.json; is the clone complete?`);
  return createHash('sha256').update(`${process.platform} ${process.arch}\n${lock}`).digest('hex');
}

/**
 * Whether npm itself recorded an installation of exactly this lock file, by a hand-run `npm ci`, say.
 * npm writes the record last, and `npm ci` deletes it first.
 */
function npmInstalledThis() {
  const installed = JSON.parse(readText(path.join(modulesDir, '.package-lock.json')) ?? 'null')?.packages;
  if (!installed) return false;
  const wanted = JSON.parse(readText(path.join(rootDir, 'package-lock.json'))).packages;
  const names = new Set(
    [...Object.keys(wanted), ...Object.keys(installed)].filter((name) => name.startsWith('node_modules/')),
  );
  return [...names].every((name) => {
    const [want, have] = [wanted[name], installed[name]];
    if (!want) return false;
    if (!have) return want.optional === true || want.peer === true;
    return (
      want.version === have.version && want.integrity === have.integrity && Boolean(want.link) === Boolean(have.link)
    );
  });
}

function isInstalled(stamp) {
  if (readText(stampFile) === stamp) return true;
  if (!npmInstalledThis()) return false;
  writeStamp(stamp, true);
  return true;
}

/** Atomically; optional where node_modules belongs to somebody else. */
function writeStamp(stamp, optional) {
  const partial = `${stampFile}.${process.pid}`;
  try {
    writeFileSync(partial, stamp);
    renameSync(partial, stampFile);
  } catch (error) {
    if (!optional) fail(`cannot write ${stampFile}: ${error.message}`);
  }
}

/** Tries to take the lock; a holder that stopped giving signs is replaced, by one of those who wait. */
function tryLock(owner) {
  try {
    const descriptor = openSync(lockFile, 'wx');
    writeSync(descriptor, owner);
    closeSync(descriptor);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') {
      fail(
        `packages must be installed, and ${rootDir} cannot be written: ${error.message}\nRun \`npm ci\` there as its owner.`,
      );
    }
  }
  try {
    if (Date.now() - statSync(lockFile).mtimeMs < STALE_MS) return false;
    const [holder, grave] = [readText(lockFile), `${lockFile}.${owner}`];
    renameSync(lockFile, grave);
    // Another waiter may have replaced the stale lock between our look and our rename: give it back.
    if (readText(grave) !== holder) renameSync(grave, lockFile);
    else rmSync(grave, { force: true });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  return false;
}

async function withLock(work) {
  const owner = `${process.pid}-${Date.now()}`;
  const deadline = Date.now() + WAIT_MS;
  for (let waited = false; !tryLock(owner); waited = true) {
    if (!waited) process.stderr.write('Another start is installing the packages; waiting for it.\n');
    if (Date.now() > deadline) fail(`another installation does not end; if none runs, delete ${lockFile}`);
    await sleep(250);
  }
  const beat = setInterval(() => utimesSync(lockFile, new Date(), new Date()), HEARTBEAT_MS);
  const release = () => {
    clearInterval(beat);
    if (readText(lockFile) === owner) rmSync(lockFile, { force: true });
  };
  process.once('exit', release);
  try {
    await work();
  } finally {
    release();
  }
}

/** Process ids, ours and our parents' apart, of programs that run from these node_modules. */
function programsInUse() {
  const family = new Set();
  const parents = parentsByPid();
  for (let pid = process.pid; pid > 1 && !family.has(pid); pid = parents.get(pid) ?? 0) family.add(pid);
  return [...parents.keys()].filter((pid) => !family.has(pid) && runsFromModules(pid));
}

function parentsByPid() {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  if (stdout)
    return new Map(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.trim().split(/\s+/).map(Number)),
    );
  if (process.platform !== 'linux') return new Map();
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return new Map(
    pids.map((pid) => [Number(pid), Number(/^PPid:\s+(\d+)/m.exec(readText(`/proc/${pid}/status`) ?? '')?.[1])]),
  );
}

function runsFromModules(pid) {
  const place = `${realpathSync(modulesDir)}${path.sep}`;
  try {
    if (process.platform === 'linux') return readlinkSync(`/proc/${pid}/exe`).startsWith(place);
    return spawnSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' }).stdout.startsWith(place);
  } catch {
    return false; // It ended, or is somebody else's.
  }
}

/** The npm that runs us, else the one on PATH. */
function npmCommand() {
  const { npm_execpath: npm, npm_node_execpath: node } = process.env;
  const inside = node?.startsWith(modulesDir + path.sep);
  if (npm && node && !inside && /npm-cli\.c?js$/.test(npm) && existsSync(npm) && existsSync(node))
    return { file: node, args: [npm], shell: false };
  return { file: 'npm', args: [], shell: process.platform === 'win32' };
}

/** Ours without the Node of node_modules on the PATH: npm is about to delete it. */
function outsideEnvironment() {
  const { PATH = '', ...rest } = process.env;
  const outside = PATH.split(path.delimiter).filter((folder) => !folder.startsWith(modulesDir));
  return { ...rest, PATH: outside.join(path.delimiter) };
}

async function runNpm() {
  const { file, args, shell } = npmCommand();
  const options = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  const child = spawn(file, [...args, ...options], {
    cwd: rootDir,
    stdio: ['ignore', 2, 2],
    shell,
    env: outsideEnvironment(),
  });
  const interruptions = [];
  const stop = (signal) => {
    interruptions.push(signal);
    child.kill('SIGTERM');
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);
  const problem = await new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => resolve(code === 0 ? undefined : `exit ${code ?? signal}`));
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, stop);
  if (interruptions.length > 0) fail('the installation was interrupted; the next start does it again', 130);
  if (problem)
    fail(`\`npm ci\` failed in ${rootDir} (${problem}).\nIts reason stands above; when it is remedied, start again.`);
}

async function install(stamp) {
  await withLock(async () => {
    if (isInstalled(stamp)) return;
    const running = existsSync(modulesDir) ? programsInUse() : [];
    if (running.length > 0) {
      fail(
        `package-lock.json changed, but programs run from ${modulesDir} (process ${running.join(', ')}).\nStop them, then start again.`,
      );
    }
    process.stderr.write('Installing packages (once; again only when package-lock.json changes)...\n');
    await runNpm();
    writeStamp(stamp, false);
  });
}

const [file, ...args] = process.argv.slice(2);
const stamp = wantedStamp();
if (!isInstalled(stamp)) await install(stamp);
if (file) becomeProgram(path.resolve(rootDir, file), args);
