/**
 * What a restore needs of a file system, as a contract: the agent implements it for its operating system.
 *
 * Everything is synchronous, since workers call it. Descriptors are numbers that are valid in every thread of the
 * process. Every step names one entry of an open directory and follows no link; what may well be refused (an owner, a
 * name, a place that is taken) is an answer, everything else a `CodedError`.
 */
import type { SourceAttributes, SourceRange, SourceType } from '../backup/source.ts';

/** The kind of an entry, as in a backup. */
export type TargetType = SourceType;

/** What a look at an entry says, as in a backup. */
export type TargetAttributes = SourceAttributes;

/** A name in an open directory. */
export type TargetPlace = { readonly directoryFd: number; readonly name: Uint8Array };

/** What became of giving something a name: `bad_name` is one the file system cannot hold (too long, or its characters). */
export type NameOutcome = 'done' | 'exists' | 'bad_name';

/** What a special file is; devices have numbers. */
export type SpecialNode =
  | { readonly type: 'fifo' | 'socket' }
  | { readonly type: 'character_device' | 'block_device'; readonly major: number; readonly minor: number };

/** An instant: whole seconds since 1970, negative before, and the nanoseconds after them. */
export type TargetTime = { readonly seconds: number; readonly nanoseconds: number };

/** One operating system's files, for one thread. */
export type Target = {
  /** Opens a directory of an open one for reading it; a link or anything else of this name is an error. */
  openDirectory(directoryFd: number, name: Uint8Array): number;
  /** Undefined where nothing has this name, or no entry of it can exist here. */
  statAt(directoryFd: number, name: Uint8Array): TargetAttributes | undefined;
  statDescriptor(fd: number): TargetAttributes;
  isEmpty(directoryFd: number): boolean;
  /** Makes a directory that only its owner may enter. */
  makeDirectory(directoryFd: number, name: Uint8Array): NameOutcome;
  /** Makes a file that only its owner may open, for reading and writing; undefined where something has the name. */
  createFile(directoryFd: number, name: Uint8Array): number | undefined;
  /** Opens a regular file, and nothing else ever: undefined where there is none of this name. */
  openFile(directoryFd: number, name: Uint8Array, access: 'read' | 'write'): number | undefined;
  makeSymlink(directoryFd: number, name: Uint8Array, target: Uint8Array): NameOutcome;
  readLink(directoryFd: number, name: Uint8Array): Uint8Array;
  /** False where this process or file system may not have such a node. */
  makeSpecial(directoryFd: number, name: Uint8Array, node: SpecialNode): boolean;
  /** One more name for a file or link; false where the file system does not take it (other volume, too many, unsupported). */
  makeLink(from: TargetPlace, to: TargetPlace): boolean;
  /** Renames at once. `keep` never replaces; `replace` takes the place of anything but a directory (`exists`). */
  rename(from: TargetPlace, to: TargetPlace, over: 'keep' | 'replace'): NameOutcome;
  /** Removes an entry that is no directory; nothing happens where there is none. */
  remove(directoryFd: number, name: Uint8Array): void;
  /** Opens an entry of any type for its attributes only: nothing is read, written or waited for. */
  openPlace(directoryFd: number, name: Uint8Array): number;
  /** Reads up to `into.length` bytes at `position`; 0 at the end. */
  read(fd: number, into: Uint8Array, position: number): number;
  /** The stretches of a range that may hold something else than zeros. */
  dataRanges(fd: number, range: SourceRange): Iterable<SourceRange>;
  /** Writes all bytes at `position`. */
  write(fd: number, bytes: Uint8Array, position: number): void;
  /** Sets the length; what is added is a hole. */
  truncate(fd: number, sizeBytes: number): void;
  /** Lets the disk begin with what was written there, so that forcing it later takes less; promises nothing. */
  beginSync(fd: number, position: number, lengthBytes: number): void;
  /** Whether it was allowed. The setuid and setgid bits are gone afterwards: the mode comes later. */
  setOwner(fd: number, uid: number, gid: number): boolean;
  /** Whether it was allowed; a symlink has no mode and answers true. */
  setMode(fd: number, mode: number): boolean;
  /** Sets the modification time, to the nanosecond where the file system has them. */
  setTime(fd: number, modifiedAt: TargetTime): boolean;
  /** Whether this process and file system allow this attribute. */
  setAttribute(fd: number, name: Uint8Array, value: Uint8Array): boolean;
  /** Takes away access lists that the directory handed down. */
  clearAccessLists(fd: number): void;
  /** Returns when the content and attributes are on stable storage; of a directory, its names. */
  sync(fd: number): void;
  /** The same for everything on the file system that holds what is open. */
  syncFileSystem(fd: number): void;
  close(fd: number): void;
};
