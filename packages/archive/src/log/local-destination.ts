import { createHash } from 'node:crypto';
import { type Clock, type Random, Semaphore } from '@holdfast/base';
import { parseCommitOpen } from '../format/commit.ts';
import { parseKeyring } from '../format/keyring.ts';
import { RecordKind, splitRecord } from '../format/record.ts';
import { ArchiveFolder, type FolderPosition } from './archive-folder.ts';
import { closeAll, type Disk, type Reach } from './disk.ts';
import { logErrors } from './errors.ts';
import { type LockHost, takeLock } from './folder-lock.ts';
import { fragmentDigest } from './fragment.ts';
import { GroupRun } from './group-run.ts';
import { checkRecords } from './record-checks.ts';
import {
  acknowledgeFragment,
  type CommitName,
  emptyLogState,
  judgeFragment,
  type LogState,
  openSession,
  type SessionAnswer,
} from './sessions.ts';
import { StateFile } from './state-file.ts';
import { isStoredLog } from './stored-shapes.ts';

/** What opening a destination on a disk needs. */
export type LocalDestinationOptions = {
  readonly dir: string;
  /** `real`: the directory is there, at a path without links; it is never made, nor reached through one put there since. */
  readonly reach?: Reach;
  readonly disk: Disk;
  readonly archiveId: Uint8Array;
  readonly clock: Clock;
  readonly random: Random;
  readonly host: LockHost;
  /** Takes the lock of another machine too. */
  readonly breakLock?: boolean;
  /** When a segment is full; 64 MiB, less in tests. */
  readonly segmentBodyBytes?: number;
};

/** A fragment's fate. `early`: send it again once those before it are acknowledged. */
export type LocalReceipt =
  | { readonly status: 'acknowledged'; readonly nextFragment: number; readonly head?: CommitName }
  | { readonly status: 'early'; readonly nextFragment: number };

/** What is kept beside the log, on its disk or in a database. Writers are in the keyring. */
export type StoredLog = { readonly log: Omit<LogState, 'writers'>; readonly position: FolderPosition };

/**
 * A destination in a local directory: an archive folder, a lock, and the state of its sessions.
 *
 * It decides what a server's storage decides, with the same functions. With one disk beneath, segments get parity and
 * records other than blocks and bundles a second copy.
 */
export class LocalDestination {
  /** For reading and for upkeep; records are added through `append`. */
  readonly folder: ArchiveFolder;
  readonly #archiveId: Uint8Array;
  readonly #file: StateFile<StoredLog>;
  readonly #lock: { release(): Promise<void> };
  readonly #turn = new Semaphore(1);
  readonly #persisting = new GroupRun(() => this.#persistNow());
  #state: LogState;
  #broken: { readonly cause: unknown } | undefined;

  private constructor(
    archiveId: Uint8Array,
    parts: { folder: ArchiveFolder; file: StateFile<StoredLog>; lock: { release(): Promise<void> }; state: LogState },
  ) {
    this.#archiveId = archiveId;
    this.folder = parts.folder;
    this.#file = parts.file;
    this.#lock = parts.lock;
    this.#state = parts.state;
  }

  /** Locks and recovers the directory, which is made where it does not exist, unless it has to be. @throws log.locked, log.other_archive */
  static async open(options: LocalDestinationOptions): Promise<LocalDestination> {
    const { dir, archiveId, clock, segmentBodyBytes, reach = 'any' } = options;
    if (reach === 'any') await options.disk.makeDirectory(dir);
    // Others may be able to write there, at any time.
    const disk = options.disk.below?.(dir, reach) ?? options.disk;
    const token = options.random(8).toHex();
    const lock = await takeLock(disk, dir, options.host, { token, breakLock: options.breakLock ?? false });
    const close: (() => Promise<void>)[] = [() => lock.release()];
    try {
      const file = await StateFile.open(disk, dir, 'state', isStoredLog);
      close.push(() => file.close());
      const folder = await ArchiveFolder.open({
        dir,
        disk,
        archiveId,
        clock,
        mode: 'write',
        parity: true,
        copies: true,
        ...(file.value ? { acknowledged: file.value.position } : {}),
        ...(segmentBodyBytes === undefined ? {} : { segmentBodyBytes }),
      });
      close.push(() => folder.close());
      const state = await stateOf(folder, archiveId, file.value);
      const destination = new LocalDestination(archiveId, { folder, file, lock, state });
      await destination.#persisting.run();
      return destination;
    } catch (error) {
      for (const part of close.toReversed()) await part().catch(() => undefined);
      throw error;
    }
  }

