/** Targets of symbolic links. */
import { bulkBytes, bulkOffset, fail, nameOffset, native, putName, scratch } from './native.ts';
import type { Descriptor } from './open-relative.ts';

/** The raw target of a symlink in an open directory, a copy. Throws `files.invalid_argument` where it is no symlink. */
export function readLink(directoryFd: Descriptor, name: Uint8Array): Uint8Array {
  const { libc, address } = native();
  const length = libc.readlinkat(directoryFd, putName(name, nameOffset), address + bulkOffset, bulkBytes);
  if (length < 0) fail('readlinkat', name);
  return scratch.slice(bulkOffset, bulkOffset + length);
}
