/** One pass over the records of one destination. */
import type { ReadableDestination, RecordLocation } from '../backup/destination.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { parseRecordHeader } from '../format/record.ts';
import type { OpenKeys } from '../format/seal.node.ts';
import { isFileFailure, type LongFiles } from './long-files.ts';
import { emptyNotes, type RecordWork, type RestoreReply } from './messages.ts';
import { openPieces, type OpenedPieces } from './open-pieces.ts';
import { packWorks } from './pack-works.ts';
import { type Part, type Reason, RecordResults, sortPieces, type WantedRecord } from './record-results.ts';
import { JobPlaces, type RestoreRun } from './restore-run.ts';

const ordinalsAtOnce = 4096;
/** Bytes of records that workers have and are not done with: enough to keep them busy, and no more memory than that. */
const maxBytesUnderWay = 8 * 1024 * 1024;
const jobBytes = 1024 * 1024;
/** A bundle may hold half a million files of a byte, and be small: a job is about so many records and files at most. */
const recordsAtOnce = 16;
const entriesAtOnce = 2048;
/** Jobs under way for each worker: what they are about is held here. */
const jobsAWorker = 4;

type Source = {
  readonly ordinal: Ordinal;
  readonly record: Uint8Array | RecordLocation;
  /** The first entry that earlier jobs were not about. */
  readonly from?: number;
};
type Entries = Extract<RestoreReply, { kind: 'entries' }>;

/** Reads what the plan still needs and has it written, several records at a time. */
export class RecordReading {
  readonly #run: RestoreRun;
  readonly #files: LongFiles;
  readonly #keys: OpenKeys;
  readonly #results: RecordResults;
  readonly #underWay = new Set<Promise<void>>();
  #bytesUnderWay = 0;
  #broken: { readonly error: unknown } | undefined;

  constructor(
    run: RestoreRun,
    parts: { readonly files: LongFiles; readonly keys: OpenKeys; readonly reasons: Map<Ordinal, Reason> },
  ) {
    this.#run = run;
    this.#files = parts.files;
    this.#keys = parts.keys;
    this.#results = new RecordResults(run, parts.files, parts.reasons);
  }

  /** It was the target or a worker that failed, and no destination. */
  get isBroken(): boolean {
    return this.#broken !== undefined;
  }

