import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { DiskFile } from './disk.ts';
import {
  decodeFooter,
  encodeFooter,
  type EntryTable,
  maxBodyBytes,
  readTrailer,
  type SegmentEntry,
  type SegmentFooter,
  trailerBytes,
} from './footer.ts';
import { ParityBuilder, sectorBytes, sectorChecksums } from './parity.ts';
import { recordHeaderBytes } from '../format/record.ts';
import { readAround } from './scan.ts';

const stepBytes = 256 * 1024;

/** What sealing made, and the records that were no longer what was appended when they were read for it. */
export type Sealed = {
  readonly footer: SegmentFooter;
  readonly badRecords: readonly SegmentEntry[];
  readonly fileBytes: number;
};

/**
 * Seals the segment in `file`: pads its body, adds parity and footer, and returns once that is on stable storage.
 *
 * `endOffset` is where its last record ends; whatever lies behind (an earlier sealing that was cut short) is dropped.
 * Reads the body once, in steps, with parity (1/32 of it) and checksums in memory; records can be read meanwhile. Done
 * again after a failure it gives the same file.
 */
export async function sealSegment(
  file: DiskFile,
  endOffset: number,
  entries: EntryTable,
  parity: boolean,
): Promise<Sealed> {
  const bodyBytes = Math.ceil(endOffset / sectorBytes) * sectorBytes;
  await file.truncate(endOffset);
  if (bodyBytes > endOffset) await file.write(new Uint8Array(bodyBytes - endOffset), endOffset);
  const body = await readBody(file, bodyBytes, entries, parity);
  const parityBytes = body.parity.length;
  if (parityBytes > 0) await file.write(body.parity, bodyBytes);
  const paritySectors = new Uint32Array(parityBytes / sectorBytes);
  sectorChecksums(body.parity, paritySectors, 0);
  const footer = { bodyBytes, parityBytes, ...body.facts, entries, paritySectors };
  const tail = encodeFooter(footer);
  await file.write(tail, bodyBytes + parityBytes);
  await file.sync();
  return { footer, badRecords: body.badRecords, fileBytes: bodyBytes + parityBytes + tail.length };
}

async function readBody(file: DiskFile, bodyBytes: number, entries: EntryTable, withParity: boolean) {
  const digest = createHash('sha256');
  const bodySectors = new Uint32Array(bodyBytes / sectorBytes);
  const parity = new ParityBuilder(withParity ? bodyBytes : 0);
  const records = new RecordVerifier(entries);
  for await (const { bytes, offset } of steps(file, 0, bodyBytes)) {
    digest.update(bytes);
    sectorChecksums(bytes, bodySectors, offset / sectorBytes);
    if (withParity) parity.add(bytes);
    records.add(bytes);
  }
  const facts = { bodySha256: new Uint8Array(digest.digest()), bodySectors };
  return { facts, parity: parity.finish(), badRecords: records.finish() };
}

/** Pieces of `[from, to)` of the file, one buffer reused; sectors that cannot be read are zeros. */
async function* steps(file: DiskFile, from: number, to: number): AsyncGenerator<{ bytes: Buffer; offset: number }> {
  const buffer = Buffer.alloc(Math.min(stepBytes, Math.max(0, to - from)));
  for (let offset = from; offset < to; offset += buffer.length) {
    const bytes = buffer.subarray(0, Math.min(buffer.length, to - offset));
    const { bytesRead } = await readAround(file, bytes, offset);
    bytes.fill(0, bytesRead);
    yield { bytes, offset };
  }
}

/** Checks the checksum of every record of a body that comes in order from offset 0. */
class RecordVerifier {
  readonly #entries: Iterator<SegmentEntry>;
  readonly #bad: SegmentEntry[] = [];
  #entry: SegmentEntry | undefined;
  #checksum = 0;
  #position = 0;

  constructor(entries: EntryTable) {
    this.#entries = entries[Symbol.iterator]();
    this.#next();
  }

