/**
 * Carrying out a plan: directories, what is there already, contents, names, further names of one file, and last the
 * metadata of directories, the deepest first.
 *
 * Nothing has its final name before it is whole and proven. Whatever ends a run, the next one with the same plan goes
 * on: it fetches nothing that is on disk.
 */
import { CodedError } from '@holdfast/base';
import type { ReadableDestination } from '../backup/destination.ts';
import type { OpenKeys } from '../format/seal.node.ts';
import { restoreErrors } from './errors.ts';
import { linkNames } from './link-names.ts';
import { LongFiles } from './long-files.ts';
import type { DirectoryResult, NewDirectory, RestorePolicy, RestoreSetup } from './messages.ts';
import { entryStates as states } from './plan-schema.ts';
import { makeContentless, restoreContents } from './restore-content.ts';
import { RestoreJournal } from './restore-journal.ts';
import type { RestorePlan } from './restore-plan.ts';
import { type RestoreReport, reportOf } from './restore-report.ts';
import { JobPlaces, type RestoreProgress, RestoreRun } from './restore-run.ts';
import { surveyTarget } from './survey-target.ts';
import { RestorePool, type RestoreWriter, type StartRestoreWorker, writerInThread } from './worker-pool.ts';

const directoriesAtOnce = 512;

/** What a restore needs besides its plan and those who write. */
export type RestoreSources = RestorePolicy & {
  /** Asked in this order. */
  readonly destinations: readonly ReadableDestination[];
  readonly keys: OpenKeys;
  readonly signal?: AbortSignal;
  /** Nobody goes on with this plan if it fails: files that are not whole are removed then. */
  readonly isOnlyRun?: boolean;
  readonly onProgress?: (progress: RestoreProgress) => void;
};

/** What a restore by threads of this process needs besides its plan. */
export type RestoreOptions = RestoreSources & {
  /** Descriptor of the target directory, open for reading; it stays open. */
  readonly rootFd: number;
  readonly startWorker: StartRestoreWorker;
  readonly workers: number;
};

/**
 * Restores what the plan says, by threads that open records themselves, and returns what came of it.
 *
 * @throws restore.stopped, restore.worker_died, and what made a destination or the target fail as a whole: then the same
 * plan can be executed again
 */
export async function executeRestore(plan: RestorePlan, options: RestoreOptions): Promise<RestoreReport> {
  const setup: RestoreSetup = { rootFd: options.rootFd, keys: options.keys, policy: policyOf(options) };
  const writers = Array.from({ length: options.workers }, () => writerInThread(options.startWorker, setup));
  return run(plan, options, new RestorePool(writers, true));
}

/**
 * The same by writers who have the target and the policy already, and no keys: records are opened here, and what
 * leaves this thread are pieces that were asked for and proven. The writers are closed at the end.
 */
export async function executeRestoreBy(
  writers: readonly RestoreWriter[],
  plan: RestorePlan,
  sources: RestoreSources,
): Promise<RestoreReport> {
  return run(plan, sources, new RestorePool(writers, false));
}

async function run(plan: RestorePlan, sources: RestoreSources, pool: RestorePool): Promise<RestoreReport> {
  const run = new RestoreRun({
    journal: new RestoreJournal(plan),
    pool,
    policy: policyOf(sources),
    signal: sources.signal,
    onProgress: sources.onProgress ?? (() => undefined),
  });
  try {
    await restoreAll(run, sources);
    return reportOf(plan);
  } catch (error) {
    if (sources.signal?.aborted) throw restoreErrors.stopped({}, error);
    run.journal.flush();
    throw withPath(plan, error);
  } finally {
    run.journal.flush();
    await pool.close();
  }
}

/** The error of a target as a whole, with where it happened and what was restored by then. */
function withPath(plan: RestorePlan, error: unknown): unknown {
  if (!(error instanceof CodedError) || error.kind !== 'exhausted') return error;
  const { code, kind, message, details } = error;
  const { entry, ...others } = details;
  const row = typeof entry === 'number' ? placeInPlan(plan, entry) : undefined;
  const { restored, restoredBytes } = reportOf(plan);
  const facts = { ...others, ...(row && { path: plan.pathOf(row.directory, row.name) }), restored, restoredBytes };
  return new CodedError({ code, kind, message, details: facts }, { cause: error });
}