  async readAll(destination: ReadableDestination): Promise<void> {
    try {
      for (let after = -1; ;) {
        const ordinals = this.#run.journal.ordinals(after, ordinalsAtOnce);
        const last = ordinals.at(-1);
        if (last === undefined) break;
        after = last;
        await this.#readBytes(destination, await this.#readLocated(destination, ordinals));
      }
      await this.#settle();
      const { unopened } = this.#results;
      while (unopened.size > 0) {
        const ordinals = [...unopened.values().take(ordinalsAtOnce)];
        for (const ordinal of ordinals) unopened.delete(ordinal);
        await this.#readBytes(destination, ordinals);
      }
    } finally {
      await this.#settle();
    }
    if (this.#broken) throw this.#broken.error;
  }

  async #settle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async #readBytes(destination: ReadableDestination, ordinals: readonly Ordinal[]): Promise<void> {
    if (ordinals.length === 0) return;
    for await (const record of destination.read(ordinals, this.#run.signal)) {
      const { ordinal } = parseRecordHeader(record);
      // What a destination yields may be a part of a larger buffer, or a `Buffer`, whose slices are views: only a copy is handed over.
      const source = { ordinal, record: this.#run.pool.opensRecords ? new Uint8Array(record) : record };
      await this.#start([source], record.length);
    }
  }

  /** Lets workers that can open records read those that lie in files; answers the others. */
  async #readLocated(destination: ReadableDestination, ordinals: readonly Ordinal[]): Promise<readonly Ordinal[]> {
    const isUseful = destination.locate !== undefined && this.#run.pool.opensRecords;
    if (!isUseful) return ordinals;
    const left = new Set(ordinals);
    let batch: Source[] = [];
    let bytes = 0;
    for (const { ordinal, ...record } of (await destination.locate?.(ordinals)) ?? []) {
      left.delete(ordinal);
      batch.push({ ordinal, record });
      bytes += record.lengthBytes;
      if (bytes < jobBytes && batch.length < recordsAtOnce) continue;
      await this.#start(batch, bytes);
      batch = [];
      bytes = 0;
    }
    if (batch.length > 0) await this.#start(batch, bytes);
    return [...left];
  }

  /** Hands records on, once there is room for them. */
  async #start(records: readonly Source[], bytes: number): Promise<void> {
    const mostJobs = jobsAWorker * this.#run.pool.size;
    const isFull = () => this.#underWay.size >= mostJobs || this.#bytesUnderWay + bytes > maxBytesUnderWay;
    while (this.#underWay.size > 0 && isFull()) await Promise.race(this.#underWay);
    if (this.#broken) throw this.#broken.error;
    this.#run.check();
    this.#bytesUnderWay += bytes;
    const job = this.#write(records)
      .catch((error: unknown) => void (this.#broken ??= { error }))
      .finally(() => {
        this.#bytesUnderWay -= bytes;
        this.#underWay.delete(job);
      });
    this.#underWay.add(job);
  }

  async #write(sources: readonly Source[]): Promise<void> {
    for (let left = sources; left.length > 0;) left = await this.#writeSome(left);
  }

  /** Has some of what is wanted of records written; answers those of which more is. */
  async #writeSome(sources: readonly Source[]): Promise<readonly Source[]> {
    const places = new JobPlaces();
    const wanted: WantedRecord[] = [];
    const works: RecordWork[] = [];
    const left: Source[] = [];
    let room = entriesAtOnce;
    for (const source of sources) {
      if (room <= 0) {
        left.push(source);
        continue;
      }
      const { ordinal, record, from = 0 } = source;
      const until = this.#run.journal.entryBehind(ordinal, from, room);
      if (until !== undefined) left.push({ ordinal, record, from: until });
      const range = until === undefined ? { from } : { from, until };
      const { whole, parts } = sortPieces(this.#run.journal.piecesIn(ordinal, range));
      room -= whole.length + parts.size;
      const begun = parts.size === 0 ? [] : await this.#beginAll([...parts.values()], places);
      if (whole.length === 0 && begun.length === 0) continue;
      const isLocated = !(record instanceof Uint8Array);
      wanted.push({ ordinal, isLocated, isGoingOn: from > 0 || until !== undefined, whole, parts });
      const wholeWork = whole.map((open) => ({ ...this.#run.workOf(open, places), piece: open.piece }));
      works.push({ ordinal, record, whole: wholeWork, parts: begun });
    }
    if (works.length > 0) await this.#results.take(wanted, await this.#have(works, places, left));
    return left;
  }

  /** What is left of a record needs its bytes again: they are not handed over for good then. */
  #have(records: readonly RecordWork[], { places }: JobPlaces, left: readonly Source[]): Promise<Entries> {
    const { pool } = this.#run;
    if (!pool.opensRecords) return this.#openHere(records, places);
    const packed = packWorks(records);
    const transfer = [packed.slab];
    for (const { ordinal, record } of records) {
      const isLeft = left.some((source) => source.ordinal === ordinal);
      if (record instanceof Uint8Array && !isLeft) transfer.push(record.buffer as ArrayBuffer);
    }
    return pool.ask('entries', { kind: 'records', places, records: packed.records }, transfer);
  }

  /** For those who have no keys: they get the pieces. */
  async #openHere(records: readonly RecordWork[], places: JobPlaces['places']): Promise<Entries> {
    const [work] = records;
    if (work === undefined || !(work.record instanceof Uint8Array))
      throw new Error('a record is opened from its bytes');
    const opened = openPieces(work.record, work, this.#keys);
    if (!('proven' in opened)) return nothingOf({ unopened: [opened] });
    try {
      return await this.#send(opened, places);
    } finally {
      opened.letGo();
    }
  }

  async #send({ proven, damagedWhole, damagedParts }: OpenedPieces, places: JobPlaces['places']): Promise<Entries> {
    const isAny = proven.whole.length > 0 || proven.parts.length > 0;
    const reply = isAny ? await this.#run.pool.ask('entries', { kind: 'pieces', places, ...proven }) : nothingOf({});
    return { ...reply, entries: [...damagedWhole, ...reply.entries], parts: [...damagedParts, ...reply.parts] };
  }

  async #beginAll(parts: readonly Part[], places: JobPlaces) {
    const begun = await Promise.all(
      parts.map(async ({ entry, pieces }) => {
        try {
          const inode = await this.#files.begin(entry);
          return { ...this.#files.temporaryOf(entry, inode, places), pieces };
        } catch (error) {
          if (!isFileFailure(error)) throw error;
          this.#run.fail(entry.entry, error);
          this.#run.journal.flush();
          return undefined;
        }
      }),
    );
    return begun.filter((part) => part !== undefined);
  }
}

function nothingOf({ unopened = [] }: Partial<Pick<Entries, 'unopened'>>): Entries {
  return { kind: 'entries', job: 0, entries: [], parts: [], unopened, notes: emptyNotes() };
}
