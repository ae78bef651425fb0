import { execFile } from 'node:child_process';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { systemClock, type Clock } from '@holdfast/base';
import { embeddedPostgresErrors } from './embedded-postgres-errors.ts';
import type { Isolation } from './embedded-postgres-isolation.ts';

const POLL_MS = 25;
/** Fast shutdown, then immediate shutdown, then the hard way; each with its patience. */
const SIGNALS = [
  { signal: 'SIGINT', patienceMs: 15_000 },
  { signal: 'SIGQUIT', patienceMs: 5_000 },
  { signal: 'SIGKILL', patienceMs: 5_000 },
] as const;

/**
 * Ends PostgreSQL processes that an earlier run left on this cluster; returns how many there were.
 *
 * A number in `postmaster.pid` proves nothing, it may have been given to somebody else since: a process counts as ours
 * only when its working folder is the cluster's (that of a postmaster and its children is the data folder), or, where
 * that cannot be looked at, when it runs under the uid that only this cluster has. The caller holds the cluster's lock.
 * Lock files that are left then are nobody's: PostgreSQL would take a zombie, or a stranger with that number, for itself.
 * @throws embedded_postgres.leftover_survives
 */
export async function stopLeftovers(isolation: Isolation, clock: Clock = systemClock): Promise<number> {
  const found = await findProcesses(isolation);
  for (const { signal, patienceMs } of SIGNALS) {
    const until = clock.monotonic() + patienceMs;
    let alive = await findProcesses(isolation);
    for (const pid of await targetsOf(alive, isolation)) kill(pid, signal);
    while (alive.length > 0 && clock.monotonic() < until) {
      await clock.sleep(POLL_MS);
      alive = await findProcesses(isolation);
    }
    if (alive.length === 0) {
      await dropLockFiles(path.join(isolation.clusterDir, 'data'));
      return found.length;
    }
  }
  throw embeddedPostgresErrors.leftover_survives({
    folder: isolation.clusterDir,
    pids: await findProcesses(isolation),
  });
}

async function dropLockFiles(dataDir: string): Promise<void> {
  if (process.platform === 'win32') return; // Nobody was looked for there.
  const names = await readdir(dataDir).catch(() => []);
  const locks = names.filter((name) => name === 'postmaster.pid' || /^\.s\.PGSQL\.\d+\.lock$/.test(name));
  for (const name of locks) await rm(path.join(dataDir, name), { force: true });
}

/** The postmaster alone when it lives (it ends its children in order), else every process. */
async function targetsOf(alive: readonly number[], isolation: Isolation): Promise<readonly number[]> {
  const written = await readFile(path.join(isolation.clusterDir, 'data', 'postmaster.pid'), 'utf8').catch(() => '');
  const postmaster = Number(written.split('\n')[0]);
  return alive.includes(postmaster) ? [postmaster] : alive;
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function findProcesses(isolation: Isolation): Promise<number[]> {
  if (process.platform === 'linux') return findInProc(isolation);
  if (process.platform === 'darwin') return findByArguments(path.join(isolation.clusterDir, 'data'));
  return []; // Windows: the postmaster's own lock refuses, and `start_failed` says so.
}

async function findInProc(isolation: Isolation): Promise<number[]> {
  const folders = new Set<string>();
  for (const name of ['.', 'new', 'data']) {
    const folder = await stat(path.join(isolation.clusterDir, name)).catch(() => undefined);
    if (folder) folders.add(`${folder.dev}:${folder.ino}`);
  }
  const found: number[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const cwd = await stat(`/proc/${pid}/cwd`).catch(() => undefined);
    const ours = cwd ? folders.has(`${cwd.dev}:${cwd.ino}`) : await runsAs(pid, isolation.uid);
    if (ours && (await isPostgres(pid))) found.push(Number(pid));
  }
  return found;
}

/** Whether the process is PostgreSQL and still runs; a shell that stands in the folder is left alone. */
async function isPostgres(pid: string): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  return /^\d+ \((postgres|initdb)\) [^ZX]/.test(text);
}

async function runsAs(pid: string, uid: number | undefined): Promise<boolean> {
  const owner = await stat(`/proc/${pid}`).catch(() => undefined);
  return owner !== undefined && owner.uid === uid;
}

async function findByArguments(dataDir: string): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-axww', '-o', 'pid=,args=']);
  const lines = stdout.split('\n').filter((line) => line.includes(`/bin/postgres -D ${dataDir} `));
  return lines.map((line) => Number.parseInt(line, 10));
}
