/** What the main thread of a restore and its workers say to each other. Plain data: it is cloned or transferred. */
import type { ErrorKind } from '@holdfast/base';
import type { RecordLocation } from '../backup/destination.ts';
import type { Ordinal } from '../format/ordinal.ts';
import type { OpenKeys } from '../format/seal.node.ts';
import type { SourceRange } from '../backup/source.ts';
import type { Comparison } from './survey.ts';

/** What is done where something else has the name. */
export type ConflictPolicy = 'rename' | 'overwrite' | 'skip';

/**
 * When bytes are forced to stable storage: for each file before it gets its name (`file`), for many files at once before
 * they get theirs (`batch`), or once before the restore says it is done (`end`).
 */
export type SyncPolicy = 'file' | 'batch' | 'end';

/** What workers do alike for all entries. */
export type RestorePolicy = {
  readonly onConflict: ConflictPolicy;
  /** Give setuid and setgid bits and `security.*` attributes. */
  readonly setuid: boolean;
  /** Give everything to its recorded owner, or leave it to whoever restores. */
  readonly owners: 'recorded' | 'caller';
  readonly sync: SyncPolicy;
};

/** Everything a worker needs before its first job. */
export type RestoreSetup = {
  /** The open target directory. */
  readonly rootFd: number;
  /** What opens records; absent in a worker that is handed pieces. */
  readonly keys?: OpenKeys;
  readonly policy: RestorePolicy;
};

/** A directory of the target, by the names below its root, and as what it was made or found. */
export type TargetDirectory = {
  /** Its number in the plan; 0 is the root of the target. */
  readonly directory: number;
  readonly names: readonly Uint8Array[];
  readonly inode: bigint;
  readonly device: number;
};

/** A directory to be made; `place` is the index of its parent in the job's places. */
export type NewDirectory = {
  readonly directory: number;
  readonly place: number;
  readonly name: Uint8Array;
  /** Its parent was there before: it may hand down access lists. */
  readonly isInherited: boolean;
};

/** Make directories, none of which lies in another of them. */
export type DirectoriesJob = {
  readonly kind: 'directories';
  readonly job: number;
  readonly places: readonly TargetDirectory[];
  readonly directories: readonly NewDirectory[];
};

/** Say what the target itself is. */
export type RootJob = { readonly kind: 'root'; readonly job: number; readonly places: readonly TargetDirectory[] };

/** What became of a directory. `name` is the one it has. */
export type DirectoryResult = {
  readonly directory: number;
  readonly name: Uint8Array;
  readonly status: 'made' | 'existed' | 'skipped' | 'failed';
  readonly inode: bigint;
  readonly device: number;
  readonly wasEmpty: boolean;
  readonly code?: string;
  readonly message?: string;
};

/** An entry to be restored. `place` is an index into the job's places. */
export type EntryWork = {
  readonly entry: number;
  readonly place: number;
  readonly name: Uint8Array;
  /** The name it has until it is whole. */
  readonly temporary: Uint8Array;
  /** Encoded row. */
  readonly row: Uint8Array;
  /** Bytes of the stream of extended attributes; empty for none. */
  readonly xattrs: Uint8Array;
  /** The directory was there before: it may hand down access lists. */
  readonly isInherited: boolean;
};

/** A piece of a content: where it lies in its record, and where it goes. */
export type PieceWork = {
  readonly position: number;
  readonly offset: number;
  readonly length: number;
  readonly sha256: Uint8Array;
};

/** Which file a temporary name must stand for. */
export type TemporaryFile = {
  readonly entry: number;
  readonly place: number;
  readonly temporary: Uint8Array;
  readonly inode: bigint;
};

/** A whole file of one piece, and a begun file with pieces of it, as a record is to give them. */
export type WholeWork = EntryWork & { readonly piece: PieceWork };
export type PartWork = TemporaryFile & { readonly pieces: readonly PieceWork[] };

/** A record and what is wanted of it: its bytes, or where a file of this machine has them. */
export type RecordWork = {
  readonly ordinal: Ordinal;
  readonly record: Uint8Array | RecordLocation;
  readonly whole: readonly WholeWork[];
  readonly parts: readonly PartWork[];
};

/** Open records and write what is wanted of them. Only for workers that have keys. */
export type RecordsJob = {
  readonly kind: 'records';
  readonly job: number;
  readonly places: readonly TargetDirectory[];
  readonly records: readonly RecordWork[];
};

/** Pieces of an opened record whose hashes held: bytes, and nothing that opens more. */
export type ProvenPieces = {
  readonly ordinal: Ordinal;
  readonly whole: readonly (EntryWork & { readonly bytes: Uint8Array })[];
  readonly parts: readonly (TemporaryFile & {
    readonly pieces: readonly { readonly position: number; readonly bytes: Uint8Array }[];
  })[];
};

/** Write whole files, and pieces of begun ones. */
export type PiecesJob = ProvenPieces & {
  readonly kind: 'pieces';
  readonly job: number;
  readonly places: readonly TargetDirectory[];
};

/** Make entries whose content is in no record: links, special files, empty files, files of holes. */
export type MakeJob = {
  readonly kind: 'make';
  readonly job: number;
  readonly places: readonly TargetDirectory[];
  readonly entries: readonly (EntryWork & { readonly sizeBytes: number })[];
};

/** Make the temporary file of a content of several pieces. */
export type BeginJob = {
  readonly kind: 'begin';
  readonly job: number;
  readonly places: readonly TargetDirectory[];
  readonly entry: EntryWork & { readonly sizeBytes: number };
};

