import { fileErrors } from '../filesystem/index.ts';
import { fail, native } from '../filesystem/native.ts';

/** `syncfs` of unistd.h, by the numbers of the kernel. */
const syncfsNumbers: Readonly<Partial<Record<string, number>>> = { x64: 306, arm64: 267 };

/** Returns when all that was written to the file system of an open file or directory is on stable storage. */
export function syncFileSystem(fd: number): void {
  const number = syncfsNumbers[process.arch];
  if (number === undefined) throw fileErrors.unsupported_platform({ platform: process.platform, arch: process.arch });
  if (native().libc.syscall(number, fd, 0, 0, 0, 0) !== 0) fail('syncfs');
}

/** `sync_file_range` of fcntl.h, by the numbers of the kernel. */
const rangeNumbers: Readonly<Partial<Record<string, number>>> = { x64: 277, arm64: 84 };
const startWriting = 2;

/** Starts writing a stretch of a file to the disk and does not wait. What it says of failures, a later sync says again. */
export function beginSync(fd: number, position: number, lengthBytes: number): void {
  const number = rangeNumbers[process.arch];
  if (number !== undefined) native().libc.syscall(number, fd, position, lengthBytes, startWriting, 0);
}
