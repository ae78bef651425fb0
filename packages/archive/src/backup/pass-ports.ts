import type { Clock } from '@holdfast/base';
import type { MapEntry } from '../format/tree-node.ts';
import type { OwnedRecords } from '../index/block-table.ts';
import type { LocalIndex } from '../index/local-index.ts';
import type { CommitWriter } from './commit-writer.ts';
import type { RecordStore } from './content-store.ts';
import type { DirectoryPlace, Problem } from './messages.ts';
import type { Selection } from './selection.ts';
import type { Source } from './source.ts';
import type { WorkerPool } from './worker-pool.ts';

/** Counts of a pass so far. */
export type PassCounts = {
  directories: number;
  files: number;
  selectedBytes: number;
  changedNames: number;
  readBytes: number;
  newBytes: number;
};

/** What a pass needs. */
export type PassPorts = {
  readonly index: LocalIndex;
  readonly source: Source;
  readonly selection: Selection;
  /** Only what these sets select is looked at; everything where left out. */
  readonly activeSets: ReadonlySet<number> | undefined;
  readonly pool: WorkerPool;
  readonly commits: CommitWriter;
  /** Stores records of the main thread itself. */
  readonly own: RecordStore;
  /** Hands over what was stored there. */
  readonly flushOwn: () => void;
  readonly clock: Clock;
  readonly writerNumber: number;
  readonly counts: PassCounts;
  readonly onProgress: () => void;
  /** Called after each commit, before the next may begin. */
  readonly afterCommit: () => Promise<void>;
  readonly onProblem: (problem: Problem) => void;
  /** Called before each commit: brings known records to the destinations of more sets. */
  readonly spread: (owned: readonly OwnedRecords[]) => Promise<void>;
  /** Whether enough is under way to commit now: bytes of rows and entries that wait for it. */
  readonly isCommitDue: (pending: { readonly pendingBytes: number }) => boolean;
  /** Called right before a directory is looked at. */
  readonly onDirectory: (directory: LookedAt) => void;
  /** Entries that go into the last commit. */
  readonly settings: readonly MapEntry[];
};

/** A directory that is about to be looked at: its number in the archive, and where it lies. */
export type LookedAt = { readonly number: number; readonly place: DirectoryPlace };
