/**
 * The C library through koffi, and the memory that calls read and write.
 *
 * Every thread that imports this module has its own copy of both: nothing here is shared, and no call waits.
 * Arguments are numbers only. Names and structures are encoded by hand into one block of memory whose address is
 * taken once, because converting a typed array per call costs more than most of the calls themselves.
 */
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { fileError, fileErrors } from './errors.ts';

type Call0 = () => number;
type Call1 = (a: number) => number;
type Call2 = (a: number, b: number) => number;
type Call3 = (a: number, b: number, c: number) => number;
type Call4 = (a: number, b: number, c: number, d: number) => number;
type Call5 = (...values: [number, number, number, number, number]) => number;
type Call6 = (...values: [number, number, number, number, number, number]) => number;

/** The functions in use, each as in its manual page, pointers being addresses in the scratch memory. */
export type Libc = {
  readonly openat: Call4;
  readonly close: Call1;
  readonly read: Call3;
  readonly statx: Call5;
  readonly lseek: Call3;
  readonly readlinkat: Call4;
  readonly mkdirat: Call3;
  readonly symlinkat: Call3;
  readonly linkat: Call5;
  readonly unlinkat: Call3;
  readonly utimensat: Call4;
  readonly futimens: Call2;
  readonly fchmod: Call2;
  readonly chmod: Call2;
  readonly fchownat: Call5;
  readonly flistxattr: Call3;
  readonly listxattr: Call3;
  readonly fgetxattr: Call4;
  readonly getxattr: Call4;
  readonly fsetxattr: Call5;
  readonly setxattr: Call5;
  readonly fremovexattr: Call2;
  readonly removexattr: Call2;
  readonly fstatfs: Call2;
  readonly ioctl: Call3;
  readonly getsockopt: Call5;
  readonly clock_gettime: Call2;
  readonly inotify_init1: Call1;
  readonly inotify_add_watch: Call3;
  readonly inotify_rm_watch: Call2;
  readonly syscall: Call6;
  readonly errno: Call0;
};

/** Numbers of the calls that older C libraries have no function for. */
export type SyscallNumbers = { readonly getdents64: number; readonly mknodat: number; readonly renameat2: number };

/** The scratch memory: two places for names or paths, one for structures, one for bulk answers. */
export const nameOffset = 0;
export const secondNameOffset = 8192;
export const structOffset = 16_384;
export const bulkOffset = 20_480;
export const bulkBytes = 262_144;
/** The longest name or path that fits its place, without the zero byte. */
export const nameCapacity = 8191;

const arena = new ArrayBuffer(bulkOffset + bulkBytes);
/** The scratch memory of this thread as bytes; valid until the next call of this module's users. */
export const scratch = new Uint8Array(arena);
/** The same as numbers. */
export const scratchView = new DataView(arena);

type Bound = {
  readonly libc: Libc;
  readonly syscalls: SyscallNumbers;
  readonly koffi: typeof Koffi;
  readonly address: number;
};

let bound: Bound | undefined;

/** The C library of this thread, loaded at the first use. Throws `files.unsupported_platform` elsewhere than on Linux. */
export function native(): Bound {
  bound ??= bind();
  return bound;
}

function bind(): Bound {
  const syscalls = syscallNumbers[process.arch];
  if (process.platform !== 'linux' || syscalls === undefined) {
    throw fileErrors.unsupported_platform({ platform: process.platform, arch: process.arch });
  }
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const library = koffi.load(null);
  const functions = Object.entries(signatures).map(([name, [result, ...parameters]]) => [
    name,
    library.func(name, result, parameters) as unknown,
  ]);
  const libc = { ...Object.fromEntries(functions), errno: koffi.errno } as Libc;
  return { libc, syscalls, koffi, address: Number(koffi.address(scratch)) };
}

/** Throws the declared error of the call that just failed. Nothing may run between the call and this. */
export function fail(syscall: string, name?: Uint8Array | string): never {
  throw fileError(native().libc.errno(), syscall, name);
}

/** The errno of the call that just failed, for those that are normal answers. */
export function lastErrno(): number {
  return native().libc.errno();
}

