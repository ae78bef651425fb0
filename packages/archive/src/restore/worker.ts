/** The worker thread of a restore: takes jobs, opens records, checks and writes synchronously. */
import type { MessagePort } from 'node:worker_threads';
import { CodedError, type ErrorKind } from '@holdfast/base';
import { openRecordSync } from '../format/seal.node.ts';
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
  type RecordJob,
  type RestoreJob,
  type RestoreReply,
  type RestoreSetup,
  type SettleJob,
  type TargetDirectory,
} from './messages.ts';
import { OpenDirectories } from './open-directories.ts';
import { findPlaced, placeEntry } from './place-entry.ts';
import { comparePieces, surveyEntry } from './survey.ts';
import type { Target } from './target.ts';
import {
  beginFile,
  finishFile,
  makeEntry,
  type OpenedContent,
  openTemporary,
  pieceOf,
  type Writing,
  writeWhole,
} from './write-entries.ts';

/** Serves jobs until the port closes. The agent calls this in a worker thread with its own `Target`. */
export function runRestoreWorker(jobs: MessagePort, setup: RestoreSetup, target: Target): void {
  const worker = new RestoreWorker(setup, target);
  jobs.on('message', (job: RestoreJob) => jobs.postMessage(worker.serve(job)));
  jobs.on('close', () => worker.close());
}

type Entries = Extract<RestoreReply, { kind: 'entries' }>;

class RestoreWorker {
  readonly #setup: RestoreSetup;
  readonly #target: Target;
  readonly #open: OpenDirectories;
  #writing: Writing;

  constructor(setup: RestoreSetup, target: Target) {
    this.#setup = setup;
    this.#target = target;
    this.#open = new OpenDirectories(target, setup.rootFd);
    this.#writing = { target, policy: setup.policy, notes: emptyNotes() };
  }

  serve(job: RestoreJob): RestoreReply {
    this.#writing = { target: this.#target, policy: this.#setup.policy, notes: emptyNotes() };
    try {
      return this.#do(job);
    } catch (error) {
      return { kind: 'failed', job: job.job, ...factsOf(error) };
    }
  }

  close(): void {
    this.#open.close();
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
      case 'record':
        return this.#record(job, fdOf);
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
      try {
        return work(entry);
      } catch (error) {
        const { code, message, isBug } = factsOf(error);
        if (isBug || isFatal(error)) throw error;
        return { entry: entry.entry, status: 'failed', code, message };
      }
    });
  }

  #entries(job: number, entries: readonly EntryResult[], parts: readonly PartResult[] = []): Entries {
    return { kind: 'entries', job, entries, parts, notes: this.#writing.notes };
  }

  #record(job: RecordJob, fdOf: (place: number) => number): RestoreReply {
    let opened: OpenedContent;
    try {
      opened = openRecordSync(job.record, this.#setup.keys);
    } catch (error) {
      const { code, message, isBug } = factsOf(error);
      if (isBug) throw error;
      return { ...this.#entries(job.job, []), damage: { code, message } };
    }
    const entries = this.#each(job.whole, (work) =>
      writeWhole(this.#writing, fdOf(work.place), work, pieceOf(opened, work.piece)),
    );
    const parts = this.#each(job.parts, ({ entry, place, temporary, inode, pieces }) => {
      const checked = pieces.map((piece) => ({ piece, bytes: pieceOf(opened, piece) }));
      const fd = openTemporary(this.#target, fdOf(place), temporary, inode);
      try {
        for (const { piece, bytes } of checked) this.#target.write(fd, bytes, piece.position);
      } finally {
        this.#target.close(fd);
      }
      return { entry, status: 'written' };
    });
    return this.#entries(job.job, entries, parts);
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
