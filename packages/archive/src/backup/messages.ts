/** What the main thread and its workers say to each other. Plain data: it is cloned or transferred. */
import type { OwnedRecords } from '../index/block-table.ts';
import type { EpochSecrets } from './record-sealer.ts';
import type { DestinationMask, RoutePlan } from './routes.ts';
import type { SourceAttribute, SourceAttributes } from './source.ts';
import type { ExclusionRule, SelectedSet } from './selection.ts';

/** The root of a mounted volume: where it is, and what is there. Whoever opens it makes sure that it is still this one. */
export type MountedRoot = { readonly mountPoint: Uint8Array; readonly device: number; readonly inode: bigint };

/** Where a directory lies on the machine: the root of its volume, and the names below it. */
export type DirectoryPlace = { readonly root: MountedRoot; readonly names: readonly Uint8Array[] };

/** Everything a worker needs before its first job. */
export type WorkerSetup = {
  readonly control: SharedArrayBuffer;
  readonly indexPath: string;
  /** Whether the index knows no block yet: then nobody asks it. */
  readonly isFirstBackup: boolean;
  readonly secrets: EpochSecrets;
  readonly writerNumber: number;
  readonly sets: readonly SelectedSet[];
  readonly never: readonly ExclusionRule[];
  readonly routes: RoutePlan;
  /** Only what these sets select is looked at; everything where left out. */
  readonly activeSets?: readonly number[];
};

/**
 * Look at one directory: compare it with what was last seen, store what changed. Of a directory with very many names a job
 * looks at some, and another goes on where it stopped: what waits for a commit does not depend on the directory's size.
 */
export type ScanJob = {
  readonly kind: 'scan';
  readonly job: number;
  /** Wall clock: what changed just before it may change again unseen. */
  readonly nowMs: number;
  readonly place: DirectoryPlace;
  /** Its number and since, and where it hangs in the archive: for its own row. */
  readonly directory: number;
  readonly since: number;
  readonly parent: number;
  readonly name: Uint8Array;
  readonly isVolume: boolean;
  /** The sets that selected it; empty on the way to an include. */
  readonly sets: readonly number[];
  /** Files with several names are looked at whatever selects them: another name of one has changed. */
  readonly isForLinks: boolean;
  /** Only these names: on the way to an include. */
  readonly only?: readonly Uint8Array[];
  /** Names that stay as they were although they cannot be seen: an include that is not there just now. */
  readonly kept?: readonly Uint8Array[];
  /** Whether the index may know names of it, by `directory`; all that is there is new otherwise. */
  readonly isKnown: boolean;
  /** Digest of its own row as it was put last. */
  readonly own: Uint8Array;
  /** Where an earlier job stopped, and which directory that was. */
  readonly goesOn?: { readonly from: Uint8Array; readonly device: number; readonly inode: bigint };
};

/** Read one file, or a range of one, whose directory was scanned before. */
export type ReadJob = {
  readonly kind: 'read';
  readonly job: number;
  readonly place: DirectoryPlace;
  readonly name: Uint8Array;
  readonly attributes: SourceAttributes;
  /** The sets that need its bytes. */
  readonly sets: readonly number[];
  readonly offset: number;
  readonly length: number;
  /** Of files longer than a range: their number in this pass, by which their pieces can be told. */
  readonly longFile?: number;
};

/** Make the row of a file whose ranges have all been read. */
export type FinishJob = {
  readonly kind: 'finish';
  readonly job: number;
  readonly attributes: SourceAttributes;
  readonly sets: readonly number[];
  /** Encoded extents, in order, one buffer a range. */
  readonly extents: readonly Uint8Array[];
  /** Extended attributes of the file that was read. */
  readonly xattrs: readonly SourceAttribute[];
  readonly isFuzzy: boolean;
  readonly linkGroup?: number;
};

/**
 * Close bundles and hand over what has gathered, so that a commit can follow. A worker that is busy does it in the middle
 * of its job, once it sees the job's number in `SharedControl`; what comes as a message later is then done already.
 */
