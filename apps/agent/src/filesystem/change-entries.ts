/** Making, renaming and removing entries of open directories; nothing is followed. */
import { emptyAttributes, type FileType, statAt } from './attributes.ts';
import { fileErrors } from './errors.ts';
import { fail, nameOffset, native, putName, putPath, secondNameOffset } from './native.ts';
import type { Descriptor } from './open-relative.ts';

/** Makes a directory; the umask applies to `mode`. */
export function makeDirectory(directoryFd: Descriptor, name: Uint8Array, mode: number): void {
  if (native().libc.mkdirat(directoryFd, putName(name, nameOffset), mode & 0o7777) !== 0) fail('mkdirat', name);
}

/** Makes a symlink to `target`, which is stored as it is and need not exist. */
export function makeSymlink(target: Uint8Array, directoryFd: Descriptor, name: Uint8Array): void {
  const targetAddress = putPath(target, secondNameOffset);
  if (native().libc.symlinkat(targetAddress, directoryFd, putName(name, nameOffset)) !== 0) fail('symlinkat', name);
}

/** Gives a file, or a symlink itself, one more name on the same file system. */
export function makeHardLink(
  fromDirectoryFd: Descriptor,
  fromName: Uint8Array,
  toDirectoryFd: Descriptor,
  toName: Uint8Array,
): void {
  const { libc } = native();
  const from = putName(fromName, nameOffset);
  const to = putName(toName, secondNameOffset);
  if (libc.linkat(fromDirectoryFd, from, toDirectoryFd, to, 0) !== 0) fail('linkat', toName);
}

/** What a special file is: devices need their numbers and root. */
export type SpecialFile =
  | { readonly type: 'fifo' | 'socket' }
  | { readonly type: 'character_device' | 'block_device'; readonly major: number; readonly minor: number };

/** Makes a FIFO, a socket nobody listens on, or a device node; the umask applies to `mode`. */
export function makeSpecialFile(directoryFd: Descriptor, name: Uint8Array, mode: number, special: SpecialFile): void {
  const { libc, syscalls } = native();
  const device = 'major' in special ? encodeDevice(special.major, special.minor) : 0;
  const address = putName(name, nameOffset);
  const typedMode = (typeBits[special.type] << 12) | (mode & 0o7777);
  if (libc.syscall(syscalls.mknodat, directoryFd, address, typedMode, device, 0) !== 0) fail('mknodat', name);
}

/** Removes an entry that is not a directory. */
export function removeEntry(directoryFd: Descriptor, name: Uint8Array): void {
  if (native().libc.unlinkat(directoryFd, putName(name, nameOffset), 0) !== 0) fail('unlinkat', name);
}

/** Removes an empty directory. */
export function removeDirectory(directoryFd: Descriptor, name: Uint8Array): void {
  if (native().libc.unlinkat(directoryFd, putName(name, nameOffset), removeDirectoryFlag) !== 0) fail('unlinkat', name);
}

/** What a rename does with an entry that has the new name already. */
export type RenameOver = 'replace' | 'keep' | 'exchange';

/** One end of a rename. */
export type EntryPlace = { readonly directoryFd: Descriptor; readonly name: Uint8Array };

/**
 * Renames within one file system, at once. `keep` throws `files.exists` instead of replacing, `exchange` swaps the two;
 * a file system that cannot (NFS, some FUSE) throws `files.invalid_argument` for both.
 */
export function renameEntry(from: EntryPlace, to: EntryPlace, over: RenameOver): void {
  const { libc, syscalls } = native();
  const fromAddress = putName(from.name, nameOffset);
  const toAddress = putName(to.name, secondNameOffset);
  const flags = renameFlags[over];
  if (libc.syscall(syscalls.renameat2, from.directoryFd, fromAddress, to.directoryFd, toAddress, flags) !== 0) {
    fail('renameat2', from.name);
  }
}

/** Whether an entry of this name is there, and of which type; undefined where there is none. */
export function entryType(directoryFd: Descriptor, name: Uint8Array): FileType | undefined {
  return statAt(directoryFd, name, probe)?.type;
}

const probe = emptyAttributes();
const removeDirectoryFlag = 0x200;
const renameFlags: Readonly<Record<RenameOver, number>> = { replace: 0, keep: 1, exchange: 2 };
const typeBits: Readonly<Record<SpecialFile['type'], number>> = {
  fifo: 0o01,
  character_device: 0o02,
  block_device: 0o06,
  socket: 0o14,
};

/** The kernel's call takes 12 bits of major and 20 of minor, the low 8 of the minor first. */
function encodeDevice(major: number, minor: number): number {
  if (!inRange(major, 0xfff) || !inRange(minor, 0xf_ffff)) throw fileErrors.invalid_argument({ field: 'device' });
  return (minor & 0xff) + major * 0x100 + (minor >>> 8) * 0x10_0000;
}

function inRange(value: number, last: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= last;
}