  get state(): LogState {
    return this.#state;
  }

  /** Opens a session for a writer that names the last commit it knows; all earlier sessions are fenced off. */
  async openSession(known: CommitName | undefined): Promise<SessionAnswer> {
    const answer = await this.#turn.use(async () => {
      this.#expectSound();
      const opened = openSession(this.#state, known);
      this.#state = opened.state;
      return opened.answer;
    });
    await this.#persisting.run();
    return answer;
  }

  /**
   * Adds a fragment; returns once it is on stable storage, or was before. Several may be under way.
   *
   * @throws log.fenced, log.fragment_order, log.fragment_differs, log.record_refused, and what `ArchiveFolder.append` throws.
   */
  async append(sessionEpoch: number, sequence: number, bytes: Uint8Array): Promise<LocalReceipt> {
    const sha256 = fragmentDigest(bytes);
    const status = await this.#turn.use(async () => {
      this.#expectSound();
      const decision = judgeFragment(this.#state, { sessionEpoch, sequence, sha256 });
      if (decision.status === 'refused') throw logErrors[decision.reason]({ nextFragment: this.#state.nextFragment });
      if (decision.status === 'accept') await this.#store({ sessionEpoch, sequence, sha256 }, bytes);
      return decision.status;
    });
    if (status === 'early') return { status, nextFragment: this.#state.nextFragment };
    const { head } = await this.#persisting.run();
    const named = head ? { head: { number: head.number, sha256: head.sha256 } } : {};
    return { status: 'acknowledged', nextFragment: sequence + 1, ...named };
  }

  /**
   * Has the log go on behind an older commit than its newest: those after it are a branch from now on, and stay where they
   * are. Nothing is removed, so this can be taken back by nobody and harms nothing that is there.
   *
   * @throws log.fenced, log.commit_missing where that commit is not there as it is named
   */
  async leaveTail(sessionEpoch: number, to: CommitName | undefined): Promise<void> {
    await this.#turn.use(async () => {
      this.#expectSound();
      if (sessionEpoch !== this.#state.sessionEpoch) throw logErrors.fenced();
      const { head: _tail, ...state } = this.#state;
      this.#state = to ? { ...state, head: await this.#commitOf(to) } : state;
    });
    await this.#persisting.run();
  }

  /** @throws log.commit_missing */
  async #commitOf({ number, sha256 }: CommitName): Promise<NonNullable<LogState['head']>> {
    const ordinals: number[] = [];
    for await (const { ordinal } of this.folder.list(RecordKind.commit)) ordinals.push(ordinal);
    for await (const outcome of this.folder.read(ordinals)) {
      if (outcome.status !== 'found') continue;
      const commit = parseCommitOpen(splitRecord(outcome.bytes).open);
      const isIt = commit.number === number && createHash('sha256').update(outcome.bytes).digest('hex') === sha256;
      if (isIt) return { number, sha256, checkpoint: commit.checkpoint };
    }
    throw logErrors.commit_missing({ number });
  }

  /** Closes the folder and gives the lock back. */
  async close(): Promise<void> {
    await this.#persisting.settle();
    await closeAll([
      () => this.#turn.use(() => this.folder.close()),
      () => this.#file.close(),
      () => this.#lock.release(),
    ]);
  }

  async #store(fragment: { sessionEpoch: number; sequence: number; sha256: string }, bytes: Uint8Array): Promise<void> {
    const examined = await this.folder.examine(bytes);
    const verdict = checkRecords(this.#state, this.#archiveId, examined.records);
    if (verdict.status === 'refused') {
      throw logErrors.record_refused({ ordinal: verdict.ordinal, fact: verdict.fact });
    }
    await this.folder.append(examined);
    this.#state = acknowledgeFragment(verdict.state, fragment);
  }

  async #persistNow(): Promise<LogState> {
    this.#expectSound();
    const state = this.#state;
    const { writers: _, ...log } = state;
    const position = await this.folder.sync();
    try {
      await this.#file.write({ log, position });
    } catch (error) {
      this.#broken = { cause: error };
      throw logErrors.poisoned({}, error);
    }
    return state;
  }

  #expectSound(): void {
    if (this.#broken) throw logErrors.poisoned({}, this.#broken.cause);
  }
}