function placeInPlan(plan: RestorePlan, entry: number) {
  const row = plan.sql('select directory, name from entries where entry = ?').get(entry);
  return row as { readonly directory: number; readonly name: Uint8Array } | undefined;
}

function policyOf({ onConflict, setuid, owners, sync }: RestorePolicy): RestorePolicy {
  return { onConflict, setuid, owners, sync };
}

async function restoreAll(run: RestoreRun, sources: RestoreSources): Promise<void> {
  const isResumed = run.journal.begin();
  await makeDirectories(run);
  if (isResumed) await placeLeftovers(run);
  const files = new LongFiles(run);
  try {
    await surveyTarget(run, files, isResumed);
    // What was found whole still counts as pending until then, and would be made again.
    await run.settleEntries();
    await restoreEntries(run, files, sources);
  } catch (error) {
    if (sources.isOnlyRun) await files.discardAll();
    throw error;
  }
  await settleDirectories(run);
  await run.sync();
}

async function restoreEntries(run: RestoreRun, files: LongFiles, sources: RestoreSources): Promise<void> {
  for (let isMore = true; isMore;) {
    await makeContentless(run);
    await restoreContents(run, files, sources);
    await run.settleEntries();
    isMore = await linkNames(run);
  }
  await run.settleEntries();
}

async function makeDirectories(run: RestoreRun): Promise<void> {
  const isSettling = ({ status, wasEmpty }: DirectoryResult) =>
    status === 'made' || (status === 'existed' && (wasEmpty || run.policy.onConflict === 'overwrite'));
  const root = await run.pool.ask('directories', { kind: 'root', places: [] });
  run.journal.recordRoot(root.directories[0]!, isSettling(root.directories[0]!));
  const deepest = run.journal.deepest();
  for (let depth = 1; depth <= deepest; depth++) {
    let after: number | undefined = 0;
    while (after !== undefined) after = await makeSome(run, { depth, after }, isSettling);
  }
  run.journal.giveUpOrphans();
}

/** Makes some directories of one depth; answers the last of them, undefined at the end. */
async function makeSome(
  run: RestoreRun,
  { depth, after }: { readonly depth: number; readonly after: number },
  isSettling: (result: DirectoryResult) => boolean,
): Promise<number | undefined> {
  run.check();
  const wanted = run.journal.directoriesToMake(depth, after, directoriesAtOnce);
  const places = new JobPlaces();
  const directories: NewDirectory[] = [];
  const results: DirectoryResult[] = [];
  for (const { directory, parent, name } of wanted) {
    const place = run.journal.placeOf(parent);
    const isInherited = run.journal.wasThere(parent);
    if (place) directories.push({ directory, place: places.add(place), name, isInherited });
    else results.push(run.journal.withoutParent(directory, parent, name));
  }
  const job = { kind: 'directories', places: places.places, directories } as const;
  if (directories.length > 0) results.push(...(await run.pool.ask('directories', job)).directories);
  run.journal.recordDirectories(results, isSettling);
  return wanted.at(-1)?.directory;
}

/** What an earlier run had written whole, and may have renamed before it ended. */
async function placeLeftovers(run: RestoreRun): Promise<void> {
  for (let after = 0; ;) {
    run.check();
    const entries = run.journal.entries(states.written, after, 512);
    const last = entries.at(-1);
    if (last === undefined) break;
    after = last.entry;
    await run.placeLeftovers(entries);
    run.journal.flush();
  }
}

async function settleDirectories(run: RestoreRun): Promise<void> {
  for (;;) {
    run.check();
    const wanted = run.journal.directoriesToSettle(256);
    if (wanted.length === 0) return;
    const places = new JobPlaces();
    const directories = wanted.map(({ directory, row, xattrs }) => ({
      place: places.add(run.placeOf(directory)),
      row,
      xattrs,
    }));
    const reply = await run.pool.ask('entries', { kind: 'settle', places: places.places, directories });
    await run.take({ ...reply, entries: [] }, []);
    run.journal.recordSettled(reply.entries);
    run.keepNotes();
  }
}
