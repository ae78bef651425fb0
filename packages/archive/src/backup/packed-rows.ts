/** Rows on their way from a worker: one buffer instead of thousands, since each costs a copy and its collection. */
import type { LostName, MadeRow } from './messages.ts';

/** Gathers rows of one directory: name length u16, row length u16, name, row; little-endian. */
export class RowPacker {
  #bytes = new Uint8Array(0);
  #length = 0;

  /** Rows have at most 8,192 bytes, names 4,095. */
  add(name: Uint8Array, row: Uint8Array): void {
    const bytes = 4 + name.length + row.length;
    if (this.#length + bytes > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(8192, this.#bytes.length * 2, this.#length + bytes));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    const at = this.#length;
    this.#bytes[at] = name.length;
    this.#bytes[at + 1] = name.length >> 8;
    this.#bytes[at + 2] = row.length;
    this.#bytes[at + 3] = row.length >> 8;
    this.#bytes.set(name, at + 4);
    this.#bytes.set(row, at + 4 + name.length);
    this.#length = at + bytes;
  }

  /** Bytes added since the last `take`. */
  get length(): number {
    return this.#length;
  }

  /** Forgets what was added since the last `take`. */
  clear(): void {
    this.#length = 0;
  }

  /** What was added, in bytes of its own. */
  take(): Uint8Array<ArrayBuffer> {
    const packed = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return packed;
  }
}

/** The rows in the order they were added; names and rows are views. */
export function* unpackRows(packed: Uint8Array): Generator<MadeRow> {
  for (let at = 0; at < packed.length;) {
    const nameAt = at + 4;
    const rowAt = nameAt + (packed[at]! | (packed[at + 1]! << 8));
    const end = rowAt + (packed[at + 2]! | (packed[at + 3]! << 8));
    yield { name: packed.subarray(nameAt, rowAt), row: packed.subarray(rowAt, end) };
    at = end;
  }
}

const wasDirectoryBit = 1;
const isUnselectedBit = 2;
const isReplacedBit = 4;

/** Gathers names that are gone, as rows of one byte each: a folder of a million names may lose them all at once. */
export class LostPacker {
  readonly #rows = new RowPacker();

  add(lost: LostName): void {
    const directory = lost.wasDirectory ? wasDirectoryBit : 0;
    const unselected = lost.reason === 'unselected' ? isUnselectedBit : 0;
    this.#rows.add(lost.name, Uint8Array.of(directory | unselected | (lost.isReplaced ? isReplacedBit : 0)));
  }

  /** Bytes added since the last `take`. */
  get length(): number {
    return this.#rows.length;
  }

  /** Forgets what was added since the last `take`. */
  clear(): void {
    this.#rows.clear();
  }

  /** What was added, in bytes of its own. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#rows.take();
  }
}

/** The lost names in the order they were added; names are views. */
export function* unpackLost(packed: Uint8Array): Generator<LostName> {
  for (const { name, row } of unpackRows(packed)) {
    const bits = row[0]!;
    yield {
      name,
      wasDirectory: (bits & wasDirectoryBit) !== 0,
      reason: (bits & isUnselectedBit) !== 0 ? 'unselected' : 'gone',
      isReplaced: (bits & isReplacedBit) !== 0,
    };
  }
}
