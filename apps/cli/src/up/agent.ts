import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { defineErrors } from '@holdfast/base';
import { inviteDevices, quickstartTenant, rotatingFile, type Cloud } from '@holdfast/cloud';
import { agentSocket, agentStateDir } from '../agent-socket.ts';
import { environmentFor } from '../config.ts';
import { deviceFacts } from '../device-facts.ts';
import type { StartAgent } from './run-up.ts';

const agentErrors = defineErrors('up_agent', {
  protects_other: ['conflict', 'The agent of this folder protects another folder already; holdfast set add adds one'],
  not_started: ['unavailable', 'The agent ended instead of starting'],
});

const STOP_MS = 10_000;

/** Enrols this computer the first time, and runs `holdfast agent run` as a child that protects a folder. */
export const startAgent: StartAgent = async ({ homeDir, protectedPath, protectedBefore, cloud, log }) => {
  const isOther = protectedPath !== undefined && protectedBefore !== undefined && protectedPath !== protectedBefore;
  if (isOther) throw agentErrors.protects_other({ protectedPath: protectedBefore });
  await enrollOnce(agentStateDir(homeDir), cloud);
  const folder = protectedPath ?? protectedBefore ?? makeSample(homeDir);
  const launcher = path.resolve(import.meta.dirname, '../../bin/holdfast.mjs');
  const child = spawn(process.execPath, [launcher, 'agent', 'run', '--protect', folder], {
    // Threads that share two heaps give a quarter of the memory back (docs/performance.md).
    env: { ...environmentFor(homeDir), MALLOC_ARENA_MAX: '2' },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const logFile = path.join(homeDir, 'logs', 'agent.log');
  const output = rotatingFile(logFile);
  child.stderr?.on('data', (chunk: Buffer) => output.write(chunk.toString()));
  const ended = once(child, 'exit');
  const isReady = await Promise.race([once(child, 'message').then(() => true), ended.then(() => false)]);
  if (!isReady) throw agentErrors.not_started({ log: logFile });
  child.once('exit', (code, signal) => log.info({ code, signal }, 'the agent has ended'));
  return { controlSocket: agentSocket(homeDir), protectedPath: folder, stop: () => stop(child, ended) };
};

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
    'This folder is protected. Change this file, delete it, and get any version back:\n\n  npx holdfast versions readme.txt\n';
  writeFileSync(path.join(folder, 'readme.txt'), text);
  return folder;
}

async function stop(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const hard = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(hard);
}
