import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter } from '../format/cursor.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { parityBytesOf, sectorBytes } from './parity.ts';

/** The most a segment's body may have, head and padding included. */
export const maxBodyBytes = 64 * 1024 * 1024;

/** More than body, parity and footer of any segment take: what lies behind it in a file is not looked at. */
export const mostSegmentBytes = 2 * maxBodyBytes;

/** The most records of a segment; not a rule of the format, it bounds the memory an open segment takes. */
export const maxSegmentRecords = 131_072;

/** Bytes of a segment's head. */
export const segmentHeadBytes = 32;

/** Bytes of a segment's trailer. */
export const trailerBytes = 32;

const entryBytes = 20;
const fixedFooterBytes = 48;
const headMagic = Uint8Array.of(0x48, 0x46, 0x53, 0x45, 0x47, 0x31, 0, 0);
const trailerMagic = Uint8Array.of(0x48, 0x46, 0x53, 0x45, 0x47, 0x45, 0x4e, 0x44);

/** Where one record lies in a segment. */
export type SegmentEntry = {
  readonly ordinal: Ordinal;
  readonly kind: number;
  readonly offset: number;
  readonly lengthBytes: number;
  readonly crc32: number;
};

/** Records of a segment by rising offset, 20 bytes each in the form of the footer. */
export class EntryTable {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView<ArrayBuffer>;
  #count: number;

  constructor(encoded: Uint8Array = new Uint8Array(0)) {
    this.#bytes = new Uint8Array(encoded);
    this.#view = new DataView(this.#bytes.buffer);
    this.#count = encoded.length / entryBytes;
  }

  get count(): number {
    return this.#count;
  }