/**
 * The state of an archive as its folder has it. Where the folder holds less than was acknowledged, what was remembered of it
 * counts no more: the head is the newest commit that is there, so that the writer sees what is gone.
 */
export async function stateOf(
  folder: ArchiveFolder,
  archiveId: Uint8Array,
  stored: StoredLog | undefined,
): Promise<LogState> {
  if (!stored || !folder.isBehind) return catchUp(folder, archiveId, stored);
  const { sessionEpoch, nextFragment } = stored.log;
  return { ...(await catchUp(folder, archiveId, undefined)), sessionEpoch, nextFragment };
}

/** The state of an archive as its log has it: writers from the keyrings, and the head from commits behind the last one the state knew. */
async function catchUp(folder: ArchiveFolder, archiveId: Uint8Array, stored: StoredLog | undefined): Promise<LogState> {
  const log = stored?.log ?? emptyLogState;
  const keys = [
    ...(await recordsOf(folder, RecordKind.header)),
    ...sortedKeyrings(await recordsOf(folder, RecordKind.keyring)),
  ];
  const { head: _head, keyring: _keyring, keyringEpoch: _epoch, ...rest } = log;
  const withKeys = adopt({ ...rest, writers: [] }, archiveId, keys);
  const state = { ...withKeys, ...(log.head ? { head: log.head } : {}) };
  const commits = await recordsOf(folder, RecordKind.commit, stored?.position);
  return adopt(state, archiveId, sortedCommits(commits));
}

/** Takes in those records that fit, in turn. */
function adopt(state: LogState, archiveId: Uint8Array, records: readonly Uint8Array[]): LogState {
  return records.reduce((now, bytes) => {
    const verdict = checkRecords(now, archiveId, [{ bytes, isKnown: true }]);
    return verdict.status === 'fit' ? verdict.state : now;
  }, state);
}

async function recordsOf(folder: ArchiveFolder, kind: number, behind?: FolderPosition): Promise<Uint8Array[]> {
  const ordinals: number[] = [];
  const from = behind?.segments ?? { segment: 0, bytes: 0 };
  for await (const { ordinal, segment, offset } of folder.list(kind)) {
    if (segment > from.segment || (segment === from.segment && offset >= from.bytes)) ordinals.push(ordinal);
  }
  const records: Uint8Array[] = [];
  for await (const outcome of folder.read(ordinals)) if (outcome.status === 'found') records.push(outcome.bytes);
  return records;
}

function sortedKeyrings(records: readonly Uint8Array[]): Uint8Array[] {
  const numberOf = (record: Uint8Array) => parseKeyring(splitRecord(record).open).number;
  return records.toSorted((a, b) => numberOf(a) - numberOf(b));
}

function sortedCommits(records: readonly Uint8Array[]): Uint8Array[] {
  const numberOf = (record: Uint8Array) => parseCommitOpen(splitRecord(record).open).number;
  return records.toSorted((a, b) => numberOf(a) - numberOf(b));
}
