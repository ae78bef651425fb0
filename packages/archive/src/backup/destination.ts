import type { Ordinal } from '../format/ordinal.ts';

/** Where a file of this machine has a record. Nobody looked at it: it may be damaged, or gone by the time it is read. */
export type RecordLocation = { readonly file: string; readonly offset: number; readonly lengthBytes: number };

/** What of a destination concerns who reads from it. */
export type ReadableDestination = {
  readonly name: string;
  /** The records with these ordinals that are there, whole, in whatever order suits the destination. */
  read(ordinals: readonly Ordinal[], signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /**
   * Where this machine has these records as files, in storage order, for whoever checks what they open; those it says
   * nothing of, and those that turn out wrong, are to be asked of `read`. Absent where records are not files.
   */
  locate?(ordinals: readonly Ordinal[]): Promise<readonly (RecordLocation & { readonly ordinal: Ordinal })[]>;
};

/** Where records go and come from: a folder on a disk, or the cloud. One session, opened before. */
export type Destination = ReadableDestination & {
  /**
   * Adds whole records, at most 4 MiB and a record; resolves once they are on stable storage there, indexed and
   * readable. Several calls may be under way; they take effect in the order they were made.
   */
  append(fragment: Uint8Array): Promise<void>;
};
