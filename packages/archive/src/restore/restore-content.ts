/** The contents of a restore: records in storage order, each opened once, for all that is wanted of it. */
import { CodedError } from '@holdfast/base';
import type { Destination } from '../backup/destination.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { parseRecordHeader } from '../format/record.ts';
import { restoreErrors } from './errors.ts';
import { isFileFailure, type LongFiles } from './long-files.ts';
import type { PieceWork, RestoreReply } from './messages.ts';
import { entryStates as states } from './plan-schema.ts';
import type { OpenEntry, OpenPiece } from './restore-journal.ts';
import { JobPlaces, type RestoreRun } from './restore-run.ts';

const ordinalsAtOnce = 4096;
/** Bytes of records that workers have and are not done with: enough to keep them busy, and no more memory than that. */
const maxBytesUnderWay = 16 * 1024 * 1024;

type Reason = { readonly code: string; readonly message: string };

/**
 * Restores every content that the plan still needs. A record that one destination does not have, or has damaged, is asked
 * of the next; what none can give fails the files that need it, and only those.
 *
 * @throws what a destination failed with when no other could help: the restore goes on later
 */
export async function restoreContents(
  run: RestoreRun,
  files: LongFiles,
  destinations: readonly Destination[],
): Promise<void> {
  const reasons = new Map<Ordinal, Reason>();
  let failure: { readonly error: unknown } | undefined;
  for (const destination of destinations) {
    run.journal.flush();
    failure = undefined;
    const reading = new RecordReading(run, files, reasons);
    try {
      await reading.readAll(destination);
    } catch (error) {
      if (run.signal?.aborted || !(error instanceof CodedError) || reading.isBroken) throw error;
      failure = { error };
    }
    run.journal.flush();
    if (run.journal.ordinals(-1, 1).length === 0) return;
  }
  if (failure) throw failure.error;
  await failFilesOf(run, files, reasons);
}

/** What no destination could give. */
async function failFilesOf(run: RestoreRun, files: LongFiles, reasons: ReadonlyMap<Ordinal, Reason>): Promise<void> {
  const missing = restoreErrors.record_missing();
  for (let after = -1; ;) {
    const ordinals = run.journal.ordinals(after, ordinalsAtOnce);
    const last = ordinals.at(-1);
    if (last === undefined) break;
    after = last;
    for (const ordinal of ordinals) {
      const { code, message } = reasons.get(ordinal) ?? missing;
      for (const entry of entriesOf(run.journal.piecesIn(ordinal))) {
        run.journal.record({ entry: entry.entry, status: 'failed', code, message });
        await files.giveUp(entry);
      }
    }
  }
  run.journal.flush();
}

function entriesOf(pieces: readonly OpenPiece[]): OpenEntry[] {
  return [...new Map(pieces.map((piece) => [piece.entry, piece])).values()];
}

type Entries = Extract<RestoreReply, { kind: 'entries' }>;
type Part = { readonly entry: OpenEntry; readonly pieces: PieceWork[] };

/** What a record holds whole, and what of it is a part of something longer, by entry. */
function sortPieces(pieces: readonly OpenPiece[]) {
  const whole: OpenPiece[] = [];
  const parts = new Map<number, Part>();
  for (const open of pieces) {
    if (open.pieces === 1 && open.piece.length === open.size) whole.push(open);
    else {
      const { piece, ...entry } = open;
      const part = parts.get(entry.entry) ?? { entry, pieces: [] };
      part.pieces.push(piece);
      parts.set(entry.entry, part);
    }
  }
  return { whole, parts };
}

/** One pass over the records of one destination. */
class RecordReading {
  readonly #run: RestoreRun;
  readonly #files: LongFiles;
  readonly #reasons: Map<Ordinal, Reason>;
  readonly #underWay = new Set<Promise<void>>();
  #bytesUnderWay = 0;
  #broken: { readonly error: unknown } | undefined;

  constructor(run: RestoreRun, files: LongFiles, reasons: Map<Ordinal, Reason>) {
    this.#run = run;
    this.#files = files;
    this.#reasons = reasons;
  }

  /** It was the target or a worker that failed, and no destination. */
  get isBroken(): boolean {
    return this.#broken !== undefined;
  }

