/** The worker thread of a restore: takes jobs, opens records, checks and writes synchronously. */
import type { MessagePort } from 'node:worker_threads';
import { CodedError, type ErrorKind } from '@holdfast/base';
import { parseRow } from '../format/row.ts';
import { applyMetadata } from './apply-metadata.ts';
import { restoreErrors } from './errors.ts';
import { makeDirectories } from './make-directory.ts';
import {
  type CompareJob,
  type DirectoryResult,
  emptyNotes,
  type EntryResult,
  type LinkJob,
  type PartResult,
  type PiecesJob,
  type ProvenPieces,
  type RecordsJob,
  type RestoreJob,
  type RestoreReply,
  type RestoreSetup,
  type SettleJob,
  type TargetDirectory,
  type UnopenedRecord,
} from './messages.ts';
import { OpenDirectories } from './open-directories.ts';
import { openPieces, unopened } from './open-pieces.ts';
import { findPlaced, placeEntry } from './place-entry.ts';
import { RecordFiles } from './record-files.ts';
import { comparePieces, surveyEntry } from './survey.ts';
import type { Target } from './target.ts';
import {
  beginFile,
  finishFile,
  makeEntry,
  openTemporary,
  type Writing,
  writePart,
  writeWhole,
} from './write-entries.ts';

/** Serves jobs until the port closes. The agent calls this in a worker thread with its own `Target`. */
export function runRestoreWorker(jobs: MessagePort, setup: RestoreSetup, target: Target): void {
  const worker = new RestoreWorker(setup, target);
  jobs.on('message', (job: RestoreJob) => jobs.postMessage(worker.serve(job)));
  jobs.on('close', () => worker.close());
}

/** Carries out jobs one after the other. One that has no keys in its setup is handed pieces, and opens nothing. */
export class RestoreWorker {
  readonly #setup: RestoreSetup;
  readonly #target: Target;
  readonly #open: OpenDirectories;
  readonly #files = new RecordFiles();
  #writing: Writing;
  /** The entry that is worked on. */
  #at: number | undefined;

  constructor(setup: RestoreSetup, target: Target) {
    this.#setup = setup;
    this.#target = target;
    this.#open = new OpenDirectories(target, setup.rootFd);
    this.#writing = { target, policy: setup.policy, notes: emptyNotes() };
  }

  /** Does a job; whatever goes wrong is in the answer. */
  serve(job: RestoreJob): RestoreReply {
    this.#writing = { target: this.#target, policy: this.#setup.policy, notes: emptyNotes() };
    this.#at = job.kind === 'begin' ? job.entry.entry : undefined;
    try {
      return this.#do(job);
    } catch (error) {
      // Settling is about directories.
      const at = this.#at === undefined || job.kind === 'settle' ? {} : { entry: this.#at };
      return { kind: 'failed', job: job.job, ...factsOf(error), ...at };
    }
  }

  /** Closes what it has open, but for the target itself. */
  close(): void {
    this.#open.close();
    this.#files.close();
  }

