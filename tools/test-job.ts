import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { awaitLeftProcesses, findProcesses, markerVariable } from './left-processes.ts';
import type { TestLine } from './test-reporter.ts';

/** One process to run and to judge. */
export type Job = {
  readonly name: string;
  /** Arguments for Node. */
  readonly args: readonly string[];
  readonly timeoutMs: number;
  /** Whether the process runs tests that are counted one by one; else it passes or fails as a whole. */
  readonly hasTests: boolean;
};

/** Where jobs run. */
export type JobPlace = {
  readonly rootDir: string;
  /** Holds one folder for each job, which is its folder for temporary files. */
  readonly runDir: string;
  readonly environment: NodeJS.ProcessEnv;
  /** How long a process may take to end when it should. */
  readonly graceMs: number;
};

/** What came out of a job. */
export type JobResult = {
  readonly name: string;
  readonly passed: number;
  /** Failed tests and other failures, by name or in a sentence. */
  readonly failures: readonly string[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
  readonly output: string;
  readonly elapsedMs: number;
};

const maxOutputCharacters = 200_000;
const runMarker = `${process.pid}-${Date.now()}`;
const running = new Set<ChildProcess>();

/**
 * Runs one job in a process group of its own, and never longer than its time limit and the time to end it.
 *
 * Besides its tests, a job fails when it exits with an error, runs no test, or leaves files or processes behind.
 */
export async function runJob(job: Job, number: number, place: JobPlace): Promise<JobResult> {
  const begun = performance.now();
  const temporaryDir = join(place.runDir, String(number));
  mkdirSync(temporaryDir);
  chmodSync(temporaryDir, 0o1777); // As /tmp is: tests drop to other users.
  const linesFile = join(place.runDir, `${number}.jsonl`);
  const marker = `${runMarker}-${number}`;
  const child = spawn(process.execPath, [...(job.hasTests ? reporterArgs(linesFile) : []), ...job.args], {
    cwd: place.rootDir,
    // Without NODE_TEST_CONTEXT, or a runner that is itself under test would make its tests report elsewhere.
    env: { ...place.environment, TMPDIR: temporaryDir, [markerVariable]: marker, NODE_TEST_CONTEXT: undefined },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const output = collectOutput(child);
  const end = await waitForEnd(child, job.timeoutMs, place.graceMs);
  const left = await endLeftProcesses(child.pid ?? 0, marker, place.graceMs);
  const lines = readLines(linesFile);
  const failures = [
    ...lines.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name),
    ...(job.hasTests && lines.length === 0 && end === undefined ? ['it has no tests'] : []),
    ...left,
  ];
  if (end !== undefined && failures.length === 0) failures.push(end);
  else if (end?.startsWith('it was ended')) failures.push(end);
  failures.push(...leftFiles(temporaryDir));
  return {
    name: job.name,
    passed: job.hasTests ? lines.filter(({ outcome }) => outcome === 'passed').length : Number(failures.length === 0),
    failures,
    skipped: lines.filter(({ outcome }) => outcome === 'skipped'),
    output: output(),
    elapsedMs: performance.now() - begun,
  };
}

/** Ends every job under way with all that it started; for when the runner itself is told to end. */
export function endRunningJobs(): void {
  for (const child of running) signalGroup(child.pid ?? 0, 'SIGKILL');
  for (const { pid } of findProcesses(-1, runMarker)) signalProcess(pid, 'SIGKILL');
}

function reporterArgs(linesFile: string): readonly string[] {
  const reporter = new URL('./test-reporter.ts', import.meta.url).href;
  return [
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${reporter}`,
    `--test-reporter-destination=${linesFile}`,
  ];
}

/** Keeps what the process prints, at most its first and last parts. */
function collectOutput(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.length > 2 * maxOutputCharacters)
        text = `${text.slice(0, maxOutputCharacters / 2)}\n[…]\n${text.slice(-maxOutputCharacters / 2)}`;
    });
  return () => text;
}

/** Resolves to what is wrong with the way the process ended; undefined when nothing is. */
async function waitForEnd(child: ChildProcess, timeoutMs: number, graceMs: number): Promise<string | undefined> {
  running.add(child);
  // `exit`, not `close`: a process it left behind may hold its output open for ever.
  const ended = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(`it did not start: ${error.message}`));
    child.once('exit', (code, signal) => resolve(code === 0 ? undefined : `it ended with ${signal ?? `code ${code}`}`));
  });
  const timer = new AbortController();
  const late = sleep(timeoutMs, 'late' as const, { signal: timer.signal }).catch(() => undefined);
  const first = await Promise.race([ended, late]);
  timer.abort();
  if (first === 'late') {
    signalGroup(child.pid ?? 0, 'SIGTERM');
    await Promise.race([ended, sleep(graceMs)]);
    signalGroup(child.pid ?? 0, 'SIGKILL');
    await ended;
  }
  running.delete(child);
  return first === 'late' ? `it was ended after its ${timeoutMs / 1000} s` : first;
}

async function endLeftProcesses(group: number, marker: string, graceMs: number): Promise<readonly string[]> {
  const left = await awaitLeftProcesses(group, marker, graceMs);
  for (const { pid } of left) signalProcess(pid, 'SIGKILL');
  return left.map(({ pid, command }) => `it left process ${pid} behind: ${command}`);
}

/** Removes the folder when it is empty, as it should be. What is left in it stays, in case something is mounted there. */
function leftFiles(temporaryDir: string): readonly string[] {
  const names = readdirSync(temporaryDir);
  if (names.length === 0) rmdirSync(temporaryDir);
  return names.length === 0 ? [] : [`it left files behind in ${temporaryDir}: ${names.slice(0, 5).join(', ')}`];
}

function readLines(file: string): readonly TestLine[] {
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  rmSync(file);
  return text
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as TestLine);
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  if (group > 0) signalProcess(-group, signal);
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone: what was wanted.
  }
}