  push(entry: SegmentEntry): void {
    const at = this.#count * entryBytes;
    if (at === this.#bytes.length) {
      const grown = new Uint8Array(Math.max(64 * entryBytes, at * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#view.setUint32(at, entry.ordinal % 2 ** 32, true);
    this.#view.setUint16(at + 4, Math.floor(entry.ordinal / 2 ** 32), true);
    this.#view.setUint8(at + 6, entry.kind);
    this.#view.setUint32(at + 8, entry.offset, true);
    this.#view.setUint32(at + 12, entry.lengthBytes, true);
    this.#view.setUint32(at + 16, entry.crc32, true);
    this.#count++;
  }

  at(index: number): SegmentEntry {
    const at = index * entryBytes;
    return {
      ordinal: this.ordinalAt(index),
      kind: this.#view.getUint8(at + 6),
      offset: this.#view.getUint32(at + 8, true),
      lengthBytes: this.#view.getUint32(at + 12, true),
      crc32: this.#view.getUint32(at + 16, true),
    };
  }

  ordinalAt(index: number): Ordinal {
    const at = index * entryBytes;
    return this.#view.getUint32(at, true) + this.#view.getUint16(at + 4, true) * 2 ** 32;
  }

  /** The first entry of that ordinal. */
  find(ordinal: Ordinal): SegmentEntry | undefined {
    for (let i = 0; i < this.#count; i++) if (this.ordinalAt(i) === ordinal) return this.at(i);
    return undefined;
  }

  *[Symbol.iterator](): Generator<SegmentEntry> {
    for (let i = 0; i < this.#count; i++) yield this.at(i);
  }

  encoded(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#count * entryBytes);
  }
}

/** What the footer of a sealed segment says (§13). */
export type SegmentFooter = {
  readonly bodyBytes: number;
  /** 0 where there is no parity. */
  readonly parityBytes: number;
  readonly bodySha256: Uint8Array;
  readonly entries: EntryTable;
  /** CRC-32 of every sector of the body. */
  readonly bodySectors: Uint32Array;
  /** CRC-32 of every sector of the parity. */
  readonly paritySectors: Uint32Array;
};

/** The 32 bytes a segment begins with. */
export function encodeSegmentHead(archiveId: Uint8Array, segment: number): Uint8Array<ArrayBuffer> {
  return new ByteWriter(segmentHeadBytes).put(headMagic).put(archiveId).u64(segment).written();
}

/** Whether these 32 bytes begin that segment of that archive. */
export function isSegmentHead(bytes: Uint8Array, archiveId: Uint8Array, segment: number): boolean {
  return bytes.length === segmentHeadBytes && Buffer.compare(bytes, encodeSegmentHead(archiveId, segment)) === 0;
}

/** The archive a segment's head names; undefined where it is no head. */
export function archiveOfHead(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length < segmentHeadBytes || Buffer.compare(bytes.subarray(0, 8), headMagic) !== 0) return undefined;
  return bytes.slice(8, 24);
}

/** Footer and trailer, as they follow body and parity. */
export function encodeFooter(footer: SegmentFooter): Uint8Array<ArrayBuffer> {
  const checksums = footer.bodySectors.length + footer.paritySectors.length;
  const length = fixedFooterBytes + footer.entries.count * entryBytes + checksums * 4;
  const writer = new ByteWriter(length + trailerBytes);
  writer.u64(footer.bodyBytes).u32(footer.parityBytes).u32(footer.entries.count).put(footer.bodySha256);
  writer.put(footer.entries.encoded());
  for (const checksum of footer.bodySectors) writer.u32(checksum);
  for (const checksum of footer.paritySectors) writer.u32(checksum);
  const checksum = crc32(writer.written());
  writer
    .u64(footer.bodyBytes + footer.parityBytes)
    .u32(length)
    .u32(checksum)
    .u64(0)
    .put(trailerMagic);
  return writer.written();
}

/** Where the footer lies, as the last 32 bytes of a file say; undefined where they are no trailer of a file of that size. */
export function readTrailer(
  trailer: Uint8Array,
  fileBytes: number,
): { readonly offset: number; readonly lengthBytes: number; readonly crc32: number } | undefined {
  if (trailer.length !== trailerBytes || Buffer.compare(trailer.subarray(24), trailerMagic) !== 0) return undefined;
  const view = new DataView(trailer.buffer, trailer.byteOffset, trailerBytes);
  const offset = view.getUint32(0, true);
  const lengthBytes = view.getUint32(8, true);
  const isPlain = view.getUint32(4, true) === 0 && view.getUint32(16, true) === 0 && view.getUint32(20, true) === 0;
  if (!isPlain || lengthBytes < fixedFooterBytes || offset + lengthBytes + trailerBytes !== fileBytes) return undefined;
  return { offset, lengthBytes, crc32: view.getUint32(12, true) };
}

/** Decodes a footer; undefined where its checksum or its own lengths do not hold. */
export function decodeFooter(bytes: Uint8Array, trailer: { offset: number; crc32: number }): SegmentFooter | undefined {
  if (crc32(bytes) !== trailer.crc32 || bytes.length < fixedFooterBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const bodyBytes = view.getUint32(0, true);
  const parityBytes = view.getUint32(8, true);
  const records = view.getUint32(12, true);
  const hasLengths =
    view.getUint32(4, true) === 0 &&
    bodyBytes % sectorBytes === 0 &&
    bodyBytes <= maxBodyBytes &&
    [0, parityBytesOf(bodyBytes)].includes(parityBytes) &&
    bodyBytes + parityBytes === trailer.offset;
  const bodySectors = bodyBytes / sectorBytes;
  const paritySectors = parityBytes / sectorBytes;
  const sized = fixedFooterBytes + records * entryBytes + (bodySectors + paritySectors) * 4 === bytes.length;
  if (!hasLengths || !sized) return undefined;
  const reader = new ByteReader(bytes, 'segment footer', 16);
  const bodySha256 = reader.take(32).slice();
  const entries = new EntryTable(reader.take(records * entryBytes));
  for (const { offset, lengthBytes } of entries) {
    if (offset < segmentHeadBytes || offset + lengthBytes > bodyBytes) return undefined;
  }
  const checksums = (count: number) => Uint32Array.from({ length: count }, () => reader.u32());
  return {
    bodyBytes,
    parityBytes,
    bodySha256,
    entries,
    bodySectors: checksums(bodySectors),
    paritySectors: checksums(paritySectors),
  };
}
