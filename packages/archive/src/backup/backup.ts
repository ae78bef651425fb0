/**
 * A backup: workers read, cut, compress and seal; the main thread numbers directories, writes commits and sends.
 *
 * Reads top to bottom: lease ordinals, start workers, pass over the selection, checkpoint. Every state it can be killed
 * in is one that the next backup goes on from: nothing is known before it was acknowledged, no ordinal is used twice.
 */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '@holdfast/base';
import { BlockLookup, type OwnedRecords } from '../index/block-table.ts';
import { deriveKeyRing } from '../format/keys.node.ts';
import type { MapEntry } from '../format/tree-node.ts';
import type { LocalIndex } from '../index/local-index.ts';
import { readState } from '../index/read-state.ts';
import type { ArchiveKeys } from '../keyring/archive-keys.ts';
import type { LoadRecord } from '../tree/tree-reader.ts';
import { isCheckpointDue, writeCheckpoint } from './checkpoint.ts';
import { type CommitClock, wallCommitClock } from './commit-clock.ts';
import { CommitWriter } from './commit-writer.ts';
import type { Destination } from './destination.ts';
import { ContentStore } from './content-store.ts';
import { backupErrors } from './errors.ts';
import { FragmentRouter } from './fragment-router.ts';
import { FragmentWriter } from './fragment-writer.ts';
import { LocalPieces } from './local-pieces.ts';
import type { Problem, WorkerSetup } from './messages.ts';
import { Pass } from './pass.ts';
import type { LookedAt, PassCounts } from './pass-ports.ts';
import type { MissingInclude } from './pass-roots.ts';
import { type EpochSecrets, RecordSealer } from './record-sealer.ts';
import { type RoutePlan, Routes } from './routes.ts';
import { type ExclusionRule, type SelectedSet, Selection } from './selection.ts';
import { SharedControl } from './shared-control.ts';
import { spreadRecords } from './spread-records.ts';
import { type ClosedPast, closePast, type ClosePastRequest } from './close-past.ts';
import { type Resealed, type ResealRequest, resealStretch } from './reseal.ts';
import { type LostRecords, storeAgain, type StoredAgain } from './store-again.ts';
import { type BranchContent, takeIn, type TakenIn } from './take-in.ts';
import type { Source } from './source.ts';
import { type LostDestination, Uploader } from './uploader.ts';
import { type StartWorker, WorkerPool } from './worker-pool.ts';

/** What to back up, with what, to where. */
export type BackupRequest = {
  readonly index: LocalIndex;
  readonly keys: ArchiveKeys;
  /** Sessions that are open, with the index's head as their newest commit. */
  readonly destinations: readonly Destination[];
  readonly source: Source;
  readonly sets: readonly SelectedSet[];
  /** The destinations of the archive, and what sets are bound to; all go to all that are open where left out. */
  readonly routes?: Omit<RoutePlan, 'ready'>;
  /** Look only at what these sets select. Sets none of whose destinations is open are never looked at. */
  readonly onlySets?: readonly number[];
  /** Paths that are never read: the agent's own state, local destinations. */
  readonly never: readonly ExclusionRule[];
  /** Look only at these directories and what is new below them; everything where left out. */
  readonly directories?: readonly Uint8Array[];
  /** Settings to be put with the last commit; what they are says the format document. */
  readonly settings?: readonly MapEntry[];
  /** Records that are lost: what lay in them is stored again first, as far as it can be had. */
  readonly lost?: LostRecords;
  /** A branch whose versions are taken in first. */
  readonly branch?: BranchContent;
  /** A stretch of the past to be sealed again in the newest epoch. */
  readonly reseal?: ResealRequest;
  /** What was sealed again is to be needed no more under its older numbers. */
  readonly closePast?: ClosePastRequest;
  /** Hears of each directory right before it is looked at: what changes in it from then on may be missed. */
  readonly onDirectory?: (directory: LookedAt) => void;
  readonly startWorker: StartWorker;
  /** Number of worker threads. */
  readonly workers: number;
  /** Reads a tree node that the index does not keep. */
  readonly load: LoadRecord;
  readonly clock: Clock;
  /** What time commits bear; the wall clock's when left out. */
  readonly commitClock?: CommitClock;
  /** The last verified head of the key log, at this moment: a signed note, which each commit has. */
  readonly keyLogHead?: () => string | undefined;
  readonly signal?: AbortSignal;
  /** Hears at once of a destination that failed under way. */
  readonly onLost?: (lost: LostDestination) => void;
  readonly onProgress?: (counts: Readonly<PassCounts> & { readonly sentBytes: number }) => void;
};

