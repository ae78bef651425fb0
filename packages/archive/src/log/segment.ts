import { createHash } from 'node:crypto';
import { release } from '../crypto/release.ts';
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
import { sectorBytes, sectorChecksums } from './parity.ts';
import { readAround } from './scan.ts';
import { type ReadBody, readBodyFacts, RecordVerifier, steps } from './body-facts.ts';

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
 * again after a failure it gives the same file. `how.readBody` reads the body elsewhere, in another thread.
 */
export async function sealSegment(
  file: DiskFile,
  endOffset: number,
  entries: EntryTable,
  how: { readonly parity: boolean; readonly readBody?: ReadBody },
): Promise<Sealed> {
  const bodyBytes = Math.ceil(endOffset / sectorBytes) * sectorBytes;
  await file.truncate(endOffset);
  if (bodyBytes > endOffset) await file.write(new Uint8Array(bodyBytes - endOffset), endOffset);
  const read: ReadBody = how.readBody ?? ((...facts) => readBodyFacts(file, ...facts));
  const body = await read(bodyBytes, entries.encoded(), how.parity);
  const parityBytes = body.parity.length;
  if (parityBytes > 0) await file.write(body.parity, bodyBytes);
  const paritySectors = new Uint32Array(parityBytes / sectorBytes);
  sectorChecksums(body.parity, paritySectors, 0);
  release(body.parity);
  const { bodySha256, bodySectors } = body;
  const footer = { bodyBytes, parityBytes, bodySha256, bodySectors, entries, paritySectors };
  const tail = encodeFooter(footer);
  await file.write(tail, bodyBytes + parityBytes);
  await file.sync();
  return {
    footer,
    badRecords: body.badRecords.map((index) => entries.at(index)),
    fileBytes: bodyBytes + parityBytes + tail.length,
  };
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
    const sectors = new Uint32Array(bytes.length / sectorBytes);
    sectorChecksums(bytes, sectors, 0);
    records.add(bytes, sectors);
    collectBad(sectors, offset / sectorBytes, footer.bodySectors, badBodySectors);
    await pace?.(bytes.length);
  }
  for await (const { bytes, offset } of steps(file, footer.bodyBytes, footer.bodyBytes + footer.parityBytes)) {
    const sectors = new Uint32Array(bytes.length / sectorBytes);
    sectorChecksums(bytes, sectors, 0);
    collectBad(sectors, (offset - footer.bodyBytes) / sectorBytes, footer.paritySectors, badParitySectors);
    await pace?.(bytes.length);
  }
  const isWhole = Buffer.compare(digest.digest(), footer.bodySha256) === 0;
  return {
    badBodySectors,
    badParitySectors,
    badRecords: records.finish().map((place) => footer.entries.at(place)),
    isWhole,
  };
}

function collectBad(sectors: Uint32Array, first: number, expected: Uint32Array, bad: number[]): void {
  for (const [place, checksum] of sectors.entries()) if (checksum !== expected[first + place]) bad.push(first + place);
}