  #do(job: RestoreJob): RestoreReply {
    const fdOf = (place: number) => this.#fdOf(job.places, place);
    switch (job.kind) {
      case 'root':
        return { kind: 'directories', job: job.job, directories: [this.#root()] };
      case 'directories': {
        const directories = makeDirectories(this.#target, this.#open, job, this.#setup.policy);
        return { kind: 'directories', job: job.job, directories };
      }
      case 'begin':
        return { kind: 'begun', job: job.job, inode: beginFile(this.#target, fdOf(job.entry.place), job.entry) };
      case 'compare':
        return this.#compare(job, fdOf);
      case 'discard':
        for (const { place, temporary } of job.entries) this.#target.remove(fdOf(place), temporary);
        return { kind: 'done', job: job.job };
      case 'sync':
        job.places.forEach((_, place) => this.#target.syncFileSystem(fdOf(place)));
        return { kind: 'done', job: job.job };
      case 'records':
        return this.#records(job, fdOf);
      case 'pieces':
        return this.#pieces(job, fdOf);
      default:
        return this.#entries(job.job, this.#doEntries(job, fdOf));
    }
  }

  #root(): DirectoryResult {
    const { rootFd } = this.#setup;
    const { inode, device } = this.#target.statDescriptor(rootFd);
    const wasEmpty = this.#target.isEmpty(rootFd);
    return { directory: 0, name: new Uint8Array(0), status: 'existed', inode, device, wasEmpty };
  }

  #doEntries(
    job: Extract<RestoreJob, { kind: 'make' | 'finish' | 'place' | 'survey' | 'link' | 'settle' }>,
    fdOf: (place: number) => number,
  ): EntryResult[] {
    const { onConflict } = this.#setup.policy;
    switch (job.kind) {
      case 'make':
        return this.#each(job.entries, (work) => makeEntry(this.#writing, fdOf(work.place), work));
      case 'survey':
        return this.#each(job.entries, (work) => surveyEntry(this.#writing, fdOf(work.place), work));
      case 'finish':
        return this.#each([job.entry], (work) => {
          const fd = openTemporary(this.#target, fdOf(work.place), work.temporary, work.inode);
          try {
            return finishFile(this.#writing, fdOf(work.place), { work, fd });
          } finally {
            this.#target.close(fd);
          }
        });
      case 'place':
        return this.#each(job.entries, ({ entry, place, temporary, name, inode }) => {
          const from = { directoryFd: fdOf(place), name: temporary };
          const found = this.#target.statAt(from.directoryFd, temporary);
          if (found?.inode === inode) return { entry, ...placeEntry(this.#target, from, name, onConflict) };
          // An earlier run ended between giving the name and taking it down.
          const placed = findPlaced(this.#target, from.directoryFd, name, inode);
          if (placed === undefined) throw restoreErrors.temporary_lost();
          return { entry, status: 'placed', name: placed };
        });
      case 'link':
        return this.#each(job.entries, (work) => this.#link(work, fdOf));
      default:
        return this.#settle(job, fdOf);
    }
  }

  /** One entry's failure is its result, and the others go on. */
  #each<T extends { readonly entry: number }>(entries: readonly T[], work: (entry: T) => EntryResult): EntryResult[] {
    return entries.map((entry) => {
      this.#at = entry.entry;
      try {
        return work(entry);
      } catch (error) {
        const { code, message, isBug } = factsOf(error);
        if (isBug || isFatal(error)) throw error;
        return { entry: entry.entry, status: 'failed', code, message };
      }
    });
  }

  #entries(job: number, entries: readonly EntryResult[]): RestoreReply {
    return { kind: 'entries', job, entries, parts: [], unopened: [], notes: this.#writing.notes };
  }

  #records(job: RecordsJob, fdOf: (place: number) => number): RestoreReply {
    const { keys } = this.#setup;
    if (keys === undefined) throw new Error('a worker without keys is handed pieces');
    const gathered: { entries: EntryResult[]; parts: PartResult[]; unopened: UnopenedRecord[] } = {
      entries: [],
      parts: [],
      unopened: [],
    };
    for (const work of job.records) {
      const { record } = work;
      const bytes = record instanceof Uint8Array ? record : this.#files.read(record);
      const opened = bytes === undefined ? unopened(work.ordinal) : openPieces(bytes, work, keys);
      if (!('proven' in opened)) {
        gathered.unopened.push(opened);
        continue;
      }
      gathered.entries.push(...opened.damagedWhole);
      gathered.parts.push(...opened.damagedParts);
      this.#write(opened.proven, fdOf, gathered);
      opened.letGo();
    }
    return { kind: 'entries', job: job.job, notes: this.#writing.notes, ...gathered };
  }

  #pieces(job: PiecesJob, fdOf: (place: number) => number): RestoreReply {
    const gathered = { entries: [], parts: [] };
    this.#write(job, fdOf, gathered);
    return { kind: 'entries', job: job.job, notes: this.#writing.notes, unopened: [], ...gathered };
  }

  #write(
    { ordinal, whole, parts }: ProvenPieces,
    fdOf: (place: number) => number,
    into: { readonly entries: EntryResult[]; readonly parts: PartResult[] },
  ): void {
    const entries = this.#each(whole, (work) => {
      const { name, ...result } = writeWhole(this.#writing, fdOf(work.place), work, work.bytes);
      return name === undefined || name === work.name ? result : { ...result, name };
    });
    into.entries.push(...entries);
    const written = this.#each(parts, (part) => writePart(this.#target, fdOf(part.place), part));
    for (const { entry, code, message } of written) {
      into.parts.push({
        ordinal,
        entry,
        ...(code !== undefined && { code }),
        ...(message !== undefined && { message }),
      });
    }
  }

  #compare(job: CompareJob, fdOf: (place: number) => number): RestoreReply {
    return { kind: 'compared', job: job.job, comparison: comparePieces(this.#target, fdOf, job) };
  }

  #link(work: LinkJob['entries'][number], fdOf: (place: number) => number): EntryResult {
    const target = this.#target;
    const directoryFd = fdOf(work.place);
    const leader = { directoryFd: fdOf(work.leaderPlace), name: work.leaderName };
    const { entry, leaderInode: inode } = work;
    if (target.statAt(leader.directoryFd, leader.name)?.inode !== inode) return { entry, status: 'unlinkable' };
    if (target.statAt(directoryFd, work.name)?.inode === inode) {
      return { entry, status: 'identical', name: work.name, inode };
    }
    target.remove(directoryFd, work.temporary);
    const from = { directoryFd, name: work.temporary };
    if (!target.makeLink(leader, from)) return { entry, status: 'unlinkable' };
    return { entry, inode, ...placeEntry(target, from, work.name, this.#setup.policy.onConflict) };
  }

  #settle(job: SettleJob, fdOf: (place: number) => number): EntryResult[] {
    const entries = job.directories.map((work) => ({ ...work, entry: job.places[work.place]!.directory }));
    return this.#each(entries, ({ entry, place, row, xattrs }) => {
      const fd = fdOf(place);
      const { policy, notes } = this.#writing;
      if (policy.sync === 'file') this.#target.sync(fd);
      if (row.length > 0) applyMetadata(this.#target, fd, { row: parseRow(row), xattrs, policy, notes });
      // A step on the way of which the archive says nothing.
      else if (!this.#target.setMode(fd, 0o755)) notes.modesNotSet++;
      return { entry, status: 'placed' };
    });
  }

  #fdOf(places: readonly TargetDirectory[], place: number): number {
    const directory = places[place];
    if (directory === undefined) throw new Error(`a job names place ${place} of ${places.length}`);
    return this.#open.fdOf(directory);
  }
}

type Facts = {
  readonly code: string;
  readonly errorKind: ErrorKind;
  readonly message: string;
  readonly isBug: boolean;
};

function factsOf(error: unknown): Facts {
  if (error instanceof CodedError) {
    return { code: error.code, errorKind: error.kind, message: error.message, isBug: false };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'internal', errorKind: 'unavailable', message, isBug: true };
}

/** What is no file's own failure: the next one would fail as well. The restore stops and can go on later. */
function isFatal(error: unknown): boolean {
  return error instanceof CodedError && error.kind === 'exhausted';
}