/** Give attributes to a content of several pieces that is complete. */
export type FinishJob = {
  readonly kind: 'finish';
  readonly job: number;
  readonly places: readonly TargetDirectory[];
  readonly entry: EntryWork & { readonly inode: bigint };
};

/** Give whole entries their names. */
export type PlaceJob = {
  readonly kind: 'place';
  readonly job: number;
  readonly places: readonly TargetDirectory[];
  readonly entries: readonly (TemporaryFile & { readonly name: Uint8Array })[];
};

/** Remove temporary files, whatever they hold. */
export type DiscardJob = {
  readonly kind: 'discard';
  readonly job: number;
  readonly places: readonly TargetDirectory[];
  readonly entries: readonly { readonly place: number; readonly temporary: Uint8Array }[];
};

/** See what is there already of entries that need at most one piece. */
export type SurveyJob = {
  readonly kind: 'survey';
  readonly job: number;
  readonly places: readonly TargetDirectory[];
  readonly entries: readonly (EntryWork & { readonly sizeBytes: number; readonly piece?: PieceWork })[];
};

/** See which pieces of a long content a local file has at their places, and copy them into the temporary file if asked. */
export type CompareJob = {
  readonly kind: 'compare';
  readonly job: number;
  readonly places: readonly TargetDirectory[];
  readonly place: number;
  /** The local file: the temporary one of an earlier run, or whatever has the name. */
  readonly name: Uint8Array;
  readonly pieces: readonly PieceWork[];
  /** What lies between these pieces: it has to read as zeros. */
  readonly holes: readonly SourceRange[];
  readonly copyTo?: TemporaryFile;
};

/** Give a file more names. */
export type LinkJob = {
  readonly kind: 'link';
  readonly job: number;
  readonly places: readonly TargetDirectory[];
  readonly entries: readonly (EntryWork & {
    readonly leaderPlace: number;
    readonly leaderName: Uint8Array;
    readonly leaderInode: bigint;
  })[];
};

/** Give directories their attributes, children before parents. */
export type SettleJob = {
  readonly kind: 'settle';
  readonly job: number;
  readonly places: readonly TargetDirectory[];
  readonly directories: readonly { readonly place: number; readonly row: Uint8Array; readonly xattrs: Uint8Array }[];
};

/** Force everything written so far to stable storage, on the file systems of these directories. */
export type SyncJob = { readonly kind: 'sync'; readonly job: number; readonly places: readonly TargetDirectory[] };

/** Whatever a worker is asked. */
export type RestoreJob =
  | RootJob
  | DirectoriesJob
  | RecordsJob
  | PiecesJob
  | MakeJob
  | BeginJob
  | FinishJob
  | PlaceJob
  | DiscardJob
  | SurveyJob
  | CompareJob
  | LinkJob
  | SettleJob
  | SyncJob;

/** How often something recorded could not be given, or was not to be. Counts, never a reason to fail. */
export type RestoreNotes = {
  ownersNotSet: number;
  modesNotSet: number;
  timesNotSet: number;
  attributesNotSet: number;
  /** setuid and setgid bits and `security.*` attributes that nobody asked for. */
  privilegesWithheld: number;
};

/** No notes yet. */
export function emptyNotes(): RestoreNotes {
  return { ownersNotSet: 0, modesNotSet: 0, timesNotSet: 0, attributesNotSet: 0, privilegesWithheld: 0 };
}

/** Adds `more` to `notes`. */
export function addNotes(notes: RestoreNotes, more: RestoreNotes): void {
  for (const key of Object.keys(notes) as (keyof RestoreNotes)[]) notes[key] += more[key];
}

/**
 * What became of an entry. `written`: whole, under its temporary name. `placed`: under `name`. `identical`: it is there
 * already, as `name`. Without a name it is the one that was asked for. `skipped`: something else has the name and keeps it. `pending`: to be restored.
 * `unlinkable`: it cannot be one more name of its leader.
 */
export type EntryResult = {
  readonly entry: number;
  readonly status: 'written' | 'placed' | 'identical' | 'skipped' | 'failed' | 'pending' | 'unlinkable';
  readonly inode?: bigint;
  readonly device?: number;
  readonly name?: Uint8Array;
  readonly code?: string;
  readonly message?: string;
};

/** What became of the pieces of a record that belong to a content of several. */
export type PartResult = {
  readonly ordinal: Ordinal;
  readonly entry: number;
  readonly code?: string;
  readonly message?: string;
};

/** A record that did not open, or was not where it was said to be: nothing of it was written. */
export type UnopenedRecord = { readonly ordinal: Ordinal; readonly code: string; readonly message: string };

/** An answer to a job. */
export type RestoreReply =
  | { readonly kind: 'directories'; readonly job: number; readonly directories: readonly DirectoryResult[] }
  | {
      readonly kind: 'entries';
      readonly job: number;
      readonly entries: readonly EntryResult[];
      readonly parts: readonly PartResult[];
      readonly notes: RestoreNotes;
      readonly unopened: readonly UnopenedRecord[];
    }
  | { readonly kind: 'begun'; readonly job: number; readonly inode: bigint }
  | { readonly kind: 'compared'; readonly job: number; readonly comparison: Comparison | undefined }
  | { readonly kind: 'done'; readonly job: number }
  | {
      readonly kind: 'failed';
      readonly job: number;
      readonly code: string;
      readonly errorKind: ErrorKind;
      readonly message: string;
      readonly isBug: boolean;
      /** The entry it was at. */
      readonly entry?: number;
    };
