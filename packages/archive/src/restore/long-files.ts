import { CodedError } from '@holdfast/base';
import type { PartResult, PieceWork, TemporaryFile } from './messages.ts';
import type { OpenEntry } from './restore-journal.ts';
import { JobPlaces, type RestoreRun } from './restore-run.ts';

type LongFile = { readonly entry: OpenEntry; readonly inode: bigint; left: number };

/** Files of several pieces that are under way: any worker writes any piece, in whatever order records come. */
export class LongFiles {
  readonly #run: RestoreRun;
  readonly #files = new Map<number, LongFile>();
  readonly #beginning = new Map<number, Promise<LongFile>>();

  constructor(run: RestoreRun) {
    this.#run = run;
  }

  /** Makes the temporary file, once; returns its inode. */
  async begin(entry: OpenEntry): Promise<bigint> {
    const known = this.#files.get(entry.entry);
    if (known) return known.inode;
    let beginning = this.#beginning.get(entry.entry);
    if (beginning === undefined) {
      beginning = this.#begin(entry).finally(() => this.#beginning.delete(entry.entry));
      this.#beginning.set(entry.entry, beginning);
    }
    return (await beginning).inode;
  }

  /** Takes up a temporary file that has some pieces already. */
  async resume(
    entry: OpenEntry,
    { inode, done }: { readonly inode: bigint; readonly done: readonly PieceWork[] },
  ): Promise<void> {
    const { journal } = this.#run;
    journal.donePieces(entry.entry, done);
    for (const { length } of done) this.#run.countBytes(length, 'kept');
    const file = { entry, inode, left: journal.leftPieces(entry.entry) };
    this.#files.set(entry.entry, file);
    if (file.left === 0) await this.#finish(file);
  }

  /** Takes down what became of the pieces of one record; a file that has all is finished. */
  async took(part: PartResult, pieces: readonly PieceWork[]): Promise<void> {
    const file = this.#files.get(part.entry);
    if (file === undefined) return;
    for (const { length } of pieces) this.#run.countBytes(length, 'restored');
    file.left -= pieces.length;
    if (file.left === 0) await this.#finish(file);
  }

  /** The file cannot be whole: it is removed and never gets its name. */
  async giveUp(entry: OpenEntry): Promise<void> {
    this.#files.delete(entry.entry);
    const places = [this.#run.placeOf(entry.directory)];
    const temporary = this.#run.temporaryOf(entry.entry);
    await this.#run.pool.ask('done', { kind: 'discard', places, entries: [{ place: 0, temporary }] });
  }

  /** Removes all that are not whole: nobody goes on with them. What cannot be removed stays. */
  async discardAll(): Promise<void> {
    for (const { entry } of this.#files.values()) await this.giveUp(entry).catch(() => undefined);
  }

  /** How a worker reaches a file that was begun. */
  temporaryOf(entry: OpenEntry, inode: bigint, places: JobPlaces): TemporaryFile {
    const place = places.add(this.#run.placeOf(entry.directory));
    return { entry: entry.entry, place, temporary: this.#run.temporaryOf(entry.entry), inode };
  }

  async #begin(entry: OpenEntry): Promise<LongFile> {
    const places = new JobPlaces();
    const work = { ...this.#run.workOf(entry, places), sizeBytes: entry.size };
    const { inode } = await this.#run.pool.ask('begun', { kind: 'begin', places: places.places, entry: work });
    const file = { entry, inode, left: this.#run.journal.leftPieces(entry.entry) };
    this.#files.set(entry.entry, file);
    return file;
  }

  async #finish({ entry, inode }: LongFile): Promise<void> {
    this.#files.delete(entry.entry);
    const places = new JobPlaces();
    const work = { ...this.#run.workOf(entry, places), inode };
    await this.#run.doEntries({ kind: 'finish', places: places.places, entry: work }, [entry]);
  }
}

/** Whether a failed job says something of one file only, so that the others go on. */
export function isFileFailure(error: unknown): error is CodedError {
  return error instanceof CodedError && error.kind !== 'exhausted' && !error.code.startsWith('restore.worker');
}
