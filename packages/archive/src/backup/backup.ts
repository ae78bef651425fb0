/**
 * A backup: workers read, cut, compress and seal; the main thread numbers directories, writes commits and sends.
 *
 * Reads top to bottom: lease ordinals, start workers, pass over the selection, checkpoint. Every state it can be killed
 * in is one that the next backup goes on from: nothing is known before it was acknowledged, no ordinal is used twice.
 */
import { setImmediate } from 'node:timers/promises';
import type { OwnedRecords } from '../index/block-table.ts';
import { deriveKeyRing } from '../format/keys.node.ts';
import type { ArchiveKeys } from '../keyring/archive-keys.ts';
import type { BackupReport, BackupRequest, Chores } from './backup-request.ts';
import { isCheckpointDue, writeCheckpoint } from './checkpoint.ts';
import { doChores } from './chores.ts';
import { wallCommitClock } from './commit-clock.ts';
import { CommitWriter } from './commit-writer.ts';
import { backupErrors } from './errors.ts';
import { FragmentRouter } from './fragment-router.ts';
import { FragmentWriter } from './fragment-writer.ts';
import type { Problem, WorkerSetup } from './messages.ts';
import { OrdinalLease } from './ordinal-lease.ts';
import { Pass } from './pass.ts';
import type { PassCounts } from './pass-ports.ts';
import { type EpochSecrets, RecordSealer } from './record-sealer.ts';
import { type RoutePlan, Routes } from './routes.ts';
import { Selection } from './selection.ts';
import { SharedControl } from './shared-control.ts';
import { spreadRecords } from './spread-records.ts';
import { Uploader } from './uploader.ts';
import { WorkerPool } from './worker-pool.ts';

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
  readonly #lease: OrdinalLease;
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
    this.#lease = new OrdinalLease(index, control);
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
        this.#lease.extend();
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
      const chores = await this.#doChores();
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
        ...chores,
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

  #doChores(): Promise<Chores> {
    return doChores(this.#request, {
      sealer: this.#sealer,
      flush: () => void this.#fragments.flush(),
      room: () => this.#room(),
      leasedRoom: async () => {
        this.#lease.extend();
        await this.#room();
      },
      routes: this.#routes,
      commits: this.#commits,
      destinations: () => this.#uploader.destinations,
      afterCommit: () => this.#afterCommit(),
      spread: (owned) => this.#spread(owned),
    });
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

  /** Waits until the main thread may hand over more; workers are to get their jobs meanwhile. */
  async #room(): Promise<void> {
    await setImmediate();
    if (this.#control.isFull) await this.#uploader.drained();
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
