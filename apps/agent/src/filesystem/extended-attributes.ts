/**
 * Extended attributes, POSIX ACLs among them (`system.posix_acl_access`, `system.posix_acl_default`).
 *
 * A descriptor from `openPlace` works as well: the call then goes through `/proc/self/fd`, which reaches a symlink or a
 * special file itself.
 */
import { constants } from 'node:os';
import { fileErrors } from './errors.ts';
import {
  bulkBytes,
  bulkOffset,
  fail,
  lastErrno,
  nameOffset,
  native,
  putDescriptorPath,
  putPath,
  scratch,
  secondNameOffset,
} from './native.ts';
import type { Descriptor } from './open-relative.ts';

/** The names of all attributes the caller may see, in no order; empty where the file system has none. */
export function listExtendedAttributes(fd: Descriptor): Uint8Array[] {
  const { libc, address } = native();
  let length = libc.flistxattr(fd, address + bulkOffset, bulkBytes);
  if (length < 0 && lastErrno() === constants.errno.EBADF) {
    length = libc.listxattr(putDescriptorPath(fd, secondNameOffset), address + bulkOffset, bulkBytes);
  }
  if (length < 0) {
    if (lastErrno() === constants.errno.EOPNOTSUPP) return [];
    fail('flistxattr');
  }
  return length === 0 ? [] : splitAtZero(bulkOffset, bulkOffset + length);
}

/** The value of an attribute, a copy; undefined where it is not there. At most 64 KiB. */
export function getExtendedAttribute(fd: Descriptor, name: Uint8Array): Uint8Array | undefined {
  const { libc, address } = native();
  const nameAddress = putPath(name, nameOffset);
  let length = libc.fgetxattr(fd, nameAddress, address + bulkOffset, bulkBytes);
  if (length < 0 && lastErrno() === constants.errno.EBADF) {
    const path = putDescriptorPath(fd, secondNameOffset);
    length = libc.getxattr(path, nameAddress, address + bulkOffset, bulkBytes);
  }
  if (length < 0) {
    if (lastErrno() === constants.errno.ENODATA) return undefined;
    fail('fgetxattr', name);
  }
  return scratch.slice(bulkOffset, bulkOffset + length);
}

/** Sets an attribute, replacing its value. `user.*` is for files and directories only, `trusted.*` for root. */
export function setExtendedAttribute(fd: Descriptor, name: Uint8Array, value: Uint8Array): void {
  const { libc, address } = native();
  if (value.length > bulkBytes) throw fileErrors.too_large({ field: 'value' });
  const nameAddress = putPath(name, nameOffset);
  scratch.set(value, bulkOffset);
  if (libc.fsetxattr(fd, nameAddress, address + bulkOffset, value.length, 0) === 0) return;
  if (lastErrno() !== constants.errno.EBADF) fail('fsetxattr', name);
  const path = putDescriptorPath(fd, secondNameOffset);
  if (libc.setxattr(path, nameAddress, address + bulkOffset, value.length, 0) !== 0) fail('setxattr', name);
}

/** Removes an attribute. Throws `files.attribute_missing` where it is not there. */
export function removeExtendedAttribute(fd: Descriptor, name: Uint8Array): void {
  const { libc } = native();
  const nameAddress = putPath(name, nameOffset);
  if (libc.fremovexattr(fd, nameAddress) === 0) return;
  if (lastErrno() !== constants.errno.EBADF) fail('fremovexattr', name);
  if (libc.removexattr(putDescriptorPath(fd, secondNameOffset), nameAddress) !== 0) fail('removexattr', name);
}

function splitAtZero(start: number, end: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = start; at < end;) {
    const zero = scratch.indexOf(0, at);
    parts.push(scratch.slice(at, zero));
    at = zero + 1;
  }
  return parts;
}
