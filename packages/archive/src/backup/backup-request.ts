/** What a backup is asked to do, and what it says it did. */
import type { Clock } from '@holdfast/base';
import type { MapEntry } from '../format/tree-node.ts';
import type { LocalIndex } from '../index/local-index.ts';
import type { ArchiveKeys } from '../keyring/archive-keys.ts';
import type { LoadRecord } from '../tree/tree-reader.ts';
import type { ClosedPast, ClosePastRequest } from './close-past.ts';
import type { CommitClock } from './commit-clock.ts';
import type { Destination } from './destination.ts';
import type { Problem } from './messages.ts';
import type { LookedAt, PassCounts } from './pass-ports.ts';
import type { MissingInclude } from './pass-roots.ts';
import type { Resealed, ResealRequest } from './reseal.ts';
import type { RoutePlan } from './routes.ts';
import type { ExclusionRule, SelectedSet } from './selection.ts';
import type { Source } from './source.ts';
import type { LostRecords, StoredAgain } from './store-again.ts';
import type { BranchContent, TakenIn } from './take-in.ts';
import type { LostDestination } from './uploader.ts';
import type { StartWorker } from './worker-pool.ts';

/** What to back up, with what, to where. */
export type BackupRequest = {
  readonly index: LocalIndex;
  readonly keys: ArchiveKeys;
  /** Sessions that are open, with the index's head as their newest commit. */
  readonly destinations: readonly Destination[];
  readonly source: Source;
  readonly sets: readonly SelectedSet[];
  /** The destinations of the archive, and what sets are bound to; all go to all that are open where left out. */
  readonly routes?: Omit<RoutePlan, 'ready'>;
  /** Look only at what these sets select. Sets none of whose destinations is open are never looked at. */
  readonly onlySets?: readonly number[];
  /** Paths that are never read: the agent's own state, local destinations. */
  readonly never: readonly ExclusionRule[];
  /** Look only at these directories and what is new below them; everything where left out. */
  readonly directories?: readonly Uint8Array[];
  /** Settings to be put with the last commit; what they are says the format document. */
  readonly settings?: readonly MapEntry[];
  /** Records that are lost: what lay in them is stored again first, as far as it can be had. */
  readonly lost?: LostRecords;
  /** A branch whose versions are taken in first. */
  readonly branch?: BranchContent;
  /** A stretch of the past to be sealed again in the newest epoch. */
  readonly reseal?: ResealRequest;
  /** What was sealed again is to be needed no more under its older numbers. */
  readonly closePast?: ClosePastRequest;
  /** Hears of each directory right before it is looked at: what changes in it from then on may be missed. */
  readonly onDirectory?: (directory: LookedAt) => void;
  readonly startWorker: StartWorker;
  /** Number of worker threads. */
  readonly workers: number;
  /** Reads a tree node that the index does not keep. */
  readonly load: LoadRecord;
  readonly clock: Clock;
  /** What time commits bear; the wall clock's when left out. */
  readonly commitClock?: CommitClock;
  /** The last verified head of the key log, at this moment: a signed note, which each commit has. */
  readonly keyLogHead?: () => string | undefined;
  readonly signal?: AbortSignal;
  /** Hears at once of a destination that failed under way. */
  readonly onLost?: (lost: LostDestination) => void;
  readonly onProgress?: (counts: Readonly<PassCounts> & { readonly sentBytes: number }) => void;
};

/** What became of what was asked for besides looking at files; what was not is left out. */
export type Chores = {
  /** Of the records that were lost. */
  readonly storedAgain?: StoredAgain;
  /** Of the versions of a branch. */
  readonly takenIn?: TakenIn;
  readonly resealed?: Resealed;
  readonly closedPast?: ClosedPast;
};

/** What a backup did. */
export type BackupReport = Readonly<PassCounts> &
  Chores & {
    readonly sentBytes: number;
    /** Number of the newest commit. */
    readonly head: number;
    readonly problems: readonly Problem[];
    /** Problems that did not fit the list. */
    readonly moreProblems: number;
    readonly missing: readonly MissingInclude[];
    /** Numbers of the sets that were looked at. */
    readonly sets: readonly number[];
    readonly lostDestinations: readonly LostDestination[];
  };