/** What a backup did. */
export type BackupReport = Readonly<PassCounts> & {
  readonly sentBytes: number;
  /** Number of the newest commit. */
  readonly head: number;
  readonly problems: readonly Problem[];
  /** Problems that did not fit the list. */
  readonly moreProblems: number;
  readonly missing: readonly MissingInclude[];
  /** Numbers of the sets that were looked at. */
  readonly sets: readonly number[];
  readonly lostDestinations: readonly LostDestination[];
  /** What became of the records that were lost; left out where none were named. */
  readonly storedAgain?: StoredAgain;
  /** What became of the versions of a branch; left out where none was named. */
  readonly takenIn?: TakenIn;
  readonly resealed?: Resealed;
  readonly closedPast?: ClosedPast;
};

const leasedOrdinals = 65_536;
const maxListedProblems = 1000;
const commitAfterNewBytes = 64 * 1024 * 1024;
const commitAfterMs = 30_000;
const commitAfterPendingBytes = 1_000_000;

/**
 * Runs one backup to its end.
 *
 * @throws backup.stopped, backup.no_destination, backup.nowhere_to_go, or what made the last destination of something fail
 */
export async function runBackup(request: BackupRequest): Promise<BackupReport> {
  if (request.destinations.length === 0) throw backupErrors.no_destination();
  const run = new BackupRun(request);
  try {
    return await run.run();
  } finally {
    await run.close();
  }
}