/** Writes the name of one entry, refusing what could lead elsewhere: nothing, `.`, `..`, a slash or a zero byte. Returns its address. */
export function putName(name: Uint8Array, offset: number): number {
  const { length } = name;
  if (length > nameCapacity) throw fileErrors.name_too_long({ name: 'too long to show' });
  for (let i = 0; i < length; i++) {
    const byte = name[i];
    if (byte === 0x2f || byte === 0) throw fileErrors.invalid_name({ field: 'name' });
    scratch[offset + i] = byte as number;
  }
  scratch[offset + length] = 0;
  const dots = length <= 2 && name[0] === 0x2e && (length === 1 || name[1] === 0x2e);
  if (length === 0 || dots) throw fileErrors.invalid_name({ field: 'name' });
  return native().address + offset;
}

/** Writes bytes that may hold slashes: a path or a link's target. Refuses zero bytes. Returns the address. */
export function putPath(path: Uint8Array, offset: number): number {
  if (path.length > nameCapacity) throw fileErrors.name_too_long({ name: 'too long to show' });
  if (path.indexOf(0) >= 0) throw fileErrors.invalid_name({ field: 'path' });
  scratch.set(path, offset);
  scratch[offset + path.length] = 0;
  return native().address + offset;
}

/** Writes the path under which the kernel reaches what a descriptor stands for. Returns its address. */
export function putDescriptorPath(fd: number, offset: number): number {
  const text = `/proc/self/fd/${fd}`;
  for (let i = 0; i < text.length; i++) scratch[offset + i] = text.charCodeAt(i);
  scratch[offset + text.length] = 0;
  return native().address + offset;
}

const syscallNumbers: Readonly<Partial<Record<string, SyscallNumbers>>> = {
  x64: { getdents64: 217, mknodat: 259, renameat2: 316 },
  arm64: { getdents64: 61, mknodat: 33, renameat2: 276 },
};

const p = 'intptr_t';
const signatures: Readonly<Record<Exclude<keyof Libc, 'errno'>, readonly [string, ...string[]]>> = {
  openat: ['int', 'int', p, 'int', 'uint32_t'],
  close: ['int', 'int'],
  read: ['int64_t', 'int', p, 'size_t'],
  statx: ['int', 'int', p, 'int', 'uint32_t', p],
  lseek: ['int64_t', 'int', 'int64_t', 'int'],
  readlinkat: ['int64_t', 'int', p, p, 'size_t'],
  mkdirat: ['int', 'int', p, 'uint32_t'],
  symlinkat: ['int', p, 'int', p],
  linkat: ['int', 'int', p, 'int', p, 'int'],
  unlinkat: ['int', 'int', p, 'int'],
  utimensat: ['int', 'int', p, p, 'int'],
  futimens: ['int', 'int', p],
  fchmod: ['int', 'int', 'uint32_t'],
  chmod: ['int', p, 'uint32_t'],
  fchownat: ['int', 'int', p, 'uint32_t', 'uint32_t', 'int'],
  flistxattr: ['int64_t', 'int', p, 'size_t'],
  listxattr: ['int64_t', p, p, 'size_t'],
  fgetxattr: ['int64_t', 'int', p, p, 'size_t'],
  getxattr: ['int64_t', p, p, p, 'size_t'],
  fsetxattr: ['int', 'int', p, p, 'size_t', 'int'],
  setxattr: ['int', p, p, p, 'size_t', 'int'],
  fremovexattr: ['int', 'int', p],
  removexattr: ['int', p, p],
  fstatfs: ['int', 'int', p],
  ioctl: ['int', 'int', 'uint64_t', p],
  getsockopt: ['int', 'int', 'int', 'int', p, p],
  clock_gettime: ['int', 'int', p],
  inotify_init1: ['int', 'int'],
  inotify_add_watch: ['int', 'int', p, 'uint32_t'],
  inotify_rm_watch: ['int', 'int', 'int'],
  syscall: ['int64_t', 'int64_t', 'int64_t', 'int64_t', 'int64_t', 'int64_t', 'int64_t'],
};
