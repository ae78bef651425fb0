import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { engineEnvironment, engineNodeFlags } from '@holdfast/agent/engine/process';
import { defineErrors, retryDelayMs, systemClock } from '@holdfast/base';
import { inviteDevices, quickstartTenant, rotatingFile, type Cloud, type Log } from '@holdfast/cloud';
import { agentSocket, agentStateDir } from '../agent-socket.ts';
import { environmentFor } from '../config.ts';
import { deviceFacts } from '../device-facts.ts';
import type { StartAgent } from './run-up.ts';

const agentErrors = defineErrors('up_agent', {
  protects_other: ['conflict', 'The agent of this folder protects another folder already; holdfast set add adds one'],
  not_started: ['unavailable', 'The agent ended instead of starting'],
});

const STOP_MS = 10_000;
const RESTART = { attempts: Infinity, firstDelayMs: 1_000, maxDelayMs: 30_000 };
/** An agent that ran for so long did start: the next restart is the first again. */
const SETTLED_MS = 60_000;

/** Enrols this computer the first time, and runs `holdfast agent run` as a child that protects a folder. */
export const startAgent: StartAgent = async ({ homeDir, protectedPath, protectedBefore, cloud, log }) => {
  const isOther = protectedPath !== undefined && protectedBefore !== undefined && protectedPath !== protectedBefore;
  if (isOther) throw agentErrors.protects_other({ protectedPath: protectedBefore });
  await enrollOnce(agentStateDir(homeDir), cloud);
  const folder = protectedPath ?? protectedBefore ?? makeSample(homeDir);
  const logFile = path.join(homeDir, 'logs', 'agent.log');
  const output = rotatingFile(logFile);
  const agent = new AgentProcess(() => {
    const child = launch(homeDir, folder);
    child.stderr?.on('data', (chunk: Buffer) => output.write(chunk.toString()));
    return child;
  }, log);
  if (!(await agent.start())) throw agentErrors.not_started({ log: logFile });
  return { controlSocket: agentSocket(homeDir), protectedPath: folder, stop: () => agent.stop() };
};

function launch(homeDir: string, folder: string): ChildProcess {
  const launcher = path.resolve(import.meta.dirname, '../../bin/holdfast.mjs');
  return spawn(process.execPath, [...engineNodeFlags, launcher, 'agent', 'run', '--protect', folder], {
    env: { ...environmentFor(homeDir), ...engineEnvironment(agentStateDir(homeDir)) },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
}

/** The agent as a child process that is started again when it fails or is killed; not when it ends in order, as a deauthorised one does. */
class AgentProcess {
  readonly #launch: () => ChildProcess;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  #child: ChildProcess | undefined;

  constructor(start: () => ChildProcess, log: Log) {
    this.#launch = start;
    this.#log = log;
  }

  /** Starts it; resolves with whether it answers. */
  async start(failures = 0): Promise<boolean> {
    const begunMs = systemClock.monotonic();
    const child = (this.#child = this.#launch());
    const ended = new Promise<false>((resolve) => child.once('exit', () => resolve(false)));
    const isReady = await Promise.race([once(child, 'message').then(() => true), ended]);
    if (!isReady) return false;
    void ended.then(() => {
      const hasSettled = systemClock.monotonic() - begunMs > SETTLED_MS;
      return this.#startAgain(hasSettled ? 1 : failures + 1);
    });
    return true;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    if (!child || hasEnded(child)) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const hard = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(hard);
  }

  async #startAgain(firstFailures: number): Promise<void> {
    const { signal } = this.#stopping;
    for (let failures = firstFailures; ; failures++) {
      const { exitCode: code, signalCode } = this.#child!;
      if (signal.aborted || code === 0) return this.#log.info({ code, signal: signalCode }, 'the agent has ended');
      this.#log.error({ code, signal: signalCode }, 'the agent ended unexpectedly; starting it again');
      const delayMs = retryDelayMs(RESTART, Math.min(failures, 10), 1);
      await systemClock.sleep(delayMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      if (await this.start(failures)) return this.#log.info({ failures }, 'the agent runs again');
    }
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function enrollOnce(stateDir: string, cloud: Cloud): Promise<void> {
  const { enroll, EnrollmentStore } = await import('@holdfast/agent/cloud');
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const store = new EnrollmentStore(stateDir);
  if (store.load()) return;
  const operator = { bootstrap: cloud.bootstrap, server: cloud.api.server };
  const { enrollmentToken } = await inviteDevices(operator, { slug: quickstartTenant.slug, uses: 1, days: 1 });
  // Over loopback: a proxy is for servers elsewhere.
  const { hostname, os, agentVersion } = deviceFacts();
  await enroll({ hostname, os, agentVersion, tokenText: JSON.stringify(enrollmentToken) }, store);
}

/** A folder to try things on, beside HOLDFAST_HOME: what lies in there is never read. */
function makeSample(homeDir: string): string {
  const folder = path.join(path.dirname(homeDir), 'holdfast-sample');
  if (existsSync(folder)) return folder;
  mkdirSync(folder);
  const text =
    'This folder is protected. Change this file, delete it, and get any version back:\n\n  holdfast versions readme.txt\n';
  writeFileSync(path.join(folder, 'readme.txt'), text);
  return folder;
}
