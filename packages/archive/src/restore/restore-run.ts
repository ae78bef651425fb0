/** What the steps of one run of a restore share: pool, journal, progress, and the entries that wait for their names. */
import { CodedError } from '@holdfast/base';
import { restoreErrors } from './errors.ts';
import {
  addNotes,
  type EntryResult,
  type EntryWork,
  type RestorePolicy,
  type RestoreReply,
  type TargetDirectory,
} from './messages.ts';
import type { OpenEntry, PlacedEntry, RestoreJournal } from './restore-journal.ts';
import { keepNotes, notesOf } from './restore-report.ts';
import type { NewRestoreJob, RestorePool } from './worker-pool.ts';

/** What a restore has done so far, for a progress bar. Totals are those of the plan; holes of files are no bytes. */
export type RestoreProgress = {
  readonly restoredEntries: number;
  readonly restoredBytes: number;
  /** Bytes that were there already and are not fetched. */
  readonly keptBytes: number;
  readonly totalEntries: number;
  readonly totalBytes: number;
};

/** Gathers entries for a job, and the directories they lie in, each once. */
export class JobPlaces {
  readonly places: TargetDirectory[] = [];
  readonly #indexes = new Map<number, number>();

  /** The index of a directory in the job. */
  add(place: TargetDirectory): number {
    const known = this.#indexes.get(place.directory);
    if (known !== undefined) return known;
    this.#indexes.set(place.directory, this.places.length);
    return this.places.push(place) - 1;
  }
}

type Entries = Extract<RestoreReply, { kind: 'entries' }>;
type Waiting = { readonly entry: OpenEntry; readonly inode: bigint; readonly device: number };

const encoder = new TextEncoder();
const flushEntries = 4096;
const flushBytes = 128 * 1024 * 1024;
const placedAtOnce = 512;

/** One run. */
export class RestoreRun {
  readonly journal: RestoreJournal;
  readonly pool: RestorePool;
  readonly policy: RestorePolicy;
  readonly #signal: AbortSignal | undefined;
  readonly #token: string;
  readonly #notes;
  readonly #progress: { -readonly [K in keyof RestoreProgress]: RestoreProgress[K] };
  readonly #onProgress: (progress: RestoreProgress) => void;
  readonly #devices = new Map<number, TargetDirectory>();
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #flushing: Promise<void> = Promise.resolve();

  constructor(parts: {
    readonly journal: RestoreJournal;
    readonly pool: RestorePool;
    readonly policy: RestorePolicy;
    readonly signal: AbortSignal | undefined;
    readonly onProgress: (progress: RestoreProgress) => void;
  }) {
    this.journal = parts.journal;
    this.pool = parts.pool;
    this.policy = parts.policy;
    this.#signal = parts.signal;
    this.#onProgress = parts.onProgress;
    const { plan } = parts.journal;
    this.#token = String(plan.get('token'));
    this.#notes = notesOf(plan);
    const { files, symlinks, specials, dataBytes: totalBytes } = plan.summary();
    const totalEntries = files + symlinks + specials;
    this.#progress = { restoredEntries: 0, restoredBytes: 0, keptBytes: 0, totalEntries, totalBytes };
  }

