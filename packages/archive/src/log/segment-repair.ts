import { crc32 } from 'node:zlib';
import type { DiskFile } from './disk.ts';
import { encodeFooter, type SegmentEntry, type SegmentFooter } from './footer.ts';
import { sectorBytes, stripeOf, xorInto } from './parity.ts';
import { isWholeRecord, readFrame } from './record-frame.ts';
import { readAround } from './scan.ts';
import { checkSegment, type SegmentCheck } from './segment.ts';

/** Bytes of a body, read against the checksums of its sectors. */
export type CheckedBytes = {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Sectors that were bad and came back from parity. */
  readonly healedSectors: readonly number[];
  /** Sectors that are bad and stay so; their bytes are as the disk gave them. */
  readonly lostSectors: readonly number[];
};

/** Reads `lengthBytes` of a sealed segment's body; sectors that do not hold are rebuilt from parity where that can be done. */
export async function readChecked(
  file: DiskFile,
  footer: SegmentFooter,
  offset: number,
  lengthBytes: number,
): Promise<CheckedBytes> {
  const first = Math.floor(offset / sectorBytes);
  const end = Math.min(Math.ceil((offset + lengthBytes) / sectorBytes), footer.bodySectors.length);
  const sectors = new Uint8Array((end - first) * sectorBytes);
  await readAround(file, sectors, first * sectorBytes);
  const healedSectors: number[] = [];
  const lostSectors: number[] = [];
  for (let sector = first; sector < end; sector++) {
    const bytes = sectors.subarray((sector - first) * sectorBytes, (sector - first + 1) * sectorBytes);
    if (crc32(bytes) === footer.bodySectors[sector]) continue;
    const rebuilt = await rebuildSector(file, footer, sector);
    if (rebuilt) bytes.set(rebuilt);
    (rebuilt ? healedSectors : lostSectors).push(sector);
  }
  const from = offset - first * sectorBytes;
  return { bytes: sectors.slice(from, from + lengthBytes), healedSectors, lostSectors };
}

/** The right bytes of a bad body sector: the exclusive or of all others of its stripe. Undefined where one of those is bad too. */
export async function rebuildSector(
  file: DiskFile,
  footer: SegmentFooter,
  sector: number,
): Promise<Uint8Array | undefined> {
  if (footer.parityBytes === 0) return undefined;
  const { others, parity } = stripeOf(sector, footer.bodyBytes);
  const rebuilt = await readSector(file, footer.bodyBytes / sectorBytes + parity, footer.paritySectors[parity]);
  if (!rebuilt) return undefined;
  for (const other of others) {
    const bytes = await readSector(file, other, footer.bodySectors[other]);
    if (!bytes) return undefined;
    xorInto(rebuilt, 0, bytes);
  }
  return crc32(rebuilt) === footer.bodySectors[sector] ? rebuilt : undefined;
}

async function readSector(
  file: DiskFile,
  sector: number,
  checksum: number | undefined,
): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(sectorBytes);
  await readAround(file, bytes, sector * sectorBytes);
  return crc32(bytes) === checksum ? bytes : undefined;
}

/** Finds the right bytes of a record somewhere else (second copies, the keys folder); undefined where there are none. */
export type RecordSource = (entry: SegmentEntry) => Promise<Uint8Array | undefined>;

/** What a repaired copy of a segment holds. */
export type RepairedSegment = {
  /** Whether the whole body is again what was sealed, by its SHA-256. */
  readonly isWhole: boolean;
  readonly healedByParity: readonly number[];
  readonly healedRecords: readonly SegmentEntry[];
  readonly lostRecords: readonly SegmentEntry[];
};

/**
 * Writes a repaired copy of a sealed segment into `target`, a new file, and returns once it is on stable storage.
 *
 * Bad sectors come from parity; then records that are still bad come whole from `elsewhere`; parity is made good from the
 * mended body. The footer stays that of the sealing, so what could not be mended is still known to be bad.
 */
