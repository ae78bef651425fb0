/** What the operating system refuses, as declared errors. */
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { type CodedError, defineErrors, type ErrorDetails } from '@holdfast/base';
import { printableName } from './file-name.ts';

/** Failures of operations on files; `details` holds `syscall`, `errno` (its name) and the printable `name`. */
export const fileErrors = defineErrors('files', {
  not_found: ['not_found', 'No such file or folder'],
  permission_denied: ['forbidden', 'The operating system does not permit this'],
  exists: ['conflict', 'Something of this name exists already'],
  loop: ['conflict', 'A symbolic link stands where none may be followed'],
  not_directory: ['conflict', 'Not a folder'],
  is_directory: ['conflict', 'A folder, where a file was expected'],
  not_empty: ['conflict', 'The folder is not empty'],
  busy: ['unavailable', 'The file is in use'],
  cross_device: ['conflict', 'The two places are on different file systems'],
  too_many_links: ['conflict', 'The file has as many links as its file system allows'],
  disk_full: ['exhausted', 'No space left on the file system'],
  quota_exceeded: ['exhausted', 'The disk quota is used up'],
  too_many_open: ['exhausted', 'Too many open files'],
  out_of_memory: ['exhausted', 'The kernel is out of memory'],
  read_only: ['forbidden', 'The file system is read-only'],
  invalid_name: ['invalid', 'Not the name of one entry of a folder'],
  name_too_long: ['invalid', 'The name is too long'],
  too_large: ['invalid', 'Larger than the file system or the call allows'],
  invalid_argument: ['invalid', 'The file system does not take this value'],
  attribute_missing: ['not_found', 'No such extended attribute'],
  bad_descriptor: ['conflict', 'The descriptor is not open for this'],
  would_block: ['unavailable', 'Nothing to read yet'],
  unsupported: ['invalid', 'The file system does not support this'],
  unsupported_platform: ['invalid', 'Only built for Linux on x86-64 and arm64'],
  stale: ['unavailable', 'The file system lost this file'],
  device_gone: ['unavailable', 'The device is not there'],
  io_failed: ['unavailable', 'Reading or writing the device failed'],
  failed: ['unavailable', 'The operating system refused'],
});

type Reason = keyof typeof fileErrors;

const reasonOf: Readonly<Record<string, Reason>> = {
  ENOENT: 'not_found',
  EACCES: 'permission_denied',
  EPERM: 'permission_denied',
  EEXIST: 'exists',
  ELOOP: 'loop',
  ENOTDIR: 'not_directory',
  EISDIR: 'is_directory',
  ENOTEMPTY: 'not_empty',
  EBUSY: 'busy',
  ETXTBSY: 'busy',
  EXDEV: 'cross_device',
  EMLINK: 'too_many_links',
  ENOSPC: 'disk_full',
  EDQUOT: 'quota_exceeded',
  EMFILE: 'too_many_open',
  ENFILE: 'too_many_open',
  ENOMEM: 'out_of_memory',
  EROFS: 'read_only',
  ENAMETOOLONG: 'name_too_long',
  EFBIG: 'too_large',
  E2BIG: 'too_large',
  ERANGE: 'too_large',
  EOVERFLOW: 'too_large',
  EINVAL: 'invalid_argument',
  ENODATA: 'attribute_missing',
  EBADF: 'bad_descriptor',
  EAGAIN: 'would_block',
  ENOTSUP: 'unsupported',
  EOPNOTSUPP: 'unsupported',
  ENOSYS: 'unsupported',
  ENOTTY: 'unsupported',
  ESTALE: 'stale',
  ENODEV: 'device_gone',
  ENXIO: 'device_gone',
  ENOTCONN: 'device_gone',
  EIO: 'io_failed',
  EUCLEAN: 'io_failed',
};

/** The declared error of a Linux errno: `errno` is positive; `name` the entry or path it happened to. */
export function fileError(errno: number, syscall: string, name?: Uint8Array | string): CodedError {
  const errnoName = errno === constants.errno.EOPNOTSUPP ? 'EOPNOTSUPP' : getSystemErrorName(-errno);
  return declare(errnoName, { syscall, errno: errnoName, ...named(name) });
}

/** Declares what `node:fs` threw; anything without a system errno is a bug and comes back as it is. */
export function asFileError(error: unknown, name?: Uint8Array | string): unknown {
  if (!(error instanceof Error)) return error;
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (typeof code !== 'string' || typeof syscall !== 'string') return error;
  return declare(code, { syscall, errno: code, ...named(name) }, error);
}

function declare(errnoName: string, details: ErrorDetails, cause?: unknown): CodedError {
  return fileErrors[reasonOf[errnoName] ?? 'failed'](details, cause);
}

function named(name: Uint8Array | string | undefined): ErrorDetails {
  if (name === undefined) return {};
  return { name: typeof name === 'string' ? name : printableName(name) };
}