export type FlushJob = { readonly kind: 'flush'; readonly job: number };

/** Whatever a worker is asked. */
export type Job = ScanJob | ReadJob | FinishJob | FlushJob;

/** An entry that the scan left to the main thread: a file longer than a range, or anything with several names. */
export type LeftFile = {
  /** Its row without a link group, of what is no regular file. */
  readonly row?: Uint8Array;
  readonly name: Uint8Array;
  readonly attributes: SourceAttributes;
  readonly sets: readonly number[];
  /** Where its flags lie in the packed entries. */
  readonly flagsAt: number;
  /** Digest of the row last put, all zeros where there is none. */
  readonly rowDigest: Uint8Array;
};

/** A directory found below the scanned one. */
export type FoundDirectory = {
  readonly name: Uint8Array;
  readonly attributes: SourceAttributes;
  readonly sets: readonly number[];
  /** The entry was known, as a directory with this inode. */
  readonly isKnown: boolean;
  /** Something else had this name. */
  readonly isReplacing: boolean;
  /** It is known, and other sets select it than before. */
  readonly isSelectedAnew: boolean;
};

/** A name that is no longer there, or no longer selected. */
export type LostName = {
  readonly name: Uint8Array;
  readonly wasDirectory: boolean;
  readonly reason: 'gone' | 'unselected';
  /** Something else has the name now, whose row speaks for it. */
  readonly isReplaced: boolean;
};

/** Something that could not be protected, by name and code. */
export type Problem = { readonly path: Uint8Array; readonly code: string; readonly message: string };

/** A row to be put under (directory, name) by the next commit. */
export type MadeRow = { readonly name: Uint8Array; readonly row: Uint8Array };

/** What a scan found, and what it stored. */
export type Scanned = {
  readonly kind: 'scanned';
  readonly job: number;
  /** Rows made, as `RowPacker` packs them. */
  readonly rows: Uint8Array;
  readonly directories: readonly FoundDirectory[];
  readonly left: readonly LeftFile[];
  /** Lost names, as `LostPacker` packs them. */
  readonly lost: Uint8Array;
  /** Roots of other volumes mounted here. */
  readonly mounts: readonly Uint8Array[];
  readonly problems: readonly Problem[];
  /** Packed entries from where the job began on to before `next`; left out where all are as they were. */
  readonly entries?: Uint8Array;
  /** The name at which another job has to go on; left out where all names were looked at. */
  readonly next?: Uint8Array;
  readonly own: Uint8Array;
  readonly attributes: SourceAttributes;
  readonly seenFiles: number;
  readonly seenBytes: number;
};

/** Blocks that were stored, packed for the index. */
export type FreshBlocks = {
  readonly packed: Uint8Array;
  /** The long file they are pieces of. */
  readonly longFile?: number;
};

/** An answer to a job. */
export type Reply =
  | Scanned
  | {
      readonly kind: 'read';
      readonly job: number;
      readonly extents: Uint8Array;
      readonly isChanged: boolean;
      /** The file as it was after the last byte; undefined where something else has the name. */
      readonly after: SourceAttributes | undefined;
      /** Its extended attributes; only with the first range. */
      readonly xattrs: readonly SourceAttribute[];
    }
  | { readonly kind: 'finished'; readonly job: number; readonly row: Uint8Array }
  | {
      readonly kind: 'flushed';
      readonly job: number;
      readonly fresh: readonly FreshBlocks[];
      /** Which sets need which records. */
      readonly owned: readonly OwnedRecords[];
      readonly newBytes: number;
    }
  | {
      readonly kind: 'failed';
      readonly job: number;
      readonly code: string;
      readonly message: string;
      readonly isBug: boolean;
    };

/** What a worker sends: replies to jobs, fragments as they fill, and counts for the progress bar. */
export type FromWorker =
  | Reply
  | { readonly kind: 'fragment'; readonly fragment: Uint8Array; readonly destinations: DestinationMask }
  | { readonly kind: 'progress'; readonly readBytes: number };
