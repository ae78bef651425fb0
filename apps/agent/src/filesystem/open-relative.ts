/**
 * Opening by descriptor: every step names one entry of a directory that is already open and follows no link, so that
 * whoever swaps a directory for a link meanwhile gains nothing. Paths have no length limit this way.
 *
 * Descriptors are plain numbers: `node:fs` reads, writes, truncates and syncs them. Close them with `closeDescriptor`:
 * `node:fs` warns in a worker about descriptors it did not open.
 */
import { constants as fs } from 'node:fs';
import { constants as os } from 'node:os';
import { emptyAttributes, type FileAttributes, isSameFile, statDescriptor } from './attributes.ts';
import { fileError, fileErrors } from './errors.ts';
import { nameBytes } from './file-name.ts';
import { fail, lastErrno, nameOffset, native, putDescriptorPath, putName, putPath } from './native.ts';

/** An open descriptor, valid in every thread of the process until it is closed. */
export type Descriptor = number;

const currentDirectory = -100;
const closeOnExec = 0o2_000_000;
const placeOnly = 0o10_000_000;
const noAccessTime = 0o1_000_000;
/** Never wait for the other end of a FIFO, never take a terminal, never follow a link, never leak to a child. */
const always = closeOnExec | fs.O_NOFOLLOW | fs.O_NONBLOCK | fs.O_NOCTTY;
/** The kernel takes 4,096 bytes with the zero byte; longer paths are walked in stretches of less. */
const stretchBytes = 4095;

/** Closes a descriptor. Throws what the file system reports only now (`files.io_failed`, `files.disk_full`); it is closed all the same. */
export function closeDescriptor(fd: Descriptor): void {
  if (native().libc.close(fd) !== 0) fail('close');
}

/** Runs `work` with a descriptor and closes it afterwards, whatever happens. */
export function withDescriptor<T>(fd: Descriptor, work: (fd: Descriptor) => T): T {
  try {
    return work(fd);
  } finally {
    native().libc.close(fd);
  }
}

/**
 * Opens a directory by path: where a walk begins. Links on the way are followed, as the person who named the path meant;
 * relative paths start at the working directory. Any length.
 */
export function openDirectory(path: string | Uint8Array): Descriptor {
  const bytes = typeof path === 'string' ? nameBytes(path) : path;
  let from = currentDirectory;
  for (const stretch of stretches(bytes)) {
    const parent = from;
    const { libc } = native();
    from = openRetrying(parent, putPath(stretch, nameOffset), fs.O_RDONLY | fs.O_DIRECTORY | closeOnExec, 0);
    const errno = from < 0 ? lastErrno() : 0;
    if (parent >= 0) libc.close(parent);
    if (from < 0) throw fileError(errno, 'openat', bytes);
  }
  return from;
}

/** Opens an entry of an open directory without following it. `flags` are those of `node:fs` constants; throws `files.loop` for a symlink. */
export function openChild(directoryFd: Descriptor, name: Uint8Array, flags: number = fs.O_RDONLY): Descriptor {
  const address = putName(name, nameOffset);
  const fd = openRetrying(directoryFd, address, flags | always, 0);
  if (fd < 0) fail('openat', name);
  return fd;
}

/** Opens a directory of an open directory. Throws `files.not_directory` or `files.loop` where anything else has the name. */
export function openChildDirectory(directoryFd: Descriptor, name: Uint8Array): Descriptor {
  return openChild(directoryFd, name, fs.O_RDONLY | fs.O_DIRECTORY);
}

/** Opens the place of an entry of any type, a symlink itself included, without opening what is there: enough for attributes, not for content. */
export function openPlace(directoryFd: Descriptor, name: Uint8Array): Descriptor {
  return openChild(directoryFd, name, placeOnly);
}

/**
 * Opens a file or directory for reading, provided that it is still the one that `recorded` describes.
 *
 * Leaves its access time alone where the kernel lets this process. The caller compares `into` with `recorded` by
 * `isUnchanged` before the first read and again after the last.
 *
 * @param into receives the attributes of what was opened
 * @returns undefined where another file, a link or nothing has the name by now; never opens a FIFO, socket or device
 */