class BackupRun {
  readonly #request: BackupRequest;
  readonly #control = new SharedControl();
  readonly #routes: Routes;
  readonly #activeSets: readonly number[];
  readonly #uploader: Uploader;
  readonly #commits: CommitWriter;
  readonly #fragments: FragmentRouter;
  readonly #sealer: RecordSealer;
  readonly #pool: WorkerPool;
  readonly #pass: Pass;
  readonly #problems: Problem[] = [];
  #moreProblems = 0;
  #leasedTo = 0;
  #committedAtMs: number;
  #committedSentBytes = 0;
  readonly #counts: PassCounts = {
    directories: 0,
    files: 0,
    selectedBytes: 0,
    changedNames: 0,
    readBytes: 0,
    newBytes: 0,
  };

  constructor(request: BackupRequest) {
    this.#request = request;
    const { index, keys, clock, load, commitClock = wallCommitClock(clock), keyLogHead } = request;
    const routePlan = routePlanOf(request);
    this.#routes = new Routes(routePlan);
    this.#activeSets = this.#storableSets();
    this.#committedAtMs = clock.monotonic();
    this.#uploader = new Uploader(request.destinations, this.#routes, request.onLost);
    const secrets = secretsOf(keys);
    const { writerNumber } = keys;
    const control = this.#control;
    const uploader = this.#uploader;
    this.#fragments = new FragmentRouter(
      () =>
        new FragmentWriter(
          // The main thread must not wait in the shared cells: it is the one that makes room.
          (bytes) => control.chargeAtOnce(bytes),
          (fragment) => this.#sendOwn(fragment),
          () => undefined,
        ),
    );
    const everywhere = this.#routes.ready;
    this.#sealer = new RecordSealer({ secrets, writerNumber, everywhere }, control, this.#fragments);
    const identity = {
      ...keys,
      epoch: secrets.epoch,
      keys: { archiveId: keys.archiveId, ring: deriveKeyRing(keys.archiveId, keys.ring.epochs) },
    };
    const ports = { control, uploader, clock: commitClock, load, ...(keyLogHead && { keyLogHead }) };
    this.#commits = new CommitWriter(index, identity, ports);
    this.#lease();
    const { sets, never } = request;
    const activeSets = this.#activeSets.length < sets.length ? this.#activeSets : undefined;
    this.#pool = this.#startPool({
      control: control.buffer,
      indexPath: index.path,
      isFirstBackup: index.blockCount() === 0,
      secrets,
      writerNumber,
      sets,
      never,
      routes: routePlan,
      ...(activeSets && { activeSets }),
    });
    this.#pass = this.#newPass(activeSets && new Set(activeSets));
  }

  #startPool(setup: WorkerSetup): WorkerPool {
    return new WorkerPool(this.#request.startWorker, {
      count: this.#request.workers,
      isMuchExpected: setup.isFirstBackup,
      setup,
      control: this.#control,
      uploader: this.#uploader,
      onReply: (worker, reply) => {
        this.#extendLease();
        this.#pass.hear(worker, reply);
      },
      onProgress: (bytes) => this.#progress(bytes),
    });
  }

  #newPass(activeSets: ReadonlySet<number> | undefined): Pass {
    const { index, source, sets, never, keys, clock, onDirectory, settings } = this.#request;
    return new Pass({
      index,
      source,
      selection: new Selection(sets, never),
      activeSets,
      pool: this.#pool,
      commits: this.#commits,
      own: this.#sealer,
      flushOwn: () => void this.#fragments.flush(),
      clock,
      writerNumber: keys.writerNumber,
      counts: this.#counts,
      onProgress: () => this.#progress(0),
      onProblem: (problem) => this.#note(problem),
      afterCommit: () => this.#afterCommit(),
      spread: (owned) => this.#spread(owned),
      isCommitDue: ({ pendingBytes }) => this.#isCommitDue(pendingBytes),
      onDirectory: onDirectory ?? (() => undefined),
      settings: settings ?? [],
    });
  }

  async run(): Promise<BackupReport> {
    const { directories, index, signal } = this.#request;
    const stop = () => this.#control.stop();
    signal?.addEventListener('abort', stop);
    try {
      signal?.throwIfAborted();
      const storedAgain = await this.#storeAgain();
      const takenIn = await this.#takeIn();
      const resealed = await this.#reseal();
      const closedPast = await this.#closePast();
      const missing = await (directories ? this.#pass.runSome(directories) : this.#pass.runWhole());
      await this.#uploader.drained();
      await this.#commits.correctTimes();
      return {
        ...this.#counts,
        sentBytes: this.#uploader.sentBytes,
        head: index.head().number,
        problems: this.#problems,
        moreProblems: this.#moreProblems,
        missing,
        sets: this.#activeSets,
        lostDestinations: this.#uploader.lost,
        ...(storedAgain && { storedAgain }),
        ...(takenIn && { takenIn }),
        ...(resealed && { resealed }),
        ...(closedPast && { closedPast }),
      };
    } catch (error) {
      // Why the destinations failed says more than that the workers were stopped.
      await this.#uploader.drained();
      throw signal?.aborted ? backupErrors.stopped({}, error) : error;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  async close(): Promise<void> {
    this.#control.stop();
    await this.#pool.close();
  }

  async #afterCommit(): Promise<void> {
    const { index, clock, load } = this.#request;
    if (!isCheckpointDue(index, clock.now())) return;
    await writeCheckpoint(index, {
      sealer: this.#sealer,
      room: () => this.#room(),
      flush: () => void this.#fragments.flush(),
      commits: this.#commits,
      load,
      nowMs: clock.now(),
    });
  }

  async #storeAgain(): Promise<StoredAgain | undefined> {
    const { lost, index, source, sets, never, load, signal } = this.#request;
    if (!lost || lost.ordinals.size === 0) return undefined;
    return storeAgain(lost, {
      index,
      local: new LocalPieces(index, source, new Selection(sets, never).roots()),
      ...this.#ownPorts(),
      load,
      signal,
    });
  }

  async #reseal(): Promise<Resealed | undefined> {
    const { reseal, index, load, keys, clock, signal } = this.#request;
    if (!reseal) return undefined;
    return resealStretch(reseal, {
      index,
      ...this.#ownPorts(),
      load,
      keys: { archiveId: keys.archiveId, ring: deriveKeyRing(keys.archiveId, keys.ring.epochs) },
      destinations: () => this.#uploader.destinations,
      monotonicMs: () => clock.monotonic(),
      signal,
    });
  }

  async #closePast(): Promise<ClosedPast | undefined> {
    const { closePast: request, index, load, clock, signal } = this.#request;
    if (!request) return undefined;
    const { room } = this.#ownPorts();
    return closePast(request, {
      index,
      sealer: this.#sealer,
      room,
      flush: () => void this.#fragments.flush(),
      commits: this.#commits,
      load,
      sendLive: (open) => this.#commits.sendLive(open),
      nowMs: clock.now(),
      signal,
    });
  }

  /** What the main thread's own records are made with. */
  #ownPorts() {
    return {
      own: this.#sealer,
      flushOwn: () => void this.#fragments.flush(),
      room: () => this.#leasedRoom(),
      routes: this.#routes,
      commits: this.#commits,
      afterCommit: () => this.#afterCommit(),
    };
  }

  async #takeIn(): Promise<TakenIn | undefined> {
    const { branch, index, keys, load, signal } = this.#request;
    if (!branch) return undefined;
    const ring = { archiveId: keys.archiveId, ring: deriveKeyRing(keys.archiveId, keys.ring.epochs) };
    const known = new BlockLookup(index.path);
    try {
      return await takeIn(branch, {
        own: this.#sealer,
        content: new ContentStore(this.#sealer, known, this.#routes),
        flushOwn: () => void this.#fragments.flush(),
        room: () => this.#leasedRoom(),
        commits: this.#commits,
        spread: (owned) => this.#spread(owned),
        afterCommit: () => this.#afterCommit(),
        state: () => readState(index, ring, load),
        newDirectory: () => keys.writerNumber * 2 ** 32 + index.lease('directories', 1) + 1,
        signal,
      });
    } finally {
      known.close();
    }
  }

  async #leasedRoom(): Promise<void> {
    this.#extendLease();
    await this.#room();
  }

  /** Waits until the main thread may hand over more; workers are to get their jobs meanwhile. */
  async #room(): Promise<void> {
    await setImmediate();
    if (this.#control.isFull) await this.#uploader.drained();
  }

  /** Ordinals are leased on stable storage before any is used: after a crash they are burnt, never used again. */
  #lease(): void {
    const first = this.#request.index.lease('ordinals', leasedOrdinals);
    this.#leasedTo = first + leasedOrdinals;
    this.#control.startLease(first, this.#leasedTo);
  }

  #extendLease(): void {
    if (this.#control.remaining > leasedOrdinals / 2) return;
    this.#request.index.lease('ordinals', leasedOrdinals);
    this.#leasedTo += leasedOrdinals;
    this.#control.extendLease(this.#leasedTo);
  }

  #sendOwn(fragment: Uint8Array): void {
    this.#uploader.send(fragment).then(
      () => this.#control.release(fragment.length),
      () => this.#control.stop(),
    );
  }

  #isCommitDue(pendingBytes: number): boolean {
    const { clock } = this.#request;
    const sent = this.#uploader.sentBytes - this.#committedSentBytes;
    const isDue =
      pendingBytes >= commitAfterPendingBytes ||
      sent >= commitAfterNewBytes ||
      (sent + pendingBytes > 0 && clock.monotonic() - this.#committedAtMs >= commitAfterMs);
    if (!isDue) return false;
    this.#committedAtMs = clock.monotonic();
    this.#committedSentBytes = this.#uploader.sentBytes;
    return true;
  }

  /** The sets to be looked at: those that are asked for and have a destination that is open. @throws backup.nowhere_to_go */
  #storableSets(): readonly number[] {
    const { sets, onlySets } = this.#request;
    const wanted = sets.map(({ number }) => number).filter((number) => !onlySets || onlySets.includes(number));
    const storable = wanted.filter((number) => this.#routes.canStore([number]));
    if (wanted.length > 0 && storable.length === 0) throw backupErrors.nowhere_to_go();
    return storable;
  }

  #spread(owned: readonly OwnedRecords[]): Promise<void> {
    return spreadRecords(owned, { index: this.#request.index, routes: this.#routes, uploader: this.#uploader });
  }

  #note(problem: Problem): void {
    if (this.#problems.length < maxListedProblems) this.#problems.push(problem);
    else this.#moreProblems++;
  }

  #progress(readBytes: number): void {
    this.#counts.readBytes += readBytes;
    // A long job sends no replies, and a commit may be due.
    this.#pass.wake();
    this.#request.onProgress?.({ ...this.#counts, sentBytes: this.#uploader.sentBytes });
  }
}

function routePlanOf({ destinations, routes }: BackupRequest): RoutePlan {
  const ready = destinations.map(({ name }) => name);
  return { destinations: routes?.destinations ?? ready, ready, bindings: routes?.bindings ?? [] };
}

function secretsOf({ archiveId, ring }: ArchiveKeys): EpochSecrets {
  const newest = ring.epochs.at(-1)!;
  return { archiveId, epoch: newest.number, epochKey: newest.key, chunkingEpochKey: ring.epochs[0]!.key };
}
