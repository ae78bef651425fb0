import { fileErrors } from '../filesystem/index.ts';
import { fail, native } from '../filesystem/native.ts';

/** `prctl` of sys/prctl.h, by the numbers of the kernel. */
const prctlNumbers: Readonly<Partial<Record<string, number>>> = { x64: 157, arm64: 167 };
const setDumpable = 4;

/**
 * Keeps other processes of the same user, a debugger for one, out of this one's memory and descriptors: it was started
 * by root. Setting the user does so too, unless `fs.suid_dumpable` says otherwise.
 */
export function makeUndumpable(): void {
  const number = prctlNumbers[process.arch];
  if (number === undefined) throw fileErrors.unsupported_platform({ platform: process.platform, arch: process.arch });
  if (native().libc.syscall(number, setDumpable, 0, 0, 0, 0) !== 0) fail('prctl');
}
