/** What planning needs of an archive, and where a plan goes. Nothing here is of Node: a browser plans its restores too. */
import type { Extent, Reference } from '../format/extent.ts';
import type { MapEntry } from '../format/tree-node.ts';
import type { DirectoryPlace, FoundPath, FoundRow, ListedRow, PathVersion } from '../tree/state.ts';

/** The names of an archive at any commit: `ArchiveState` is one. */
export type RestoreReader = {
  readonly head: number;
  lookup(names: readonly Uint8Array[], commit: number): Promise<FoundPath | undefined>;
  list(place: DirectoryPlace, commit: number): AsyncIterable<ListedRow>;
  rowAt(place: DirectoryPlace, name: Uint8Array, commit: number): Promise<FoundRow | undefined>;
  history(names: readonly Uint8Array[]): Promise<readonly PathVersion[]>;
  range(from: Uint8Array, to?: Uint8Array): AsyncIterable<MapEntry>;
  resolveExtent(extent: Extent): Promise<Extent>;
  resolveList(list: Reference): Promise<Reference>;
};

/** Contents that planning itself must read: lists of pieces, and long extended attributes. */
export type ContentLoader = {
  /** Raw bytes of a list record that have this hash. */
  list(reference: Reference): Promise<Uint8Array>;
  /** Bytes of a piece, checked. */
  piece(extent: Extent): Promise<Uint8Array>;
};

/** A directory of the target. */
export type PlannedDirectory = {
  readonly parent: number;
  readonly name: Uint8Array;
  /** Its own row; empty where the archive has none: a step on the way. */
  readonly row: Uint8Array;
  readonly xattrs: Uint8Array;
};

/** Anything that is no directory. */
export type PlannedEntry = {
  readonly directory: number;
  readonly name: Uint8Array;
  readonly type: number;
  readonly row: Uint8Array;
  readonly xattrs: Uint8Array;
  readonly sizeBytes: number;
  /** Names with the same group and the same key are one file. */
  readonly linkGroup?: number;
  /** What two names of one file must have in common: type and content. Of the length of a hash. */
  readonly linkKey?: Uint8Array;
  readonly isFuzzy: boolean;
};

/** A piece of an entry that lies in a record, as it lies now. */
export type PlannedPiece = { readonly position: number; readonly extent: Extent };

/** Something that will not be restored, or not wholly. */
export type PlanProblem = { readonly code: string; readonly message: string };

/** Takes a plan in as it is made, so that a restore of any size needs the memory of one entry. */
export type PlanSink = {
  /** The number of the directory; that of the one planned before where parent and name are the same. 0 is the target itself. */
  addDirectory(directory: PlannedDirectory): number;
  /** Gives the target directory itself the metadata of a recorded one. */
  describeRoot(row: Uint8Array, xattrs: Uint8Array): void;
  /** Takes an entry. `isLink`: it is one more name of a file planned before, whose content is not needed again. */
  addEntry(entry: PlannedEntry): { readonly entry: number; readonly isLink: boolean };
  addPiece(entry: number, piece: PlannedPiece): void;
  /** The entry cannot be restored. */
  fail(entry: number, problem: PlanProblem): void;
  /** Something is wrong with what is below a directory, or with a part of an entry: the rest is restored. */
  report(at: { readonly directory: number; readonly name: Uint8Array }, problem: PlanProblem): void;
};
