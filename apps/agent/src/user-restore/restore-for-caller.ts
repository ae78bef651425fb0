/** A restore for whoever asked: planned with what they may see, written by a process that is them. */
import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  type ConflictPolicy,
  createContentLoader,
  parseRecordHeader,
  planRestore,
  RestorePlan,
  type RestoreProgress,
  type RestoreReport,
} from '@holdfast/archive';
import { CodedError, type ErrorKind } from '@holdfast/base';
import type { AgentParts } from '../agent.ts';
import { type Caller, userNameOf } from '../browse/caller.ts';
import { readerFor } from '../browse/permitted-reader.ts';
import { controlErrors } from '../control/errors.ts';
import type { ChildError, ChildJob, FromChild, ToChild } from './messages.ts';

/** What is to be restored. */
export type CallerRestore = {
  readonly paths: readonly Uint8Array[];
  readonly commit: number;
  readonly deleted: boolean;
  /** Absolute; undefined for the places where things were. */
  readonly target: Uint8Array | undefined;
  readonly onConflict: ConflictPolicy;
  readonly setuid: boolean;
};

type Hooks = { readonly signal: AbortSignal; readonly onProgress: (progress: RestoreProgress) => void };

/** Restores for a caller. @throws restore.*, files.*, archive.record_missing, control.not_allowed */
export async function restoreForCaller(
  parts: AgentParts,
  caller: Caller,
  restore: CallerRestore,
  hooks: Hooks,
): Promise<RestoreReport> {
  if (restore.setuid && !caller.isPrivileged) throw controlErrors.not_allowed({ field: 'setuid' });
  // What must not happen is that the agent's own rights write for somebody else.
  const mustBecome = !caller.isPrivileged;
  if (mustBecome && process.geteuid?.() !== 0) throw controlErrors.not_allowed({ request: 'restore' });
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast-restore-'));
  try {
    const planFile = path.join(folder, 'plan.db');
    await plan(parts, caller, restore, planFile);
    if (mustBecome) giveTo(folder, caller);
    return await runChild(parts, jobOf(parts, caller, restore, planFile), hooks);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function plan(parts: AgentParts, caller: Caller, restore: CallerRestore, planFile: string): Promise<void> {
  const { archive, destinations } = parts;
  const { paths, commit, deleted, target } = restore;
  const reader = readerFor(archive.state(), caller);
  const loader = createContentLoader(destinations.sessions(), archive.openKeys);
  const opened = RestorePlan.open(planFile, 'restore');
  try {
    const tools = { reader, loader, createSha256: () => createHash('sha256') };
    const layout = target === undefined ? 'paths' : 'names';
    await planRestore(tools, { paths, commit, deleted, layout }, opened.plan);
    opened.plan.complete();
  } finally {
    opened.plan.close();
  }
}

function giveTo(folder: string, { uid, gid }: Caller): void {
  for (const name of readdirSync(folder)) chownSync(path.join(folder, name), uid, gid);
  chownSync(folder, uid, gid);
}

function jobOf({ archive }: AgentParts, caller: Caller, restore: CallerRestore, planFile: string): ChildJob {
  const { keys } = archive.stored;
  const name = userNameOf(caller.uid);
  const user = { uid: caller.uid, gid: caller.gid, ...(name !== undefined && { name }) };
  return {
    planFile,
    target: restore.target ?? Buffer.from('/'),
    ...(!caller.isPrivileged && { user }),
    archiveId: keys.archiveId,
    epochs: keys.ring.epochs.map(({ number, suite, key }) => ({ number, suite, key })),
    onConflict: restore.onConflict,
    setuid: restore.setuid,
    owners: caller.isPrivileged && process.geteuid?.() === 0 ? 'recorded' : 'caller',
  };
}

function runChild(parts: AgentParts, job: ChildJob, { signal, onProgress }: Hooks): Promise<RestoreReport> {
  const child = fork(new URL('restore-process.ts', import.meta.url), [], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: {},
    execArgv: [],
    cwd: '/',
  });
  const stop = () => void child.kill('SIGTERM');
  signal.addEventListener('abort', stop);
  const running = new Promise<RestoreReport>((resolve, reject) => {
    child.on('error', (error) => reject(controlErrors.fault({}, error)));
    child.on('exit', (code) =>
      reject(controlErrors.fault({ problem: `the process that restores ended with ${code}` })),
    );
    child.on('message', (message: FromChild) => {
      if (message.kind === 'ready') void tell(child, { kind: 'job', job });
      else if (message.kind === 'progress') onProgress(message.progress);
      else if (message.kind === 'report') resolve(message.report);
      else if (message.kind === 'failed') reject(asCoded(message.error));
      else void sendRecords(parts, child, message.asked, message.ordinals);
    });
  });
  return running.finally(() => {
    signal.removeEventListener('abort', stop);
    child.kill('SIGKILL');
  });
}

async function sendRecords(
  parts: AgentParts,
  child: ChildProcess,
  asked: number,
  ordinals: readonly number[],
): Promise<void> {
  const left = new Set(ordinals);
  let error: ChildError | undefined;
  for (const session of parts.destinations.sessions()) {
    if (left.size === 0) break;
    try {
      for await (const record of session.read([...left])) {
        left.delete(parseRecordHeader(record).ordinal);
        await tell(child, { kind: 'record', asked, record: record.slice() });
      }
      error = undefined;
    } catch (thrown) {
      if (!(thrown instanceof CodedError)) throw thrown;
      const { code, kind, message, details } = thrown;
      error = { code, kind, message, details };
    }
  }
  await tell(child, { kind: 'records_end', asked, ...(error && { error }) });
}

/** Resolves when the message has left, so that no more records wait in memory than the pipe holds. */
function tell(child: ChildProcess, message: ToChild): Promise<void> {
  return new Promise((resolve) => {
    if (!child.connected) return resolve();
    child.send(message, () => resolve());
  });
}

function asCoded({ code, kind, message, details }: ChildError): CodedError {
  return new CodedError({ code, kind: kind as ErrorKind, message, details });
}
