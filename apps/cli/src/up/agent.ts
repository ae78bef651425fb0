import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { engineEnvironment, engineNodeFlags } from '@holdfast/agent/engine/process';
import type { EnrollmentStore } from '@holdfast/agent/cloud';
import { CodedError, defineErrors } from '@holdfast/base';
import { inviteDevices, quickstartTenant, rotatingFile, SupervisedChild, type Cloud } from '@holdfast/cloud';
import { agentSocket, agentStateDir } from '../agent-socket.ts';
import { environmentFor } from '../config.ts';
import { deviceFacts } from '../device-facts.ts';
import type { StartAgent } from './run-up.ts';

const agentErrors = defineErrors('up_agent', {
  protects_other: ['conflict', 'The agent of this folder protects another folder already; holdfast set add adds one'],
  not_started: ['unavailable', 'The agent ended instead of starting'],
});

/** Enrols this computer the first time, and runs `holdfast agent run` as a child that protects a folder. */
export const startAgent: StartAgent = async ({ homeDir, protectedPath, protectedBefore, cloud, log }) => {
  const isOther = protectedPath !== undefined && protectedBefore !== undefined && protectedPath !== protectedBefore;
  if (isOther) throw agentErrors.protects_other({ protectedPath: protectedBefore });
  await enrollOnce(agentStateDir(homeDir), cloud);
  const folder = protectedPath ?? protectedBefore ?? makeSample(homeDir);
  const logFile = path.join(homeDir, 'logs', 'agent.log');
  const output = rotatingFile(logFile);
  const start = () => {
    const child = launch(homeDir, folder);
    child.stderr?.on('data', (chunk: Buffer) => output.write(chunk.toString()));
    return child;
  };
  // One that ends in order, as a deauthorised one does, is not started again.
  const agent = new SupervisedChild({ name: 'agent', launch: start, log, isDone: ({ exitCode }) => exitCode === 0 });
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

async function enrollOnce(stateDir: string, cloud: Cloud): Promise<void> {
  const { enroll, EnrollmentStore } = await import('@holdfast/agent/cloud');
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const store = new EnrollmentStore(stateDir);
  if (isEnrolled(store)) return;
  const operator = { bootstrap: cloud.bootstrap, server: cloud.api.server };
  const { enrollmentToken } = await inviteDevices(operator, { slug: quickstartTenant.slug, uses: 1, days: 1 });
  // Over loopback: a proxy is for servers elsewhere.
  const { hostname, os, agentVersion } = deviceFacts();
  await enroll({ hostname, os, agentVersion, tokenText: JSON.stringify(enrollmentToken) }, store);
}

/** One that cannot be used is there, too: the agent says what is wrong with it, and protects folders. */
function isEnrolled(store: EnrollmentStore): boolean {
  try {
    return store.load() !== undefined;
  } catch (error) {
    if (error instanceof CodedError) return true;
    throw error;
  }
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
