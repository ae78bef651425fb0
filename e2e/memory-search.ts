/** Looking for secrets in the memory of processes that run (Linux). */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { formsOfBytes, type Needle } from './marker-forms.ts';

/** A quarter of memory's bytes is looked at, in windows so far apart that none as long as the shortest form is missed. */
const WINDOW_BYTES = 4;
const STRIDE_BYTES = 12;
const SHORTEST_BYTES = STRIDE_BYTES + WINDOW_BYTES - 1;
const FILTER_BITS = 20;

/**
 * Either half of a secret in all forms of bytes, and those that are text also with two bytes for each character.
 *
 * Halves, since what is freed loses its first bytes, and half a key is half a secret.
 */
export function formsOfSecret(what: string, secret: Uint8Array): readonly Needle[] {
  const middle = secret.length / 2;
  return [secret.subarray(0, middle), secret.subarray(middle)].flatMap((half, place) =>
    formsOfBytes(`${what}, ${place === 0 ? 'first' : 'second'} half`, half).flatMap(({ name, bytes }) => {
      if (name.endsWith(', raw')) return [{ name, bytes }];
      return [
        { name, bytes },
        { name: `${name} (UTF-16)`, bytes: Buffer.from(bytes.toString('latin1'), 'utf16le') },
      ];
    }),
  );
}

/** Finds any of many needles, each of 15 bytes at least, in one pass. */
export class NeedleSearch {
  readonly longestBytes: number;
  /** The needles that have these four bytes at this place. */
  readonly #windows = new Map<number, { readonly needle: Needle; readonly at: number }[]>();
  /** Which windows can be any: nearly all are none, and are passed by without asking the map. */
  readonly #filter = new Uint8Array(2 ** FILTER_BITS);

  constructor(needles: readonly Needle[]) {
    this.longestBytes = Math.max(0, ...needles.map(({ bytes }) => bytes.length));
    for (const needle of needles) {
      if (needle.bytes.length < SHORTEST_BYTES) throw new Error(`too short to be looked for: ${needle.name}`);
      for (let at = 0; at < STRIDE_BYTES; at++) {
        const window = needle.bytes.readInt32LE(at);
        const others = this.#windows.get(window);
        if (others) others.push({ needle, at });
        else this.#windows.set(window, [{ needle, at }]);
        this.#filter[filterPlace(window)] = 1;
      }
    }
  }

  /** Adds the names of what stands in these bytes, which begin at a multiple of four in their memory. */
  find(bytes: Buffer, found: Set<string>): void {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / WINDOW_BYTES));
    for (let place = 0; place < words.length; place += STRIDE_BYTES / WINDOW_BYTES) {
      const window = words[place]!;
      if (this.#filter[filterPlace(window)] === 0) continue;
      for (const { needle, at } of this.#windows.get(window) ?? []) {
        const start = place * WINDOW_BYTES - at;
        const end = start + needle.bytes.length;
        if (start < 0 || end > bytes.length) continue;
        if (needle.bytes.compare(bytes, start, end) === 0) found.add(needle.name);
      }
    }
  }
}

function filterPlace(window: number): number {
  return Math.imul(window, 0x9e3779b1) >>> (32 - FILTER_BITS);
}

const CHUNK_BYTES = 4 * 2 ** 20;
const PAGE_BYTES = 4096;
const ENTRY_BYTES = 8;
const chunk = Buffer.alloc(CHUNK_BYTES);

/** What was found in the memory of a process, by name, and how much of it was read. */
export type MemoryFound = { readonly found: readonly string[]; readonly readBytes: number };

/**
 * Searches all memory of a process but the unchanged contents of files: what gcore writes of it, and read where gcore reads it,
 * without a debugger that has to be installed. Undefined where the process has ended.
 *
 * `shared` names mappings that were searched already, in whatever process: they are the same bytes there.
 * @throws EACCES, EPERM where the caller may not look into it
 */
export function searchMemory(pid: number, search: NeedleSearch, shared = new Set<string>()): MemoryFound | undefined {
  const files: number[] = [];
  const open = (name: string) => {
    const file = openSync(`/proc/${pid}/${name}`, 'r');
    files.push(file);
    return file;
  };
  const found = new Set<string>();
  let readBytes = 0;
  try {
    const [memory, pages] = [open('mem'), open('pagemap')];
    for (const mapping of mappingsOf(pid)) {
      if (mapping.sharedAs !== undefined && shared.has(mapping.sharedAs)) continue;
      if (mapping.sharedAs !== undefined) shared.add(mapping.sharedAs);
      for (const part of usedPartsOf(pages, mapping))
        readBytes += searchPart(memory, part, (bytes) => search.find(bytes, found), search.longestBytes);
    }
  } catch (error) {
    if (!isGone(error)) throw error;
    if (readBytes === 0) return undefined;
  } finally {
    for (const file of files) closeSync(file);
  }
  return { found: [...found], readBytes };
}

type Part = { readonly from: number; readonly to: number };
type Mapping = Part & { readonly sharedAs: string | undefined };

/** Readable mappings that can be changed, or that no file has. */
function mappingsOf(pid: number): readonly Mapping[] {
  const lines = readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n');
  return lines.flatMap((line) => {
    const [, from, to, access = '', of = '', inode, name = ''] =
      /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) (\S+ \S+) (\d+) *(.*)$/.exec(line) ?? [];
    const isOfKernel = /^\[v(var|sys|dso)/.test(name);
    if (!access.startsWith('r') || isOfKernel || (access[1] !== 'w' && inode !== '0')) return [];
    const sharedAs = access[3] === 's' ? `${of} ${inode} ${name}` : undefined;
    return [{ from: Number.parseInt(from!, 16), to: Number.parseInt(to!, 16), sharedAs }];
  });
}

/** The parts of a mapping that hold anything, in memory or in swap: most of what a process reserves it never writes. */
function usedPartsOf(pages: number, { from, to }: Part): readonly Part[] {
  const entries = Buffer.alloc(((to - from) / PAGE_BYTES) * ENTRY_BYTES);
  const gotBytes = readSync(pages, entries, 0, entries.length, (from / PAGE_BYTES) * ENTRY_BYTES);
  const parts: { from: number; to: number }[] = [];
  for (let at = 0; at < gotBytes; at += ENTRY_BYTES) {
    // The two highest bits: present, swapped.
    if (entries[at + ENTRY_BYTES - 1]! < 0x40) continue;
    const page = from + (at / ENTRY_BYTES) * PAGE_BYTES;
    const last = parts.at(-1);
    if (last?.to === page) last.to = page + PAGE_BYTES;
    else parts.push({ from: page, to: page + PAGE_BYTES });
  }
  return parts;
}

/** Says how many bytes were read: pages that nobody can read are left out. */
function searchPart(memory: number, { from, to }: Part, look: (bytes: Buffer) => void, longestBytes: number): number {
  // Whatever straddles two chunks is whole in the next one; addresses stay multiples of four.
  const overlap = Math.ceil(longestBytes / WINDOW_BYTES) * WINDOW_BYTES;
  let readBytes = 0;
  for (let at = from; at < to;) {
    const got = readAt(memory, Math.min(CHUNK_BYTES, to - at), at);
    if (got > 0) look(chunk.subarray(0, got));
    readBytes += got;
    if (got === 0) at += PAGE_BYTES;
    else if (got === CHUNK_BYTES && at + got < to) at += got - overlap;
    else at += got;
  }
  return readBytes;
}

function readAt(memory: number, length: number, at: number): number {
  try {
    return readSync(memory, chunk, 0, length, at);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') return 0;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '');
}
