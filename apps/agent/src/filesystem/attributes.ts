/** What a file system says about an entry, without following it and without opening it. */
import { constants } from 'node:os';
import { emptySourceAttributes, type SourceAttributes, type SourceType } from '@holdfast/archive';
import { fail, lastErrno, nameOffset, native, putName, scratch, scratchView, structOffset } from './native.ts';

/** The kind of an entry. */
export type FileType = SourceType;

/**
 * Everything `statx` tells. Instants are whole seconds since 1970 (negative before) and the nanoseconds after them;
 * seconds are exact up to 2^53. Where the file system does not say when it was created, `birthKnown` is false. Filled in
 * place where the caller gives one, so that a walk allocates nothing.
 */
export type FileAttributes = SourceAttributes & {
  /** The number of the mount it was reached through; 0 before Linux 5.8. Bind mounts differ here, not in `device`. */
  mountId: number;
  atimeSeconds: number;
  atimeNanoseconds: number;
  /** No byte, name or attribute of it can be changed (`chattr +i`). */
  immutable: boolean;
  /** Can only grow (`chattr +a`). */
  appendOnly: boolean;
};

/** Attributes to be filled: a caller keeps one and passes it again and again. */
export function emptyAttributes(): FileAttributes {
  return {
    ...emptySourceAttributes(),
    mountId: 0,
    atimeSeconds: 0,
    atimeNanoseconds: 0,
    immutable: false,
    appendOnly: false,
  };
}

/**
 * The attributes of an entry of an open directory; a symlink is described, not followed, and nothing is mounted on the way.
 *
 * @param into filled and returned where given
 * @returns undefined where nothing has this name
 */
export function statAt(
  directoryFd: number,
  name: Uint8Array,
  into: FileAttributes = emptyAttributes(),
): FileAttributes | undefined {
  const { libc, address } = native();
  const nameAddress = putName(name, nameOffset);
  if (libc.statx(directoryFd, nameAddress, symlinkNoFollow | noAutomount, wanted, address + structOffset) !== 0) {
    if (lastErrno() === constants.errno.ENOENT) return undefined;
    fail('statx', name);
  }
  return decode(into);
}

/** The attributes of an open descriptor, also of one opened for its place only (`openPlace`). */
export function statDescriptor(fd: number, into: FileAttributes = emptyAttributes()): FileAttributes {
  const { libc, address } = native();
  scratch[nameOffset] = 0;
  if (libc.statx(fd, address + nameOffset, emptyPath, wanted, address + structOffset) !== 0) fail('statx');
  return decode(into);
}

/** Whether both describe one file: same file system, inode, type and, where known, birth (inodes are used again). */
export function isSameFile(a: FileAttributes, b: FileAttributes): boolean {
  return (
    a.inode === b.inode &&
    a.device === b.device &&
    a.type === b.type &&
    a.birthSeconds === b.birthSeconds &&
    a.birthNanoseconds === b.birthNanoseconds
  );
}

/** Whether both describe one file in one state: the same file, and size, modification, change and mode have not moved. */
export function isUnchanged(a: FileAttributes, b: FileAttributes): boolean {
  return (
    isSameFile(a, b) &&
    a.sizeBytes === b.sizeBytes &&
    a.mtimeSeconds === b.mtimeSeconds &&
    a.mtimeNanoseconds === b.mtimeNanoseconds &&
    a.ctimeSeconds === b.ctimeSeconds &&
    a.ctimeNanoseconds === b.ctimeNanoseconds &&
    a.mode === b.mode
  );
}

const symlinkNoFollow = 0x100;
const noAutomount = 0x800;
const emptyPath = 0x1000;
const basicStats = 0x7ff;
const birthTime = 0x800;
const mountNumber = 0x1000;
const wanted = basicStats | birthTime | mountNumber;
const attributeImmutable = 0x10;
const attributeAppend = 0x20;
const attributeMountRoot = 0x2000;

/** By the numbers of S_IFMT over 4096, which DT_* of dirent.h are too; 0 is unknown. */
export const fileTypes: readonly (FileType | undefined)[] = [
  undefined,
  'fifo',
  'character_device',
  undefined,
  'directory',
  undefined,
  'block_device',
  undefined,
  'file',
  undefined,
  'symlink',
  undefined,
  'socket',
];

/** Offsets are those of `struct statx` in linux/stat.h. */
function decode(into: FileAttributes): FileAttributes {
  const view = scratchView;
  const mask = view.getUint32(structOffset, true);
  const attributes = view.getUint32(structOffset + 8, true);
  const mode = view.getUint16(structOffset + 28, true);
  into.type = fileTypes[mode >> 12] ?? 'file';
  into.mode = mode & 0o7777;
  into.links = view.getUint32(structOffset + 16, true);
  into.uid = view.getUint32(structOffset + 20, true);
  into.gid = view.getUint32(structOffset + 24, true);
  into.inode = view.getBigUint64(structOffset + 32, true);
  into.sizeBytes = unsigned64(40);
  into.blocks = unsigned64(48);
  into.atimeSeconds = signed64(64);
  into.atimeNanoseconds = view.getUint32(structOffset + 72, true);
  into.birthKnown = (mask & birthTime) !== 0;
  into.birthSeconds = into.birthKnown ? signed64(80) : 0;
  into.birthNanoseconds = into.birthKnown ? view.getUint32(structOffset + 88, true) : 0;
  into.ctimeSeconds = signed64(96);
  into.ctimeNanoseconds = view.getUint32(structOffset + 104, true);
  into.mtimeSeconds = signed64(112);
  into.mtimeNanoseconds = view.getUint32(structOffset + 120, true);
  into.rdevMajor = view.getUint32(structOffset + 128, true);
  into.rdevMinor = view.getUint32(structOffset + 132, true);
  into.device = view.getUint32(structOffset + 136, true) * 0x10_0000 + view.getUint32(structOffset + 140, true);
  into.mountId = (mask & mountNumber) !== 0 ? unsigned64(144) : 0;
  into.mountRoot = (attributes & attributeMountRoot) !== 0;
  into.immutable = (attributes & attributeImmutable) !== 0;
  into.appendOnly = (attributes & attributeAppend) !== 0;
  return into;
}

function unsigned64(offset: number): number {
  const at = structOffset + offset;
  return scratchView.getUint32(at + 4, true) * 0x1_0000_0000 + scratchView.getUint32(at, true);
}

function signed64(offset: number): number {
  const at = structOffset + offset;
  return scratchView.getInt32(at + 4, true) * 0x1_0000_0000 + scratchView.getUint32(at, true);
}
