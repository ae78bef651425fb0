import { crc32 } from 'node:zlib';
import { type Ordinal, sequenceOf, writerOf } from '../format/ordinal.ts';
import { type DiskFile, systemErrorCode } from './disk.ts';
import { mostSegmentBytes, segmentHeadBytes, type SegmentEntry } from './footer.ts';
import { sectorBytes } from './parity.ts';
import { recordHeaderBytes } from '../format/record.ts';
import { readFrame, recordMagic } from './record-frame.ts';

/** What a scan comes upon, by rising offset: a valid record, or bytes that belong to none. */
export type ScanFinding =
  | ({ readonly found: 'record'; readonly version: number } & SegmentEntry)
  | {
      readonly found: 'damage';
      readonly offset: number;
      readonly lengthBytes: number;
      /** Sequences that are missing between the neighbours, when both are of one writer. */
      readonly missing?: { readonly writer: number; readonly first: number; readonly last: number };
    };

const windowBytes = 1024 * 1024;
const zeroSector = new Uint8Array(sectorBytes);

/**
 * Reads a segment's records from `start` to `end`, whatever lies between them, with 1 MiB of memory.
 *
 * After bytes that are no valid record it searches byte by byte for the next one. Zeros up to `end` are padding, not
 * damage. Sectors the disk cannot read count as zeros that are damage.
 */
export async function* scanRecords(
  file: DiskFile,
  range: { readonly start?: number; readonly end?: number } = {},
): AsyncGenerator<ScanFinding> {
  const end = Math.min(range.end ?? (await file.size()), mostSegmentBytes);
  const window = new ScanWindow(file, end);
  let damageFrom: number | undefined;
  let before: Ordinal | undefined;
  for (let at = range.start ?? segmentHeadBytes; at < end;) {
    const entry = await readEntry(window, at);
    if (!entry) {
      damageFrom ??= at;
      at = await window.findMagic(at + 1);
      continue;
    }
    if (damageFrom !== undefined) {
      yield damage(damageFrom, at, missingBetween(before, entry.ordinal));
      damageFrom = undefined;
    }
    yield { found: 'record', ...entry };
    before = entry.ordinal;
    at += entry.lengthBytes;
  }
  if (damageFrom !== undefined && !(await window.isZero(damageFrom))) yield damage(damageFrom, end);
}

/** Bytes from `offset` on that hold no record; `missing` where the neighbours tell which were there. */
function damage(offset: number, end: number, missing?: ReturnType<typeof missingBetween>): ScanFinding {
  return { found: 'damage', offset, lengthBytes: end - offset, ...(missing ? { missing } : {}) };
}

function missingBetween(before: Ordinal | undefined, after: Ordinal) {
  if (before === undefined || writerOf(before) !== writerOf(after) || after <= before + 1) return undefined;
  return { writer: writerOf(before), first: sequenceOf(before) + 1, last: sequenceOf(after) - 1 };
}

async function readEntry(window: ScanWindow, at: number): Promise<(SegmentEntry & { version: number }) | undefined> {
  const frame = readFrame(await window.view(at, recordHeaderBytes), 0);
  if (!frame || at + frame.lengthBytes > window.end) return undefined;
  let checksum = crc32((await window.view(at, 48)).subarray(0, 48));
  for (let done = recordHeaderBytes; done < frame.lengthBytes;) {
    const piece = await window.view(at + done, Math.min(windowBytes / 4, frame.lengthBytes - done));
    if (piece.length === 0) return undefined;
    checksum = crc32(piece, checksum);
    done += piece.length;
  }
  if (checksum !== frame.crc32) return undefined;
  const { ordinal, kind, lengthBytes, version } = frame;
  return { ordinal, kind, offset: at, lengthBytes, crc32: frame.crc32, version };
}

/** A stretch of the file in memory that moves with the scan. */
class ScanWindow {
  readonly end: number;
  readonly #file: DiskFile;
  readonly #buffer = Buffer.alloc(windowBytes);
  #start = 0;
  #length = 0;
  #hasBadSectors = false;

  constructor(file: DiskFile, end: number) {
    this.#file = file;
    this.end = end;
  }

  /** Up to `length` bytes from `at` on (at most a quarter of the window); fewer only at the end. */
  async view(at: number, length: number): Promise<Buffer> {
    const wanted = Math.min(length, this.end - at);
    if (at < this.#start || at + wanted > this.#start + this.#length) await this.#fill(at);
    const from = at - this.#start;
    return this.#buffer.subarray(from, Math.max(from, Math.min(from + wanted, this.#length)));
  }

  /** The offset of the next record magic from `at` on, or the end. */
  async findMagic(at: number): Promise<number> {
    for (let from = at; from < this.end;) {
      await this.view(from, recordMagic.length);
      const loaded = this.#buffer.subarray(0, this.#length);
      const index = loaded.indexOf(recordMagic, from - this.#start);
      if (index >= 0) return this.#start + index;
      const next = this.#start + this.#length - (recordMagic.length - 1);
      from = next > from ? next : this.end;
    }
    return this.end;
  }

  /** Whether all from `at` to the end is readable and zero. */
  async isZero(at: number): Promise<boolean> {
    for (let from = at; from < this.end;) {
      const piece = await this.view(from, windowBytes / 4);
      if (piece.length === 0 || this.#hasBadSectors) return false;
      if (piece.some((byte) => byte !== 0)) return false;
      from += piece.length;
    }
    return true;
  }

  async #fill(at: number): Promise<void> {
    this.#start = at;
    this.#length = 0;
    const length = Math.min(windowBytes, this.end - at);
    const { bytesRead, badSectors } = await readAround(this.#file, this.#buffer.subarray(0, length), at);
    this.#length = bytesRead;
    this.#hasBadSectors ||= badSectors.length > 0;
  }
}

/**
 * Reads what can be read: sectors that fail with EIO come out as zeros, and their offsets are named.
 *
 * @throws any failure but EIO.
 */
export async function readAround(
  file: DiskFile,
  target: Uint8Array,
  position: number,
): Promise<{ bytesRead: number; badSectors: number[] }> {
  try {
    return { bytesRead: await file.read(target, position), badSectors: [] };
  } catch (error) {
    if (systemErrorCode(error) !== 'EIO') throw error;
  }
  const badSectors: number[] = [];
  const end = Math.min(position + target.length, await file.size());
  for (let at = position; at < end;) {
    const next = Math.min(end, (Math.floor(at / sectorBytes) + 1) * sectorBytes);
    const piece = target.subarray(at - position, next - position);
    try {
      await file.read(piece, at);
    } catch (error) {
      if (systemErrorCode(error) !== 'EIO') throw error;
      piece.set(zeroSector.subarray(0, piece.length));
      badSectors.push(at - (at % sectorBytes));
    }
    at = next;
  }
  return { bytesRead: Math.max(0, end - position), badSectors };
}
