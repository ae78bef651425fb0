/**
 * Writing times, permissions and owners. Everything takes a descriptor, which may be one from `openPlace`: so symlinks,
 * FIFOs, sockets and devices are reached without opening them and without following anything.
 */
import { constants } from 'node:os';
import {
  fail,
  lastErrno,
  nameOffset,
  native,
  putDescriptorPath,
  putName,
  scratchView,
  structOffset,
} from './native.ts';
import type { Descriptor } from './open-relative.ts';

/** Access and modification time: whole seconds since 1970 (negative before), and 0 to 999,999,999 nanoseconds after them. */
export type FileTimes = {
  readonly atimeSeconds: number;
  readonly atimeNanoseconds: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
};

/** Sets both times, to the nanosecond; a file system of coarser or narrower times rounds and clamps. */
export function setTimes(fd: Descriptor, times: FileTimes): void {
  const { libc } = native();
  const timesAddress = putTimes(times);
  if (libc.futimens(fd, timesAddress) === 0) return;
  if (lastErrno() !== constants.errno.EBADF) fail('futimens');
  const path = putDescriptorPath(fd, nameOffset);
  if (libc.utimensat(currentDirectory, path, timesAddress, 0) !== 0) fail('utimensat');
}

/** Sets both times of an entry of an open directory, of a symlink its own. */
export function setTimesAt(directoryFd: Descriptor, name: Uint8Array, times: FileTimes): void {
  const { libc } = native();
  const nameAddress = putName(name, nameOffset);
  if (libc.utimensat(directoryFd, nameAddress, putTimes(times), symlinkNoFollow) !== 0) fail('utimensat', name);
}

/** Sets the lower twelve bits of the mode. A symlink has none on Linux: throws `files.unsupported`. */
export function setMode(fd: Descriptor, mode: number): void {
  const { libc } = native();
  if (libc.fchmod(fd, mode & 0o7777) === 0) return;
  if (lastErrno() !== constants.errno.EBADF) fail('fchmod');
  if (libc.chmod(putDescriptorPath(fd, nameOffset), mode & 0o7777) !== 0) fail('chmod');
}

/** Sets owner and group, of a symlink its own. The kernel clears setuid and setgid: set the mode afterwards. */
export function setOwner(fd: Descriptor, uid: number, gid: number): void {
  const { libc, address } = native();
  scratchView.setUint8(nameOffset, 0);
  if (libc.fchownat(fd, address + nameOffset, uid, gid, emptyPath) !== 0) fail('fchownat');
}

/** Sets owner and group of an entry of an open directory, of a symlink its own. */
export function setOwnerAt(directoryFd: Descriptor, name: Uint8Array, uid: number, gid: number): void {
  const nameAddress = putName(name, nameOffset);
  if (native().libc.fchownat(directoryFd, nameAddress, uid, gid, symlinkNoFollow) !== 0) fail('fchownat', name);
}

const currentDirectory = -100;
const symlinkNoFollow = 0x100;
const emptyPath = 0x1000;

function putTimes(times: FileTimes): number {
  scratchView.setBigInt64(structOffset, BigInt(times.atimeSeconds), true);
  scratchView.setBigInt64(structOffset + 8, BigInt(times.atimeNanoseconds), true);
  scratchView.setBigInt64(structOffset + 16, BigInt(times.mtimeSeconds), true);
  scratchView.setBigInt64(structOffset + 24, BigInt(times.mtimeNanoseconds), true);
  return native().address + structOffset;
}
