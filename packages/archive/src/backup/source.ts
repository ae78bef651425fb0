/**
 * What the engine needs of a file system, as a contract: the agent implements it for its operating system.
 *
 * Everything is synchronous, since workers call it. Descriptors are numbers that are valid in every thread. Entries are
 * opened relative to their parent's descriptor and never through a link.
 */

/** The kind of an entry of a file system. */
export type SourceType = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'character_device' | 'block_device';

/** What is known of an entry without opening it. Instants are whole seconds since 1970 and the nanoseconds after them. */
export type SourceAttributes = {
  type: SourceType;
  /** The lower twelve bits: permissions, setuid, setgid and sticky. */
  mode: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  /** Allocated 512-byte blocks; fewer than the size needs means holes. */
  blocks: number;
  links: number;
  inode: bigint;
  device: number;
  /** The entry is the root of a mount: what is in it belongs to another volume. */
  mountRoot: boolean;
  rdevMajor: number;
  rdevMinor: number;
  mtimeSeconds: number;
  mtimeNanoseconds: number;
  ctimeSeconds: number;
  ctimeNanoseconds: number;
  birthSeconds: number;
  birthNanoseconds: number;
  birthKnown: boolean;
};

/** A name and value; by rising name in lists. */
export type SourceAttribute = { readonly name: Uint8Array; readonly value: Uint8Array };

/** The names of a directory by rising bytes; views that last as long as the listing. */
export type SourceNames = { readonly count: number; nameAt(place: number): Uint8Array };

/** A stretch of a file, in bytes. */
export type SourceRange = { readonly offset: number; readonly length: number };

/** The names of an owner, where the machine knows them. */
export type OwnerNames = { readonly user?: Uint8Array; readonly group?: Uint8Array };

/** Where a directory lies: the file system it is on, known by something that outlives the mount point. */
export type SourceVolume = {
  /** Stable over restarts and mount points. */
  readonly identifier: string;
  /** Absolute path under which it is mounted now. */
  readonly mountPoint: Uint8Array;
  /** A file system made by the kernel or kept in memory (proc, sysfs, tmpfs): nothing there is ever protected. */
  readonly isVirtual: boolean;
};

/** One operating system's files, for one thread. Failures are `CodedError`s of kind not_found, forbidden, unavailable… */
export type Source = {
  /** Opens a directory by absolute path, links followed: only for the root of a volume. */
  openDirectory(path: Uint8Array): number;
  openChildDirectory(directoryFd: number, name: Uint8Array): number;
  /** All names but `.` and `..`, raw. */
  names(directoryFd: number): SourceNames;
  /** Fills `into`; undefined where nothing has this name. */
  statAt(directoryFd: number, name: Uint8Array, into: SourceAttributes): SourceAttributes | undefined;
  statDescriptor(fd: number, into: SourceAttributes): SourceAttributes;
  /** Opens a regular file for reading if it still is the recorded one; undefined otherwise. */
  openRecorded(
    directoryFd: number,
    name: Uint8Array,
    recorded: SourceAttributes,
    into: SourceAttributes,
  ): number | undefined;
  /** Reads up to `into.length` bytes at `position`; 0 at the end. */
  read(fd: number, into: Uint8Array, position: number): number;
  /** The stretches of a range that hold data; what is between them are holes. */
  dataRanges(fd: number, range: SourceRange): Iterable<SourceRange>;
  readLink(directoryFd: number, name: Uint8Array): Uint8Array;
  /** Extended attributes of an entry of any type, by rising name. */
  attributes(directoryFd: number, name: Uint8Array): readonly SourceAttribute[];
  /** Extended attributes of what is open. */
  attributesOf(fd: number): readonly SourceAttribute[];
  ownerNames(uid: number, gid: number): OwnerNames;
  volumeOf(directoryFd: number): SourceVolume;
  close(fd: number): void;
};

/** Attributes to be filled again and again, so that a walk allocates nothing. */
export function emptySourceAttributes(): SourceAttributes {
  return {
    type: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    sizeBytes: 0,
    blocks: 0,
    links: 0,
    inode: 0n,
    device: 0,
    mountRoot: false,
    rdevMajor: 0,
    rdevMinor: 0,
    mtimeSeconds: 0,
    mtimeNanoseconds: 0,
    ctimeSeconds: 0,
    ctimeNanoseconds: 0,
    birthSeconds: 0,
    birthNanoseconds: 0,
    birthKnown: false,
  };
}

/** Whether both describe one file in one state. */
export function isSameState(a: SourceAttributes, b: SourceAttributes): boolean {
  return (
    a.inode === b.inode &&
    a.device === b.device &&
    a.type === b.type &&
    a.sizeBytes === b.sizeBytes &&
    a.mode === b.mode &&
    a.mtimeSeconds === b.mtimeSeconds &&
    a.mtimeNanoseconds === b.mtimeNanoseconds &&
    a.ctimeSeconds === b.ctimeSeconds &&
    a.ctimeNanoseconds === b.ctimeNanoseconds
  );
}
