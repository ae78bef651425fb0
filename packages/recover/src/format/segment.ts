import { crc32 } from 'node:zlib';
import type { Ordinal } from './bytes.ts';
import { frameLength, readFrame, RECORD_HEAD_BYTES, RECORD_MAGIC, type RecordFrame } from './record.ts';

/** Bytes of a segment's head and of its trailer. */
export const SEGMENT_HEAD_BYTES = 32;
export const TRAILER_BYTES = 32;

const SECTOR_BYTES = 4096;
const COLUMNS = 32;
const BODY_LIMIT_BYTES = 64 * 1024 * 1024;
const FOOTER_FIXED_BYTES = 48;
const FOOTER_RECORD_BYTES = 20;
const headMagic = Buffer.from('4846534547310000', 'hex');
const trailerMagic = Buffer.from('HFSEGEND', 'ascii');

/** Longest segment file this reader takes into memory: body, parity and the longest footer. */
export const SEGMENT_LIMIT_BYTES = 100 * 1024 * 1024;

/** The trailer of a sealed segment. */
export type Trailer = { readonly footerOffset: number; readonly footerLength: number; readonly footerCrc: number };

/** Where one record lies, as a footer or a scan tells it. */
export type RecordPlace = {
  readonly ordinal: Ordinal;
  readonly kind: number;
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
};

/** What the footer of a sealed segment says; `records` and `sectorCrcs` are its raw tables. */
export type Footer = {
  readonly bodyLength: number;
  readonly parityLength: number;
  readonly recordCount: number;
  readonly records: Buffer;
  readonly sectorCrcs: Buffer;
};

/** A stretch of a segment that holds no readable record. */
export type DamagedStretch = { readonly offset: number; readonly length: number };

/** Archive id and number in a segment's head; undefined when its magic does not hold. */
export function readSegmentHead(bytes: Buffer): { readonly archiveId: Buffer; readonly number: bigint } | undefined {
  if (bytes.length < SEGMENT_HEAD_BYTES || !bytes.subarray(0, 8).equals(headMagic)) return undefined;
  return { archiveId: Buffer.from(bytes.subarray(8, 24)), number: bytes.readBigUInt64LE(24) };
}

/** Reads the last 32 bytes of a segment file; undefined where they are no trailer of a file of this length. */
export function readTrailer(bytes: Buffer, fileLength: number): Trailer | undefined {
  if (bytes.length !== TRAILER_BYTES || !bytes.subarray(24).equals(trailerMagic)) return undefined;
  if (!bytes.subarray(16, 24).equals(Buffer.alloc(8))) return undefined;
  const offset = bytes.readBigUInt64LE(0);
  const footerLength = bytes.readUInt32LE(8);
  if (offset + BigInt(footerLength + TRAILER_BYTES) !== BigInt(fileLength)) return undefined;
  if (footerLength < FOOTER_FIXED_BYTES) return undefined;
  return { footerOffset: Number(offset), footerLength, footerCrc: bytes.readUInt32LE(12) };
}

/** Reads a footer; undefined where its CRC-32, its lengths or the way its records lie do not hold. */
export function readFooter(bytes: Buffer, trailer: Trailer): Footer | undefined {
  if (bytes.length !== trailer.footerLength || crc32(bytes) !== trailer.footerCrc) return undefined;
  const bodyLength = Number(bytes.readBigUInt64LE(0));
  const parityLength = bytes.readUInt32LE(8);
  const recordCount = bytes.readUInt32LE(12);
  if (bodyLength > BODY_LIMIT_BYTES || bodyLength % SECTOR_BYTES !== 0) return undefined;
  if (parityLength !== 0 && parityLength !== parityLengthOf(bodyLength)) return undefined;
  if (bodyLength + parityLength !== trailer.footerOffset) return undefined;
  const sectorsAt = FOOTER_FIXED_BYTES + recordCount * FOOTER_RECORD_BYTES;
  if (sectorsAt + ((bodyLength + parityLength) / SECTOR_BYTES) * 4 !== bytes.length) return undefined;
  const footer = {
    bodyLength,
    parityLength,
    recordCount,
    records: Buffer.from(bytes.subarray(FOOTER_FIXED_BYTES, sectorsAt)),
    sectorCrcs: Buffer.from(bytes.subarray(sectorsAt)),
  };
  return fillsTheBody(footer) ? footer : undefined;
}

/** Parity bytes that belong to a body of this length. */
export function parityLengthOf(bodyLength: number): number {
  return SECTOR_BYTES * Math.ceil(bodyLength / SECTOR_BYTES / COLUMNS);
}

/** A footer that leaves a gap between records could hide some: then the segment is better scanned. */
function fillsTheBody(footer: Footer): boolean {
  let at = SEGMENT_HEAD_BYTES;
  for (const place of placesOf(footer)) {
    if (place.offset !== at || place.length < RECORD_HEAD_BYTES) return false;
    at += place.length;
  }
  return at <= footer.bodyLength && footer.bodyLength - at < SECTOR_BYTES;
}

