/**
 * A restore for whoever asked. It is planned with what they may see. For root, or the user the agent runs as, threads of
 * the agent write it; for anybody else a process that is them, to which the agent hands opened pieces and no key.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  type ArchiveState,
  type ConflictPolicy,
  createContentLoader,
  executeRestore,
  executeRestoreBy,
  planRestore,
  type ReadableDestination,
  RestorePlan,
  type RestoreProgress,
  type RestoreReport,
  type RestoreSources,
} from '@holdfast/archive';
import { Semaphore } from '@holdfast/base';
import { type Caller, userNameOf } from '../browse/caller.ts';
import { readerFor } from '../browse/permitted-reader.ts';
import { controlErrors } from '../control/errors.ts';
import { asFileError, closeDescriptor, openDirectory } from '../filesystem/index.ts';
import { startRestoreWorker } from '../restore/index.ts';
import { lastingDestinations, type OpenDestinations } from './lasting-destinations.ts';
import { startWriter } from './start-writer.ts';

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

/** What of an agent a restore needs. */
export type RestoringParts = OpenDestinations & {
  readonly archive: {
    state(sources?: () => readonly ReadableDestination[]): ArchiveState;
    readonly openKeys: RestoreSources['keys'];
  };
};

type Sources = RestoreSources & { readonly signal: AbortSignal };
type Hooks = { readonly signal: AbortSignal; readonly onProgress: (progress: RestoreProgress) => void };

const workers = 2;
/** Each takes a process and a plan: one user must not fill the machine with them. */
const restoresOfUser = 2;
const turns = new Map<number, Semaphore>();

/**
 * Restores for a caller. Who has several under way already waits, unless the agent is theirs.
 *
 * @throws restore.*, files.*, archive.record_missing, control.not_allowed
 */
export async function restoreForCaller(
  parts: RestoringParts,
  caller: Caller,
  restore: CallerRestore,
  hooks: Hooks,
): Promise<RestoreReport> {
  if (caller.isPrivileged) return restoreNow(parts, caller, restore, hooks);
  const turn = turns.get(caller.uid) ?? new Semaphore(restoresOfUser);
  turns.set(caller.uid, turn);
  return turn.use(async () => {
    hooks.signal.throwIfAborted();
    return restoreNow(parts, caller, restore, hooks);
  });
}

async function restoreNow(
  parts: RestoringParts,
  caller: Caller,
  restore: CallerRestore,
  hooks: Hooks,
): Promise<RestoreReport> {
  if (restore.setuid && !caller.isPrivileged) throw controlErrors.not_allowed({ field: 'setuid' });
  // What must not happen is that the agent's own rights write for somebody else.
  const isRoot = process.geteuid?.() === 0;
  if (!caller.isPrivileged && !isRoot) throw controlErrors.not_allowed({ request: 'restore' });
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast-restore-'));
  try {
    const plan = await planFor(parts, caller, restore, path.join(folder, 'plan.db'));
    try {
      const sources: Sources = {
        destinations: lastingDestinations(parts),
        keys: parts.archive.openKeys,
        onConflict: restore.onConflict,
        setuid: restore.setuid,
        owners: caller.isPrivileged && isRoot ? 'recorded' : 'caller',
        sync: 'end',
        isOnlyRun: true,
        ...hooks,
      };
      const target = Buffer.from(restore.target ?? '/');
      return caller.isPrivileged
        ? await restoreHere(plan, sources, target)
        : await restoreAs(caller, plan, sources, target);
    } finally {
      plan.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Plans a restore for a caller into a file, which the plan then belongs to. @throws restore.not_found, restore.invalid_path */
export async function planFor(
  parts: RestoringParts,
  caller: Caller,
  restore: CallerRestore,
  planFile: string,
): Promise<RestorePlan> {
  const { archive } = parts;
  const { paths, commit, deleted, target } = restore;
  const sources = lastingDestinations(parts);
  const reader = readerFor(
    archive.state(() => sources),
    caller,
  );
  const loader = createContentLoader(sources, archive.openKeys);
  const { plan } = RestorePlan.open(planFile, 'restore');
  try {
    const tools = { reader, loader, createSha256: () => createHash('sha256') };
    const layout = target === undefined ? 'paths' : 'names';
    await planRestore(tools, { paths, commit, deleted, layout }, plan);
    plan.complete();
    return plan;
  } catch (error) {
    plan.close();
    throw error;
  }
}

async function restoreHere(plan: RestorePlan, sources: Sources, target: Buffer): Promise<RestoreReport> {
  try {
    mkdirSync(target, { recursive: true });
  } catch (error) {
    throw asFileError(error, target);
  }
  const rootFd = openDirectory(target);
  try {
    return await executeRestore(plan, { ...sources, rootFd, startWorker: startRestoreWorker, workers });
  } finally {
    closeDescriptor(rootFd);
  }
}

async function restoreAs(
  { uid, gid }: Caller,
  plan: RestorePlan,
  sources: Sources,
  target: Buffer,
): Promise<RestoreReport> {
  const name = userNameOf(uid);
  const { onConflict, setuid, owners, sync } = sources;
  const user = { uid, gid, ...(name !== undefined && { name }) };
  const policy = { onConflict, setuid, owners, sync };
  const writer = await startWriter({ user, target, policy }, sources.signal);
  return executeRestoreBy([writer], plan, sources);
}
