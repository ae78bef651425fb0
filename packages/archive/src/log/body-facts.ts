/** What sealing must know of all bytes of a body: read once, in order, wherever there is a processor for it. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { release } from '../crypto/release.ts';
import { recordHeaderBytes } from '../format/record.ts';
import type { DiskFile } from './disk.ts';
import { EntryTable, type SegmentEntry } from './footer.ts';
import { ParityBuilder, sectorBytes, sectorChecksums } from './parity.ts';
import { appendSector } from './sector-checksum.ts';
import { readAround } from './scan.ts';

/** Facts of a body. */
export type BodyFacts = {
  readonly bodySha256: Uint8Array;
  /** CRC-32 of every sector. */
  readonly bodySectors: Uint32Array;
  /** Empty where none was asked for. */
  readonly parity: Uint8Array;
  /** Records that are no longer what was appended, by their place in the table. */
  readonly badRecords: readonly number[];
};

/** Reads a body of so many bytes with these records (an encoded `EntryTable`), with parity or without. */
export type ReadBody = (bodyBytes: number, entries: Uint8Array, parity: boolean) => Promise<BodyFacts>;

const stepBytes = 256 * 1024;

/** Reads the body of an open segment. */
export async function readBodyFacts(
  file: DiskFile,
  bodyBytes: number,
  entries: Uint8Array,
  withParity: boolean,
): Promise<BodyFacts> {
  const digest = createHash('sha256');
  const bodySectors = new Uint32Array(bodyBytes / sectorBytes);
  const parity = new ParityBuilder(withParity ? bodyBytes : 0);
  const records = new RecordVerifier(new EntryTable(entries));
  for await (const { bytes, offset } of steps(file, 0, bodyBytes)) {
    digest.update(bytes);
    const sectors = bodySectors.subarray(offset / sectorBytes, (offset + bytes.length) / sectorBytes);
    sectorChecksums(bytes, sectors, 0);
    if (withParity) parity.add(bytes);
    records.add(bytes, sectors);
  }
  const bodySha256 = new Uint8Array(digest.digest());
  return { bodySha256, bodySectors, parity: parity.finish(), badRecords: records.finish() };
}

/** Pieces of `[from, to)` of the file, one buffer reused and then given back; sectors that cannot be read are zeros. */
export async function* steps(
  file: DiskFile,
  from: number,
  to: number,
): AsyncGenerator<{ bytes: Buffer; offset: number }> {
  const buffer = Buffer.alloc(Math.min(stepBytes, Math.max(0, to - from)));
  for (let offset = from; offset < to; offset += buffer.length) {
    const bytes = buffer.subarray(0, Math.min(buffer.length, to - offset));
    const { bytesRead } = await readAround(file, bytes, offset);
    bytes.fill(0, bytesRead);
    yield { bytes, offset };
  }
  release(buffer);
}

/**
 * Checks the checksum of every record of a body that comes in order from offset 0, in whole sectors.
 *
 * What a record has of whole sectors is taken from their checksums, so that no byte is summed up twice but at its ends.
 */
export class RecordVerifier {
  readonly #entries: Iterator<SegmentEntry>;
  readonly #bad: number[] = [];
  #index = -1;
  #entry: SegmentEntry | undefined;
  #checksum = 0;
  #position = 0;

  constructor(entries: EntryTable) {
    this.#entries = entries[Symbol.iterator]();
    this.#next();
  }

  /** `sectors` are the checksums of the sectors of `bytes`. */
  add(bytes: Uint8Array, sectors: Uint32Array): void {
    const end = this.#position + bytes.length;
    while (this.#entry && this.#entry.offset < end) {
      const { offset, lengthBytes } = this.#entry;
      this.#cover(bytes, sectors, { from: offset, to: offset + 48 });
      this.#cover(bytes, sectors, { from: offset + recordHeaderBytes, to: offset + lengthBytes });
      if (offset + lengthBytes > end) break;
      if (this.#checksum !== this.#entry.crc32) this.#bad.push(this.#index);
      this.#next();
    }
    this.#position = end;
  }

  /** The records that are not whole, by their place in the table. */
  finish(): number[] {
    for (; this.#entry; this.#next()) this.#bad.push(this.#index);
    return this.#bad;
  }

  #next(): void {
    const next = this.#entries.next();
    this.#entry = next.done ? undefined : next.value;
    this.#index++;
    this.#checksum = 0;
  }

  #cover(bytes: Uint8Array, sectors: Uint32Array, range: { readonly from: number; readonly to: number }): void {
    let at = Math.max(0, range.from - this.#position);
    const end = Math.min(bytes.length, range.to - this.#position);
    while (at < end) {
      const isWhole = at % sectorBytes === 0 && at + sectorBytes <= end;
      const next = isWhole ? at + sectorBytes : Math.min(end, at - (at % sectorBytes) + sectorBytes);
      this.#checksum = isWhole
        ? appendSector(this.#checksum, sectors[at / sectorBytes]!)
        : crc32(bytes.subarray(at, next), this.#checksum);
      at = next;
    }
  }
}
