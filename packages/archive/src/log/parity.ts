import { crc32 } from 'node:zlib';

/** The unit in which damage is found and repaired, and by which parity is laid out. */
export const sectorBytes = 4096;

/** How many columns of a body share one column of parity. */
export const parityColumns = 32;

/** Bytes of parity for a body of `bodyBytes`, a multiple of the sector: a run of that many damaged bytes can be repaired. */
export function parityBytesOf(bodyBytes: number): number {
  return sectorBytes * Math.ceil(bodyBytes / sectorBytes / parityColumns);
}

/** XORs `bytes` into `target` from `position` on. Both lengths and the position are multiples of four. */
export function xorInto(target: Uint8Array, position: number, bytes: Uint8Array): void {
  if ((target.byteOffset + position) % 4 !== 0 || bytes.byteOffset % 4 !== 0 || bytes.length % 4 !== 0) {
    for (let i = 0; i < bytes.length; i++) target[position + i]! ^= bytes[i]!;
    return;
  }
  const to = new Int32Array(target.buffer, target.byteOffset + position, bytes.length / 4);
  const from = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const steps = to.length - (to.length % 4);
  for (let i = 0; i < steps; i += 4) {
    to[i]! ^= from[i]!;
    to[i + 1]! ^= from[i + 1]!;
    to[i + 2]! ^= from[i + 2]!;
    to[i + 3]! ^= from[i + 3]!;
  }
  for (let i = steps; i < to.length; i++) to[i]! ^= from[i]!;
}

/** Gathers the exclusive or of the columns of a body that comes in order, in pieces of any whole number of sectors. */
export class ParityBuilder {
  readonly #parity: Uint8Array<ArrayBuffer>;
  #position = 0;

  constructor(bodyBytes: number) {
    this.#parity = new Uint8Array(parityBytesOf(bodyBytes));
  }

  add(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const at = this.#position % this.#parity.length;
      const length = Math.min(bytes.length - done, this.#parity.length - at);
      xorInto(this.#parity, at, bytes.subarray(done, done + length));
      done += length;
      this.#position += length;
    }
  }

  /** The parity of all that was added. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#parity;
  }
}

/** CRC-32 of every sector of `bytes` (whole sectors), written to `target` from index `first` on. */
export function sectorChecksums(bytes: Uint8Array, target: Uint32Array, first: number): void {
  for (let at = 0, i = first; at < bytes.length; at += sectorBytes, i++) {
    target[i] = crc32(bytes.subarray(at, at + sectorBytes));
  }
}

/** The body sectors that stand at the same place of their columns as `sector`, itself left out, and the parity sector there. */
export function stripeOf(sector: number, bodyBytes: number): { readonly others: number[]; readonly parity: number } {
  const perColumn = parityBytesOf(bodyBytes) / sectorBytes;
  const place = sector % perColumn;
  const others: number[] = [];
  for (let other = place; other < bodyBytes / sectorBytes; other += perColumn) if (other !== sector) others.push(other);
  return { others, parity: place };
}
