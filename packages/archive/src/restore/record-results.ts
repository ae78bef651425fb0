/** Taking down what became of the records of a job. */
import type { Ordinal } from '../format/ordinal.ts';
import { restoreErrors } from './errors.ts';
import type { LongFiles } from './long-files.ts';
import type { PartResult, PieceWork, RestoreReply } from './messages.ts';
import type { OpenEntry, OpenPiece } from './restore-journal.ts';
import type { RestoreRun } from './restore-run.ts';

/** Why a record gave nothing. */
export type Reason = { readonly code: string; readonly message: string };

/** Pieces of a record that are a part of something longer, by entry. */
export type Part = { readonly entry: OpenEntry; readonly pieces: PieceWork[] };

/** What is wanted of a record. */
export type WantedRecord = {
  readonly ordinal: Ordinal;
  /** Its bytes were not handed over but are in a file: if they do not open there, the destination may mend them. */
  readonly isLocated: boolean;
  /** More of it is wanted than this job does. */
  readonly isGoingOn: boolean;
  readonly whole: readonly OpenEntry[];
  readonly parts: ReadonlyMap<number, Part>;
};

/** What a record holds whole, and what of it is a part of something longer. */
export function sortPieces(pieces: readonly OpenPiece[]) {
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

type Entries = Extract<RestoreReply, { kind: 'entries' }>;

type Done = { readonly ordinal: Ordinal; readonly entry: number };

/** The book that one pass over a destination keeps. */
export class RecordResults {
  /** Records that were not to be opened where a file was said to have them: to be asked of the destination itself. */
  readonly unopened = new Set<Ordinal>();
  readonly #run: RestoreRun;
  readonly #files: LongFiles;
  readonly #reasons: Map<Ordinal, Reason>;

  constructor(run: RestoreRun, files: LongFiles, reasons: Map<Ordinal, Reason>) {
    this.#run = run;
    this.#files = files;
    this.#reasons = reasons;
  }

  async take(wanted: readonly WantedRecord[], reply: Entries): Promise<void> {
    const partial = new Set(wanted.flatMap(({ ordinal, isGoingOn }) => (isGoingOn ? [ordinal] : [])));
    const located = new Set(wanted.flatMap(({ ordinal, isLocated }) => (isLocated ? [ordinal] : [])));
    for (const { ordinal, code, message } of reply.unopened) {
      partial.add(ordinal);
      if (located.has(ordinal)) this.unopened.add(ordinal);
      else this.#reasons.set(ordinal, { code, message });
    }
    const done = await this.#takeWhole(wanted, reply, partial);
    const records = new Map(wanted.map((record) => [record.ordinal, record]));
    for (const part of reply.parts) {
      const isDone = await this.#takePart(part, records.get(part.ordinal)!.parts, partial);
      if (isDone) done.push(part);
    }
    for (const { ordinal } of wanted) if (!partial.has(ordinal)) this.#run.journal.recordDone(ordinal);
    for (const { ordinal, entry } of done) if (partial.has(ordinal)) this.#run.journal.recordPieces(ordinal, entry);
  }

  async #takeWhole(wanted: readonly WantedRecord[], reply: Entries, partial: Set<Ordinal>): Promise<Done[]> {
    const entries = new Map(
      wanted.flatMap(({ ordinal, whole }) => whole.map((entry) => [entry.entry, { ordinal, entry }] as const)),
    );
    const kept = reply.entries.filter((result) => {
      const { ordinal } = entries.get(result.entry)!;
      if (result.status === 'failed') partial.add(ordinal);
      return !this.#isDamage(ordinal, result);
    });
    await this.#run.take(
      { ...reply, entries: kept },
      wanted.flatMap(({ whole }) => whole),
    );
    const good = kept.filter(({ status }) => status !== 'failed').map(({ entry }) => entries.get(entry)!);
    for (const { entry } of good) this.#run.countBytes(entry.size, 'restored');
    return good.map(({ ordinal, entry }) => ({ ordinal, entry: entry.entry }));
  }

  /** A piece that is not what its hash says may be right on the next destination: the file does not fail yet. */
  #isDamage(ordinal: Ordinal, { code, message }: { readonly code?: string; readonly message?: string }): boolean {
    if (code !== restoreErrors.piece_damaged.code) return false;
    this.#reasons.set(ordinal, { code, message: message ?? code });
    return true;
  }

  async #takePart(result: PartResult, parts: ReadonlyMap<number, Part>, partial: Set<Ordinal>): Promise<boolean> {
    const { ordinal, code, message = code } = result;
    const { entry, pieces } = parts.get(result.entry)!;
    if (code !== undefined) partial.add(ordinal);
    if (this.#isDamage(ordinal, result)) return false;
    if (code === undefined) {
      await this.#files.took(result, pieces);
      return true;
    }
    this.#run.journal.record({ entry: entry.entry, status: 'failed', code, message: message ?? code });
    this.#run.journal.flush();
    await this.#files.giveUp(entry);
    return false;
  }
}
