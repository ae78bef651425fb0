import { createRequire } from 'node:module';
import { constants } from 'node:os';
import type { Socket } from 'node:net';
import type * as Koffi from 'koffi';
import { keystoreErrors } from './errors.ts';

/** `prctl` by the numbers of the kernel; the function of the C library takes a variable number of arguments. */
const prctlNumbers: Readonly<Partial<Record<string, number>>> = { x64: 157, arm64: 167 };
const SET_DUMPABLE = 4;
const LIMIT_CORE = 4;
const SOCKET_LEVEL = 1;
const PEER_CREDENTIALS = 17;

type Libc = {
  readonly syscall: (number: number, ...values: [number, number, number, number, number]) => number;
  readonly setrlimit: (resource: number, limit: Uint8Array) => number;
  /** Descriptor, level, name, value, length of the value. */
  readonly getsockopt: (...values: [number, number, number, Uint8Array, Uint8Array]) => number;
  readonly errno: () => number;
};

let bound: Libc | undefined;

function libc(): Libc {
  if (bound) return bound;
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const library = koffi.load(null);
  const func = (name: string, result: string, parameters: string[]) => library.func(name, result, parameters) as never;
  bound = {
    syscall: func(
      'syscall',
      'int64_t',
      Array.from({ length: 6 }, () => 'int64_t'),
    ),
    setrlimit: func('setrlimit', 'int', ['int', 'void *']),
    getsockopt: func('getsockopt', 'int', ['int', 'int', 'int', 'void *', 'void *']),
    errno: () => koffi.errno(),
  };
  return bound;
}

/**
 * Closes this process's memory to all others but root's, for good, and keeps it out of core files.
 *
 * Run before any secret is in it. Linux alone has both; says whether it is closed.
 * @throws keystore.memory_open where the system refuses
 */
export function closeMemory(): boolean {
  const prctl = prctlNumbers[process.arch];
  if (process.platform !== 'linux' || prctl === undefined) return false;
  const none = new Uint8Array(16);
  if (libc().setrlimit(LIMIT_CORE, none) !== 0) throw keystoreErrors.memory_open(lastError('setrlimit'));
  if (libc().syscall(prctl, SET_DUMPABLE, 0, 0, 0, 0) !== 0) throw keystoreErrors.memory_open(lastError('prctl'));
  return true;
}

/** The user at the other end of a Unix socket, by the kernel's word; undefined where it has none, or tells nobody. */
export function peerUidOf(socket: Socket): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd = (handle as { readonly fd?: number } | null | undefined)?.fd;
  if (fd === undefined || fd < 0) return undefined;
  const credentials = new Uint8Array(12);
  const length = new Uint8Array(new Uint32Array([credentials.length]).buffer);
  if (libc().getsockopt(fd, SOCKET_LEVEL, PEER_CREDENTIALS, credentials, length) !== 0) return undefined;
  return new DataView(credentials.buffer).getUint32(4, true);
}

function lastError(syscall: string): { syscall: string; reason: string } {
  const errno = libc().errno();
  const [reason = `errno ${errno}`] = Object.entries(constants.errno).find(([, number]) => number === errno) ?? [];
  return { syscall, reason };
}