  async readAll(destination: Destination): Promise<void> {
    try {
      for (let after = -1; ;) {
        const ordinals = this.#run.journal.ordinals(after, ordinalsAtOnce);
        const last = ordinals.at(-1);
        if (last === undefined) break;
        after = last;
        for await (const record of destination.read(ordinals, this.#run.signal)) await this.#start(record);
      }
    } finally {
      while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    }
    if (this.#broken) throw this.#broken.error;
  }

  /** Hands a record on, once there is room for it. */
  async #start(record: Uint8Array): Promise<void> {
    while (this.#underWay.size > 0 && this.#bytesUnderWay + record.length > maxBytesUnderWay) {
      await Promise.race(this.#underWay);
    }
    if (this.#broken) throw this.#broken.error;
    this.#run.check();
    this.#bytesUnderWay += record.length;
    const job = this.#write(record)
      .catch((error: unknown) => void (this.#broken ??= { error }))
      .finally(() => {
        this.#bytesUnderWay -= record.length;
        this.#underWay.delete(job);
      });
    this.#underWay.add(job);
  }

  async #write(record: Uint8Array): Promise<void> {
    const { ordinal } = parseRecordHeader(record);
    const { whole, parts } = sortPieces(this.#run.journal.piecesIn(ordinal));
    const places = new JobPlaces();
    const begun = await this.#beginAll([...parts.values()], places);
    if (whole.length === 0 && begun.length === 0) return;
    // What a destination yields may be a part of a larger buffer, or a `Buffer`, whose slices are views: only a copy is handed over.
    const bytes = new Uint8Array(record);
    const job = {
      kind: 'record',
      record: bytes,
      places: places.places,
      whole: whole.map(({ piece, ...entry }) => ({ ...this.#run.workOf(entry, places), piece })),
      parts: begun,
    } as const;
    const reply = await this.#run.pool.ask('entries', job, [bytes.buffer]);
    if (reply.damage) this.#reasons.set(ordinal, reply.damage);
    await this.#takeWhole(ordinal, whole, reply);
    for (const part of reply.parts) await this.#takePart(ordinal, part, parts.get(part.entry)!);
  }

  async #takeWhole(ordinal: Ordinal, whole: readonly OpenEntry[], reply: Entries): Promise<void> {
    const kept = reply.entries.filter((result) => !this.#isDamage(ordinal, result));
    await this.#run.take({ ...reply, entries: kept }, whole);
    const sizes = new Map(whole.map((entry) => [entry.entry, entry.size]));
    for (const { entry, status } of kept) {
      if (status === 'failed') continue;
      this.#run.journal.recordPieces(ordinal, entry);
      this.#run.countBytes(sizes.get(entry) ?? 0, 'restored');
    }
  }

  /** A piece that is not what its hash says may be right on the next destination: the file does not fail yet. */
  #isDamage(ordinal: Ordinal, { code, message }: { readonly code?: string; readonly message?: string }): boolean {
    if (code !== restoreErrors.piece_damaged.code) return false;
    this.#reasons.set(ordinal, { code, message: message ?? code });
    return true;
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

  async #takePart(
    ordinal: Ordinal,
    part: { readonly entry: number; readonly code?: string; readonly message?: string },
    { entry, pieces }: Part,
  ): Promise<void> {
    if (this.#isDamage(ordinal, part)) return;
    if (part.code === undefined) {
      this.#run.journal.recordPieces(ordinal, entry.entry);
      await this.#files.took(part, pieces);
      return;
    }
    const { code, message = code } = part;
    this.#run.journal.record({ entry: entry.entry, status: 'failed', code, message });
    this.#run.journal.flush();
    await this.#files.giveUp(entry);
  }
}

/** Makes what no record holds content of: links, special files, empty files, and files that are one hole. */
export async function makeContentless(run: RestoreRun): Promise<void> {
  const underWay = new Set<Promise<unknown>>();
  for (let after = 0; ;) {
    run.check();
    const entries = run.journal.entries(states.pending, after, 256, 'e.pieces = 0 and e.leader is null');
    const last = entries.at(-1);
    if (last === undefined) break;
    after = last.entry;
    const places = new JobPlaces();
    const works = entries.map((entry) => ({ ...run.workOf(entry, places), sizeBytes: entry.size }));
    const job = run
      .doEntries({ kind: 'make', places: places.places, entries: works }, entries)
      .finally(() => underWay.delete(job));
    underWay.add(job);
    if (underWay.size >= 2 * run.pool.size) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  run.journal.flush();
}