/** The records a footer lists, by rising offset. */
export function* placesOf(footer: Footer): Generator<RecordPlace> {
  for (let at = 0; at < footer.records.length; at += FOOTER_RECORD_BYTES) {
    yield {
      ordinal: footer.records.readUIntLE(at, 6),
      kind: footer.records.readUInt8(at + 6),
      offset: footer.records.readUInt32LE(at + 8),
      length: footer.records.readUInt32LE(at + 12),
      crc: footer.records.readUInt32LE(at + 16),
    };
  }
}

/** What a scan found: records in order, and the stretches between them that hold none. */
export type ScanResult = {
  readonly frames: Iterable<RecordFrame & { readonly offset: number }>;
  readonly damage: DamagedStretch[];
};

/**
 * Scans the bytes of a segment from behind its head, going on at the next good record after damage (§13).
 *
 * `damage` is filled while `frames` is read. False beginnings cost a CRC-32 each; their sum is bounded to 32 times the
 * file's length, so that bytes made to look like many records cannot hold the reader up. What lies behind that bound
 * counts as damage.
 */
export function scanSegment(bytes: Buffer): ScanResult {
  const damage: DamagedStretch[] = [];
  return { frames: scanFrames(bytes, damage), damage };
}

function* scanFrames(bytes: Buffer, damage: DamagedStretch[]): Generator<RecordFrame & { readonly offset: number }> {
  let at = SEGMENT_HEAD_BYTES;
  let budget = bytes.length * 32;
  let damagedFrom: number | undefined;
  while (at < bytes.length) {
    const frame = budget > 0 ? readFrame(bytes, at) : undefined;
    if (frame !== undefined) {
      noteDamage(bytes, damage, { from: damagedFrom, to: at });
      damagedFrom = undefined;
      yield { ...frame, offset: at };
      at += frame.whole.length;
      continue;
    }
    budget -= Math.min(frameLength(bytes, at) ?? 0, bytes.length - at);
    damagedFrom ??= at;
    const next = budget > 0 ? bytes.indexOf(RECORD_MAGIC, at + 1) : -1;
    at = next === -1 ? bytes.length : next;
  }
  noteDamage(bytes, damage, { from: damagedFrom, to: bytes.length });
}

/** Zeros at the end fill the body up and are no damage. */
function noteDamage(
  bytes: Buffer,
  damage: DamagedStretch[],
  stretch: { readonly from: number | undefined; readonly to: number },
): void {
  if (stretch.from === undefined || stretch.from >= stretch.to) return;
  if (stretch.to === bytes.length && isZero(bytes.subarray(stretch.from))) return;
  damage.push({ offset: stretch.from, length: stretch.to - stretch.from });
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

/** What a repair in memory came to, in sectors of 4,096 bytes. */
export type Repair = { readonly repairedSectors: number; readonly lostSectors: number };

/**
 * Puts right the bad sectors of a sealed segment's body in memory, from its parity (§13).
 *
 * `bytes` begins with the body and the parity and is changed in place. A sector is repaired when no other sector at its
 * place in the columns, the parity's included, is bad, and only when the outcome has the CRC-32 of the footer.
 */
export function repairSegment(bytes: Buffer, footer: Footer): Repair {
  const bodySectors = footer.bodyLength / SECTOR_BYTES;
  const places = Math.max(1, footer.parityLength / SECTOR_BYTES);
  const bad: number[] = [];
  const badAtPlace = new Uint32Array(places);
  for (let sector = 0; sector < bodySectors; sector += 1) {
    if (sectorHolds(bytes, footer, sector)) continue;
    bad.push(sector);
    badAtPlace[sector % places]! += 1;
  }
  let repairedSectors = 0;
  for (const sector of footer.parityLength === 0 ? [] : bad) {
    const place = sector % places;
    if (badAtPlace[place] !== 1 || !sectorHolds(bytes, footer, bodySectors + place)) continue;
    rebuildSector(bytes, footer, sector);
    if (sectorHolds(bytes, footer, sector)) repairedSectors += 1;
  }
  return { repairedSectors, lostSectors: bad.length - repairedSectors };
}

function sectorHolds(bytes: Buffer, footer: Footer, sector: number): boolean {
  const at = sector * SECTOR_BYTES;
  if (at + SECTOR_BYTES > bytes.length) return false;
  return crc32(bytes.subarray(at, at + SECTOR_BYTES)) === footer.sectorCrcs.readUInt32LE(sector * 4);
}

function rebuildSector(bytes: Buffer, footer: Footer, sector: number): void {
  const places = footer.parityLength / SECTOR_BYTES;
  const place = sector % places;
  const bodySectors = footer.bodyLength / SECTOR_BYTES;
  const rebuilt = Buffer.from(
    bytes.subarray((bodySectors + place) * SECTOR_BYTES, (bodySectors + place + 1) * SECTOR_BYTES),
  );
  for (let other = place; other < bodySectors; other += places) {
    if (other === sector) continue;
    const at = other * SECTOR_BYTES;
    for (let index = 0; index < SECTOR_BYTES; index += 1) rebuilt[index]! ^= bytes[at + index]!;
  }
  rebuilt.copy(bytes, sector * SECTOR_BYTES);
}