export function openRecorded(
  directoryFd: Descriptor,
  name: Uint8Array,
  recorded: FileAttributes,
  into: FileAttributes = emptyAttributes(),
): Descriptor | undefined {
  const fd = openSparingAccessTime(directoryFd, name, recorded);
  if (fd < 0) {
    if (replaced.has(lastErrno())) return undefined;
    fail('openat', name);
  }
  if (isSameFile(recorded, statOrClose(fd, into))) return fd;
  native().libc.close(fd);
  return undefined;
}

/** The descriptor, or what openat answered. Only an owner may leave the access time alone. */
function openSparingAccessTime(directoryFd: Descriptor, name: Uint8Array, recorded: FileAttributes): number {
  if (recorded.type !== 'file' && recorded.type !== 'directory') throw fileErrors.unsupported({ type: recorded.type });
  const address = putName(name, nameOffset);
  const flags = fs.O_RDONLY | always | (recorded.type === 'directory' ? fs.O_DIRECTORY : 0);
  const owned = effectiveUserId() === 0 || effectiveUserId() === recorded.uid;
  const fd = openRetrying(directoryFd, address, owned ? flags | noAccessTime : flags, 0);
  return fd < 0 && owned && lastErrno() === os.errno.EPERM ? openRetrying(directoryFd, address, flags, 0) : fd;
}

/** Creates a file for reading and writing, with exactly the permissions `mode` once `setMode` ran (the umask applies here). Throws `files.exists` for anything of this name, a link included. */
export function createFile(directoryFd: Descriptor, name: Uint8Array, mode: number): Descriptor {
  const address = putName(name, nameOffset);
  const flags = fs.O_RDWR | fs.O_CREAT | fs.O_EXCL | always;
  const fd = openRetrying(directoryFd, address, flags, mode & 0o7777);
  if (fd < 0) fail('openat', name);
  return fd;
}

/** Opens again, with other flags, exactly what a descriptor stands for: for one from `openPlace`, or to write what was opened to read. */
export function reopen(fd: Descriptor, flags: number): Descriptor {
  const address = putDescriptorPath(fd, nameOffset);
  const again = openRetrying(currentDirectory, address, flags | closeOnExec | fs.O_NONBLOCK | fs.O_NOCTTY, 0);
  if (again < 0) fail('openat');
  return again;
}

/** What openat says when something else took the name since it was recorded. */
const replaced: ReadonlySet<number> = new Set([os.errno.ELOOP, os.errno.ENOTDIR, os.errno.ENOENT, os.errno.ENXIO]);

function statOrClose(fd: Descriptor, into: FileAttributes): FileAttributes {
  try {
    return statDescriptor(fd, into);
  } catch (error) {
    native().libc.close(fd);
    throw error;
  }
}

let userId: number | undefined;

/** Only a hint whether to try O_NOATIME first, so it need not follow a later setuid. */
function effectiveUserId(): number {
  userId ??= process.geteuid?.() ?? -1;
  return userId;
}

/** openat until no signal interrupts it (network file systems, FUSE). The name must still lie at `address`. */
function openRetrying(directoryFd: Descriptor, address: number, flags: number, mode: number): number {
  const { libc } = native();
  let fd = libc.openat(directoryFd, address, flags, mode);
  while (fd < 0 && lastErrno() === os.errno.EINTR) fd = libc.openat(directoryFd, address, flags, mode);
  return fd;
}

/** Cuts a path at slashes into stretches the kernel takes; the second and later ones are relative. */
function* stretches(path: Uint8Array): Generator<Uint8Array> {
  if (path.length === 0) throw fileErrors.invalid_name({ field: 'path' });
  let start = 0;
  while (path.length - start > stretchBytes) {
    const slash = path.subarray(start, start + stretchBytes).lastIndexOf(0x2f);
    if (slash <= 0) throw fileErrors.name_too_long({ field: 'path' });
    yield path.subarray(start, start + slash);
    start += slash;
    while (path[start] === 0x2f) start++;
  }
  if (start < path.length) yield path.subarray(start);
}