export async function writeRepaired(
  source: DiskFile,
  footer: SegmentFooter,
  target: DiskFile,
  elsewhere: RecordSource,
): Promise<RepairedSegment> {
  const healedByParity: number[] = [];
  const stepSectors = 64;
  for (let sector = 0; sector < footer.bodySectors.length; sector += stepSectors) {
    const length = Math.min(stepSectors, footer.bodySectors.length - sector) * sectorBytes;
    const checked = await readChecked(source, footer, sector * sectorBytes, length);
    healedByParity.push(...checked.healedSectors);
    await target.write(checked.bytes, sector * sectorBytes);
  }
  await copyParity(source, footer, target);
  const tail = encodeFooter(footer);
  await target.write(tail, footer.bodyBytes + footer.parityBytes);
  const { healed, lost } = await patchRecords(target, await checkSegment(target, footer), elsewhere);
  // Records put back may complete a stripe, and with it the sectors beside them.
  const healedLate = await healFromParity(target, footer);
  const check = await mendParity(target, footer);
  await target.sync();
  const stillLost = lost.filter((entry) => check.badRecords.some((bad) => bad.offset === entry.offset));
  return {
    isWhole: check.isWhole && check.badParitySectors.length === 0,
    healedByParity: [...healedByParity, ...healedLate],
    healedRecords: healed,
    lostRecords: stillLost,
  };
}

async function copyParity(source: DiskFile, footer: SegmentFooter, target: DiskFile): Promise<void> {
  const stepBytes = 64 * sectorBytes;
  for (let done = 0; done < footer.parityBytes; done += stepBytes) {
    const piece = new Uint8Array(Math.min(stepBytes, footer.parityBytes - done));
    await readAround(source, piece, footer.bodyBytes + done);
    await target.write(piece, footer.bodyBytes + done);
  }
}

async function patchRecords(target: DiskFile, check: SegmentCheck, elsewhere: RecordSource) {
  const healed: SegmentEntry[] = [];
  const lost: SegmentEntry[] = [];
  for (const entry of check.badRecords) {
    const bytes = await elsewhere(entry);
    if (!bytes || !isRecordOf(bytes, entry)) {
      lost.push(entry);
      continue;
    }
    await target.write(bytes, entry.offset);
    healed.push(entry);
  }
  return { healed, lost };
}

/** Whether bytes are the very record an entry speaks of. */
export function isRecordOf(bytes: Uint8Array, entry: SegmentEntry): boolean {
  if (bytes.length !== entry.lengthBytes || !isWholeRecord(bytes, entry.ordinal)) return false;
  return readFrame(bytes, 0)?.crc32 === entry.crc32;
}

async function healFromParity(target: DiskFile, footer: SegmentFooter): Promise<number[]> {
  const healed: number[] = [];
  for (const sector of (await checkSegment(target, footer)).badBodySectors) {
    const rebuilt = await rebuildSector(target, footer, sector);
    if (!rebuilt) continue;
    await target.write(rebuilt, sector * sectorBytes);
    healed.push(sector);
  }
  return healed;
}

/** Makes bad parity sectors again from the body, where its stripe is whole. */
async function mendParity(target: DiskFile, footer: SegmentFooter): Promise<SegmentCheck> {
  const check = await checkSegment(target, footer);
  if (check.badParitySectors.length === 0) return check;
  for (const place of check.badParitySectors) {
    const parity = new Uint8Array(sectorBytes);
    const perColumn = footer.parityBytes / sectorBytes;
    for (let sector = place; sector < footer.bodySectors.length; sector += perColumn) {
      const bytes = await readSector(target, sector, footer.bodySectors[sector]);
      if (bytes) xorInto(parity, 0, bytes);
    }
    if (crc32(parity) === footer.paritySectors[place]) {
      await target.write(parity, footer.bodyBytes + place * sectorBytes);
    }
  }
  return checkSegment(target, footer);
}