  add(bytes: Uint8Array): void {
    const end = this.#position + bytes.length;
    while (this.#entry && this.#entry.offset < end) {
      const { offset, lengthBytes } = this.#entry;
      this.#cover(bytes, offset, offset + 48);
      this.#cover(bytes, offset + recordHeaderBytes, offset + lengthBytes);
      if (offset + lengthBytes > end) break;
      if (this.#checksum !== this.#entry.crc32) this.#bad.push(this.#entry);
      this.#next();
    }
    this.#position = end;
  }

  finish(): SegmentEntry[] {
    if (this.#entry) this.#bad.push(this.#entry, ...rest(this.#entries));
    return this.#bad;
  }

  #next(): void {
    const next = this.#entries.next();
    this.#entry = next.done ? undefined : next.value;
    this.#checksum = 0;
  }

  #cover(bytes: Uint8Array, from: number, to: number): void {
    const start = Math.max(0, from - this.#position);
    const end = Math.min(bytes.length, to - this.#position);
    if (start < end) this.#checksum = crc32(bytes.subarray(start, end), this.#checksum);
  }
}

function rest<T>(iterator: Iterator<T>): T[] {
  const items: T[] = [];
  for (let next = iterator.next(); !next.done; next = iterator.next()) items.push(next.value);
  return items;
}

/** Reads the footer of a sealed segment; undefined where the segment is open, or lost its trailer or footer. */
export async function readFooter(file: DiskFile): Promise<SegmentFooter | undefined> {
  const fileBytes = await file.size();
  if (fileBytes < trailerBytes) return undefined;
  const end = new Uint8Array(trailerBytes);
  await readAround(file, end, fileBytes - trailerBytes);
  const trailer = readTrailer(end, fileBytes);
  if (!trailer || trailer.offset > maxBodyBytes * 2) return undefined;
  const bytes = new Uint8Array(trailer.lengthBytes);
  await readAround(file, bytes, trailer.offset);
  return decodeFooter(bytes, trailer);
}

/** What reading all of a sealed segment showed. */
export type SegmentCheck = {
  /** Sectors of the body whose checksum does not hold, by rising number. */
  readonly badBodySectors: readonly number[];
  readonly badParitySectors: readonly number[];
  /** Records that are not whole. */
  readonly badRecords: readonly SegmentEntry[];
  /** Whether the body is, as a whole, what was sealed. */
  readonly isWhole: boolean;
};

/** Reads a sealed segment from end to end against its footer, in steps of 256 KiB; `pace` is called after each with its bytes. */
export async function checkSegment(
  file: DiskFile,
  footer: SegmentFooter,
  pace?: (bytes: number) => Promise<void>,
): Promise<SegmentCheck> {
  const digest = createHash('sha256');
  const records = new RecordVerifier(footer.entries);
  const badBodySectors: number[] = [];
  const badParitySectors: number[] = [];
  for await (const { bytes, offset } of steps(file, 0, footer.bodyBytes)) {
    digest.update(bytes);
    records.add(bytes);
    collectBad(bytes, offset / sectorBytes, footer.bodySectors, badBodySectors);
    await pace?.(bytes.length);
  }
  for await (const { bytes, offset } of steps(file, footer.bodyBytes, footer.bodyBytes + footer.parityBytes)) {
    collectBad(bytes, (offset - footer.bodyBytes) / sectorBytes, footer.paritySectors, badParitySectors);
    await pace?.(bytes.length);
  }
  const isWhole = Buffer.compare(digest.digest(), footer.bodySha256) === 0;
  return { badBodySectors, badParitySectors, badRecords: records.finish(), isWhole };
}

function collectBad(bytes: Uint8Array, first: number, expected: Uint32Array, bad: number[]): void {
  for (let at = 0, sector = first; at < bytes.length; at += sectorBytes, sector++) {
    if (crc32(bytes.subarray(at, at + sectorBytes)) !== expected[sector]) bad.push(sector);
  }
}