  /** @throws restore.stopped */
  check(): void {
    if (this.#signal?.aborted) throw restoreErrors.stopped();
  }

  get signal(): AbortSignal | undefined {
    return this.#signal;
  }

  /** The name an entry has until it is whole: nobody else can know it, and the next run finds it again. */
  temporaryOf(entry: number): Uint8Array {
    return encoder.encode(`.holdfast-${this.#token}-${entry.toString(36)}`);
  }

  /** What a worker needs to know of an entry. */
  workOf(entry: OpenEntry, places: JobPlaces): EntryWork {
    const place = this.placeOf(entry.directory);
    return {
      entry: entry.entry,
      place: places.add(place),
      name: entry.name,
      temporary: this.temporaryOf(entry.entry),
      row: entry.row,
      xattrs: entry.xattrs,
      isInherited: this.journal.wasThere(entry.directory),
    };
  }

  /** Where a directory is that is there. */
  placeOf(directory: number): TargetDirectory {
    const place = this.journal.placeOf(directory);
    if (place === undefined) throw restoreErrors.folder_missing();
    if (!this.#devices.has(place.device)) this.#devices.set(place.device, place);
    return place;
  }

  /** Gives a job and takes down what became of its entries. `entries` are those it was about. */
  async doEntries(job: NewRestoreJob, entries: readonly OpenEntry[], transfer: readonly ArrayBuffer[] = []) {
    this.check();
    const reply = await this.pool.ask('entries', job, transfer);
    await this.take(reply, entries);
    return reply;
  }

  /** Takes down a reply. */
  async take(reply: Entries, entries: readonly OpenEntry[]): Promise<void> {
    addNotes(this.#notes, reply.notes);
    const byNumber = new Map(entries.map((entry) => [entry.entry, entry]));
    for (const result of reply.entries) this.#takeOne(result, byNumber.get(result.entry));
    this.#onProgress(this.#progress);
    if (this.#waiting.length >= flushEntries || this.#waitingBytes >= flushBytes) await this.#flushWaiting();
  }

  #takeOne(result: EntryResult, entry: OpenEntry | undefined): void {
    if (result.status === 'pending' || result.status === 'unlinkable') return;
    if (result.status === 'written' && entry && result.inode !== undefined) {
      this.#waiting.push({ entry, inode: result.inode, device: result.device ?? 0 });
      this.#waitingBytes += entry.size;
      return;
    }
    this.journal.record(withName(result, entry));
    if (result.status === 'placed') this.#progress.restoredEntries++;
    if (result.status === 'identical') {
      this.#progress.restoredEntries++;
      if (entry?.leader === null) this.#progress.keptBytes += this.journal.dataBytesOf(entry.entry);
    }
  }

  /** Counts bytes that were written, or found where they belong. */
  countBytes(bytes: number, kind: 'restored' | 'kept'): void {
    if (kind === 'restored') this.#progress.restoredBytes += bytes;
    else this.#progress.keptBytes += bytes;
  }

  /** Everything written so far gets its name, after it is on stable storage. */
  async settleEntries(): Promise<void> {
    await this.#flushWaiting();
    await this.#flushing;
    this.journal.flush();
    this.keepNotes();
  }

  /** Takes down what was counted so far. */
  keepNotes(): void {
    keepNotes(this.journal.plan, this.#notes);
  }

  /**
   * Forces all that was written to stable storage; the other workers go on meanwhile. The target itself stands for its file
   * system: nobody can swap that.
   */
  async sync(): Promise<void> {
    const root = this.placeOf(0);
    this.#devices.set(root.device, root);
    await this.pool.ask('done', { kind: 'sync', places: [...this.#devices.values()] });
  }

  /** One flush at a time; whoever fills the next batch before it ends waits for it. */
  async #flushWaiting(): Promise<void> {
    await this.#flushing;
    if (this.#waiting.length === 0) return;
    const batch = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#flushing = this.#placeAll(batch);
    // Whoever waits for it hears of a failure; this only keeps it from being called unheard.
    this.#flushing.catch(() => {});
  }

  async #placeAll(batch: readonly Waiting[]): Promise<void> {
    await this.sync();
    for (const { entry, inode, device } of batch) {
      this.journal.record({ entry: entry.entry, status: 'written', inode, device });
    }
    this.journal.flush();
    const jobs: Promise<unknown>[] = [];
    for (let at = 0; at < batch.length; at += placedAtOnce) jobs.push(this.#place(batch.slice(at, at + placedAtOnce)));
    await Promise.all(jobs);
  }

  async #place(batch: readonly Waiting[], lost: 'failed' | 'pending' = 'failed'): Promise<void> {
    const places = new JobPlaces();
    const entries = batch.map(({ entry, inode }) => ({
      entry: entry.entry,
      place: places.add(this.placeOf(entry.directory)),
      temporary: this.temporaryOf(entry.entry),
      name: entry.name,
      inode,
    }));
    const reply = await this.pool.ask('entries', { kind: 'place', places: places.places, entries });
    const byNumber = new Map(batch.map(({ entry }) => [entry.entry, entry]));
    for (const result of reply.entries) {
      const isLost = lost === 'pending' && result.status === 'failed';
      if (isLost) this.journal.record({ entry: result.entry, status: 'pending' });
      else this.#takeOne(result, byNumber.get(result.entry));
    }
  }

  /** Gives names to what an earlier run left whole under temporary ones, or sees that it has them; what is gone is done anew. */
  async placeLeftovers(entries: readonly PlacedEntry[]): Promise<void> {
    const batch = entries.map((entry) => ({ entry, inode: BigInt(entry.inode ?? 0), device: entry.device ?? 0 }));
    await this.#place(batch, 'pending');
  }

  /** Entries that cannot be worked on: their failure is taken down. */
  fail(entry: number, error: unknown): void {
    if (!(error instanceof CodedError)) throw error;
    this.journal.record({ entry, status: 'failed', code: error.code, message: error.message });
  }
}

function withName(result: EntryResult, entry: OpenEntry | undefined): EntryResult {
  const isAsAsked = result.status === 'placed' && result.name === undefined;
  return isAsAsked && entry ? { ...result, name: entry.name } : result;
}
