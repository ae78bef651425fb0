import { packedBlockBytes } from '../index/block-table.ts';
import type { Extent } from '../format/extent.ts';

const firstRows = 1024;
/** Rows looked at for one block: hashes spread evenly, so only who makes them collide on purpose comes this far. */
const maxProbes = 64;

/**
 * The blocks a worker stored lately, by SHA-256, packed as the index takes them: no object a block.
 *
 * It forgets all of them when it is full. 48 bytes and two slots a block; it grows by doubling.
 */
export class RecentBlocks {
  readonly #maxRows: number;
  #rows = new Uint8Array(firstRows * packedBlockBytes);
  #view = new DataView(this.#rows.buffer);
  /** Row number + 1 by the first bytes of the hash; 0 is empty. */
  #slots = new Uint32Array(firstRows * 2);
  #count = 0;
  #freshFrom = 0;
  #forgotten: Uint8Array<ArrayBuffer>[] = [];

  constructor(maxRows: number) {
    this.#maxRows = maxRows;
  }

  /** Where a block lies, if it is one of these. */
  find(sha256: Uint8Array): Extent | undefined {
    const mask = this.#slots.length - 1;
    const first = slotOf(sha256);
    for (let probe = 0; probe < maxProbes; probe++) {
      const row = this.#slots[(first + probe) & mask]!;
      if (row === 0) return undefined;
      if (this.#isAt(row - 1, sha256)) return this.#extentAt(row - 1, sha256);
    }
    return undefined;
  }

  add({ sha256, ordinal, offset, length }: Extent): void {
    if (this.#count === this.#maxRows) this.#forget();
    if (this.#count * packedBlockBytes === this.#rows.length) this.#grow();
    const row = this.#count++;
    const at = row * packedBlockBytes;
    this.#rows.set(sha256, at);
    this.#view.setFloat64(at + 32, ordinal, true);
    this.#view.setUint32(at + 40, offset, true);
    this.#view.setUint32(at + 44, length, true);
    this.#enter(row);
  }

  /** The blocks added since the last call, packed for the index. */
  takeFresh(): Uint8Array<ArrayBuffer> {
    const last = this.#freshRows();
    this.#freshFrom = this.#count;
    if (this.#forgotten.length === 0) return last;
    return new Uint8Array(Buffer.concat([...this.#forgotten.splice(0), last]));
  }

  #freshRows(): Uint8Array<ArrayBuffer> {
    return this.#rows.slice(this.#freshFrom * packedBlockBytes, this.#count * packedBlockBytes);
  }

  #forget(): void {
    this.#forgotten.push(this.#freshRows());
    this.#freshFrom = 0;
    this.#count = 0;
    this.#slots.fill(0);
  }

  #grow(): void {
    const rows = new Uint8Array(this.#rows.length * 2);
    rows.set(this.#rows);
    this.#rows = rows;
    this.#view = new DataView(rows.buffer);
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let row = 0; row < this.#count; row++) this.#enter(row);
  }

  #enter(row: number): void {
    const mask = this.#slots.length - 1;
    const first = slotOf(this.#rows, row * packedBlockBytes);
    for (let probe = 0; probe < maxProbes; probe++) {
      const slot = (first + probe) & mask;
      if (this.#slots[slot] !== 0) continue;
      this.#slots[slot] = row + 1;
      return;
    }
  }

  #isAt(row: number, sha256: Uint8Array): boolean {
    const at = row * packedBlockBytes;
    for (let i = 0; i < sha256.length; i++) if (this.#rows[at + i] !== sha256[i]) return false;
    return true;
  }

  #extentAt(row: number, sha256: Uint8Array): Extent {
    const at = row * packedBlockBytes;
    const ordinal = this.#view.getFloat64(at + 32, true);
    return {
      ordinal,
      offset: this.#view.getUint32(at + 40, true),
      length: this.#view.getUint32(at + 44, true),
      sha256,
    };
  }
}

function slotOf(sha256: Uint8Array, at = 0): number {
  return sha256[at]! | (sha256[at + 1]! << 8) | (sha256[at + 2]! << 16) | (sha256[at + 3]! << 24);
}
