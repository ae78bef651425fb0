/** Reading directories: raw names, in the order of the archive, of any number. */
import { type FileType, fileTypes } from './attributes.ts';
import { fileErrors } from './errors.ts';
import { bulkBytes, bulkOffset, fail, native, scratch, scratchView } from './native.ts';
import type { Descriptor } from './open-relative.ts';
import { sortedOrder } from './sort-names.ts';

/**
 * The names of one directory, without `.` and `..`, in bytewise order. About 30 bytes of memory per name beside the name
 * itself while it is read, 10 afterwards; no object per name.
 */
export type DirectoryNames = {
  readonly count: number;
  /** The name at a place of the order: a view, valid as long as this listing. */
  nameAt(place: number): Uint8Array;
  /** Its type where the file system said so; undefined means to ask `statAt`. Only a hint: it can have changed. */
  typeAt(place: number): FileType | undefined;
};

/**
 * Reads an open directory from its beginning. Entries made or removed meanwhile may or may not be in it, all others are,
 * once.
 */
export function readDirectory(directoryFd: Descriptor): DirectoryNames {
  const { libc, syscalls, address } = native();
  if (libc.lseek(directoryFd, 0, 0) < 0) fail('lseek');
  const pack = new NamePack();
  for (;;) {
    const length = libc.syscall(syscalls.getdents64, directoryFd, address + bulkOffset, bulkBytes, 0, 0);
    if (length < 0) fail('getdents64');
    if (length === 0) break;
    takeEntries(pack, bulkOffset + length);
  }
  return pack.sorted();
}

/** Offsets are those of `struct linux_dirent64`: inode, position, record length at 16, type at 18, name at 19. */
function takeEntries(pack: NamePack, end: number): void {
  for (let at = bulkOffset; at < end;) {
    const recordBytes = scratchView.getUint16(at + 16, true);
    const nameStart = at + 19;
    const nameEnd = endOfName(nameStart, at + recordBytes);
    if (!isDots(nameStart, nameEnd)) pack.add(nameStart, nameEnd, scratch[at + 18] as number);
    at += recordBytes;
  }
}

function endOfName(start: number, limit: number): number {
  let end = start;
  while (end < limit && scratch[end] !== 0) end++;
  return end;
}

function isDots(start: number, end: number): boolean {
  const length = end - start;
  return length <= 2 && scratch[start] === 0x2e && (length === 1 || scratch[start + 1] === 0x2e);
}

/** Grows by doubling, without an object per name. */
class NamePack {
  #bytes = new Uint8Array(4096);
  #used = 0;
  #starts = new Uint32Array(128);
  #lengths = new Uint16Array(128);
  #types = new Uint8Array(128);
  #count = 0;

  add(start: number, end: number, type: number): void {
    const length = end - start;
    if (this.#used + length > this.#bytes.length) this.#bytes = grown(this.#bytes);
    if (this.#count === this.#starts.length) {
      this.#starts = grown(this.#starts);
      this.#lengths = grown(this.#lengths);
      this.#types = grown(this.#types);
    }
    const bytes = this.#bytes;
    const used = this.#used;
    for (let i = 0; i < length; i++) bytes[used + i] = scratch[start + i] as number;
    this.#starts[this.#count] = used;
    this.#lengths[this.#count] = length;
    this.#types[this.#count] = type;
    this.#used += length;
    this.#count++;
  }

  sorted(): DirectoryNames {
    const count = this.#count;
    const bytes = this.#bytes;
    const starts = this.#starts;
    const lengths = this.#lengths;
    const types = this.#types;
    const order = sortedOrder({ bytes, starts, lengths, count });
    const entryAt = (place: number) => {
      const entry = order[place];
      if (entry === undefined) throw new RangeError(`place ${place} of ${count} names`);
      return entry;
    };
    return {
      count,
      nameAt(place) {
        const entry = entryAt(place);
        const start = starts[entry] as number;
        return bytes.subarray(start, start + (lengths[entry] as number));
      },
      typeAt: (place) => fileTypes[types[entryAt(place)] as number],
    };
  }
}

/** 4 GiB of names is what 32-bit offsets reach: over 16 million names of 255 bytes. */
const mostBytes = 0x1_0000_0000;

function grown<T extends Uint8Array | Uint16Array | Uint32Array>(from: T): T {
  if (from.length * 2 > mostBytes) throw fileErrors.too_large({ reason: 'the names of this folder exceed 4 GiB' });
  const larger = new (from.constructor as new (length: number) => T)(from.length * 2);
  larger.set(from);
  return larger;
}
