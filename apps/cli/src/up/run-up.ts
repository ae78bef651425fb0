import { existsSync } from 'node:fs';
import path from 'node:path';
import { defineErrors, systemClock } from '@holdfast/base';
import {
  bootstrapQuickstart,
  createLog,
  examineCloud,
  lockFile,
  readCloudConfig,
  rotatingFile,
  startCloud,
  watchForStop,
  type Cloud,
  type FileLock,
  type Log,
  type StopWatch,
} from '@holdfast/cloud';
import { environmentFor } from '../config.ts';
import type { Output } from '../output.ts';
import { ownFolder } from '../own-folder.ts';
import {
  keepQuickstart,
  lastQuickstart,
  publishQuickstart,
  readQuickstart,
  withdrawQuickstart,
  type Quickstart,
} from './quickstart.ts';
import { welcomeText } from './welcome.ts';

/** What keeps `up` from running, apart from its parts' own failures. */
export const upErrors = defineErrors('up', {
  other_options: ['conflict', 'Holdfast already runs in this folder, with other options'],
  no_folder: ['not_found', 'The folder to protect is not there'],
  not_ready: ['unavailable', 'Another start in this folder does not become ready'],
});

/** What was asked for on the command line. */
export type UpRequest = {
  /** Absolute. */
  readonly homeDir: string;
  readonly port?: number;
  /** Folder to protect, absolute; the agent's choice when absent. */
  readonly protectedPath?: string;
  readonly withAgent: boolean;
};

/** An enrolled agent that protects a folder. */
export type RunningAgent = {
  readonly controlSocket: string;
  readonly protectedPath: string;
  stop(): Promise<void>;
};

/** Starts the agent of `up` as a child process, enrolling it the first time; resolves when it protects. */
export type StartAgent = (facts: {
  readonly homeDir: string;
  readonly protectedPath: string | undefined;
  /** The folder that an earlier run protected. */
  readonly protectedBefore: string | undefined;
  readonly cloud: Cloud;
  readonly log: Log;
}) => Promise<RunningAgent>;

const POLL_MS = 200;
const WAIT_FOR_OTHER_MS = 180_000;

/**
 * Runs everything on this machine until it is asked to stop.
 *
 * A second one in the same folder waits until the first is ready, prints its text and returns.
 * @throws up.other_options when the second asks for what the first does not do.
 */
export async function runUp(
  request: UpRequest,
  parts: { readonly output: Output; readonly startAgent: StartAgent | undefined },
): Promise<void> {
  await refuseMissingFolder(request);
  ownFolder(request.homeDir);
  const watch = watchForStop();
  const lock = await lockOrShow(request, parts.output, watch);
  if (!lock) return;
  try {
    await runAll(request, { ...parts, watch });
  } finally {
    lock.release();
  }
}

/** A folder that was protected before may be on a disk that is away now: the agent says so. */
async function refuseMissingFolder({ homeDir, protectedPath }: UpRequest): Promise<void> {
  if (protectedPath === undefined || existsSync(protectedPath)) return;
  const known = await lastQuickstart(homeDir);
  if (known?.protectedPath !== protectedPath) {
    throw upErrors.no_folder({ field: 'path', path: protectedPath, remedy: 'make it first, or name another one' });
  }
}

/** Takes the folder, or prints what the one who has it handed out and returns undefined. */
async function lockOrShow(request: UpRequest, output: Output, watch: StopWatch): Promise<FileLock | undefined> {
  const { homeDir } = request;
  const until = systemClock.monotonic() + WAIT_FOR_OTHER_MS;
  while (!watch.reason) {
    const lock = lockFile(path.join(homeDir, 'up.lock'));
    if (lock) return lock;
    const quickstart = await readQuickstart(homeDir);
    if (quickstart && (await isAnswering(homeDir))) {
      refuseOtherOptions(request, quickstart);
      output.result(quickstart, welcomeText(homeDir, quickstart, output));
      return undefined;
    }
    if (systemClock.monotonic() > until) throw upErrors.not_ready({ homeDir, remedy: 'stop it, then start again' });
    await systemClock.sleep(POLL_MS);
  }
  return undefined;
}

async function isAnswering(homeDir: string): Promise<boolean> {
  const findings = await examineCloud(readCloudConfig(environmentFor(homeDir)));
  return findings.some(({ subject, state }) => subject === 'server' && state === 'ok');
}

function refuseOtherOptions(request: UpRequest, running: Quickstart): void {
  const facts = { url: running.url, protectedPath: running.protectedPath };
  const differs =
    (request.port !== undefined && portOf(running.url) !== request.port) ||
    (request.protectedPath !== undefined && running.protectedPath !== request.protectedPath);
  if (differs) throw upErrors.other_options({ ...facts, remedy: 'stop it first, or choose another HOLDFAST_HOME' });
}

/** The port of an address that agents were enrolled with; undefined when it is not this machine's own. */
function localPortOf(url: string): number | undefined {
  return new URL(url).hostname === 'localhost' ? portOf(url) : undefined;
}

const portOf = (url: string) => Number(new URL(url).port || 443);

/** Makes the tenant the first time; the credentials, shown once, are put aside before anything else can fail. */
async function admit(homeDir: string, cloud: Cloud, before: Quickstart | undefined): Promise<Quickstart> {
  const made = await bootstrapQuickstart(cloud.bootstrap, before?.apiClientSecret !== undefined);
  const { tenantUid, adminUsername, adminPassword, apiClientId, apiClientSecret } =
    made.status === 'new' ? made : (before ?? {});
  const { url, caFile } = cloud;
  const credentials = { tenantUid, adminUsername, adminPassword, apiClientId, apiClientSecret };
  const folder = before?.protectedPath;
  const quickstart = {
    url,
    ...(caFile !== undefined && { caFile }),
    ...credentials,
    ...(folder !== undefined && { protectedPath: folder }),
  };
  await keepQuickstart(homeDir, quickstart);
  return quickstart;
}

type Parts = { readonly output: Output; readonly startAgent: StartAgent | undefined; readonly watch: StopWatch };

async function runAll(request: UpRequest, { output, startAgent, watch }: Parts): Promise<void> {
  const { homeDir, withAgent, protectedPath } = request;
  const before = await withdrawQuickstart(homeDir);
  const config = readCloudConfig(
    environmentFor(homeDir, { asked: request.port, before: before && localPortOf(before.url) }),
  );
  const log = createLog({ level: config.logLevel, destination: rotatingFile(path.join(homeDir, 'logs', 'cloud.log')) });
  await using running = new AsyncDisposableStack();
  running.defer(() => watch.reason && watch.expectEnd(log));
  output.note('Starting...');
  const cloud = await startCloud(config, { log });
  running.defer(() => cloud.stop());
  let quickstart = await admit(homeDir, cloud, before);
  if (withAgent && startAgent && !watch.reason) {
    const agent = await startAgent({ homeDir, protectedPath, protectedBefore: before?.protectedPath, cloud, log });
    running.defer(() => agent.stop());
    quickstart = { ...quickstart, agentSocket: agent.controlSocket, protectedPath: agent.protectedPath };
  }
  if (!watch.reason) {
    await publishQuickstart(homeDir, quickstart);
    output.result(quickstart, welcomeText(homeDir, quickstart, output));
    output.note('\nCtrl-C stops it.');
  }
  const reason = await watch.stopped;
  log.info('signal' in reason ? { signal: reason.signal } : { err: reason.fault }, 'stopping');
  output.note('Stopping...');
  await withdrawQuickstart(homeDir);
  if ('fault' in reason) throw reason.fault;
}
