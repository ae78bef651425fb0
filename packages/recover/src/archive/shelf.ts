import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { RecoverError, systemCode } from '../errors.ts';
import { nameOrdinal } from '../format/bytes.ts';
import { isKnownShape, readFrame, RECORD_LIMIT_BYTES, type RecordFrame } from '../format/record.ts';
import {
  type Footer,
  placesOf,
  readFooter,
  readSegmentHead,
  readTrailer,
  repairSegment,
  scanSegment,
  SEGMENT_HEAD_BYTES,
  SEGMENT_LIMIT_BYTES,
  TRAILER_BYTES,
} from '../format/segment.ts';
import type { Findings } from './findings.ts';
import { type IndexedPlace, PlaceIndex } from './place-index.ts';

/** A segment file of the archive, and its archive id where its head holds. */
type SegmentFile = {
  readonly name: string;
  readonly path: string;
  readonly lengthBytes: number;
  readonly sealed: boolean;
};

const OPEN_FILES = 64;

/**
 * The files of an archive, read only: which records there are and where, and their bytes.
 *
 * At most one segment is in memory at a time. Nothing is ever written to the folder.
 */
export class Shelf {
  readonly index = new PlaceIndex();
  readonly #folder: string;
  readonly #findings: Findings;
  readonly #segments: SegmentFile[] = [];
  readonly #open = new Map<number, number>();
  #repaired: { readonly segment: number; readonly bytes: Buffer } | undefined;

  constructor(folder: string, findings: Findings) {
    this.#folder = folder;
    this.#findings = findings;
    listFolder(folder, true);
  }

  get segments(): number {
    return this.#segments.length;
  }

  /** Reads the footers of sealed segments, and scans the others, of `segments` and then of `copies`. */
  *takeStock(): Generator<number> {
    for (const folder of ['segments', 'copies']) {
      const names = listFolder(join(this.#folder, folder), false).filter((name) => /^\d{10}\.seg$/.test(name));
      for (const name of names.sort()) {
        this.#takeSegment(`${folder}/${name}`);
        yield this.#segments.length;
      }
    }
  }

  /** The records of the keys folder that can be read, of the files named for one kind, with the name of their file. */
  *keyFiles(kind: 'header' | 'keyring'): Generator<{ readonly name: string; readonly frame: RecordFrame }> {
    const names = listFolder(join(this.#folder, 'keys'), false);
    const wanted = kind === 'header' ? /^header\.[123]$/ : /^keyring-\d{1,10}\.[123]$/;
    for (const name of names.filter((name) => wanted.test(name)).sort()) {
      const bytes = readAll(join(this.#folder, 'keys', name), RECORD_LIMIT_BYTES);
      const frame = bytes === undefined ? undefined : readFrame(bytes, 0);
      if (frame !== undefined && isKnownShape(frame)) yield { name: `keys/${name}`, frame };
      else
        this.#findings.add({
          severity: 'notice',
          code: 'keys.damaged_copy',
          message: 'a copy in the keys folder does not hold',
          where: `keys/${name}`,
        });
    }
  }

  /** Where a place is, for people. */
  describe(place: IndexedPlace): string {
    return `${this.#segments[place.segment]?.name ?? '?'}+${place.offset}`;
  }

  /** The record at a place; repaired from parity in memory where it must be; undefined when that fails. */
  read(place: IndexedPlace): RecordFrame | undefined {
    const direct = this.#readDirectly(place);
    if (direct !== undefined) return direct;
    const repaired = this.#readRepaired(place);
    const code = repaired === undefined ? 'record.unreadable_place' : 'record.repaired';
    this.#findings.add({
      severity: 'notice',
      code,
      message:
        repaired === undefined
          ? 'a place of a record does not hold it any more'
          : 'a record was repaired from parity, in memory',
      records: [nameOrdinal(place.ordinal)],
      where: this.describe(place),
    });
    return repaired;
  }

  close(): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
    this.#repaired = undefined;
  }

  #readDirectly(place: IndexedPlace): RecordFrame | undefined {
    if (place.length > RECORD_LIMIT_BYTES) return undefined;
    const bytes = this.#readAt(place.segment, { offset: place.offset, length: place.length });
    const frame = bytes === undefined ? undefined : readFrame(bytes, 0);
    return frame !== undefined && isThatOf(place, frame) ? frame : undefined;
  }

  #readRepaired(place: IndexedPlace): RecordFrame | undefined {
    const file = this.#segments[place.segment];
    if (file === undefined || !file.sealed) return undefined;
    if (this.#repaired?.segment !== place.segment) {
      this.#repaired = undefined;
      const bytes = this.#readAt(place.segment, { offset: 0, length: file.lengthBytes });
      const footer = bytes === undefined ? undefined : footerOf(bytes);
      if (bytes === undefined || footer === undefined) return undefined;
      repairSegment(bytes, footer);
      this.#repaired = { segment: place.segment, bytes };
    }
    const frame = readFrame(this.#repaired.bytes, place.offset);
    if (frame === undefined || !isThatOf(place, frame)) return undefined;
    return readFrame(Buffer.from(frame.whole), 0); // a copy: the segment's buffer goes when the next one comes
  }

  #readAt(segment: number, span: { readonly offset: number; readonly length: number }): Buffer | undefined {
    let fd = this.#open.get(segment);
    if (fd === undefined) {
      fd = openPlainFile(this.#segments[segment]!.path);
      if (fd === undefined) return undefined;
      this.#closeOldest();
    } else this.#open.delete(segment);
    this.#open.set(segment, fd);
    return readSpan(fd, span);
  }

  #closeOldest(): void {
    if (this.#open.size < OPEN_FILES) return;
    const [segment, fd] = this.#open.entries().next().value!;
    this.#open.delete(segment);
    closeSync(fd);
  }

  #takeSegment(name: string): void {
    const path = join(this.#folder, name);
    const fd = openPlainFile(path);
    if (fd === undefined) {
      this.#findings.add({
        severity: 'notice',
        code: 'segment.unreadable',
        message: 'a segment file cannot be opened',
        where: name,
      });
      return;
    }
    try {
      const lengthBytes = fstatSync(fd).size;
      const footer = readFooterOf(fd, lengthBytes);
      const segment = this.#segments.push({ name, path, lengthBytes, sealed: footer !== undefined }) - 1;
      this.#checkHead(fd, name);
      if (footer === undefined) this.#scan(fd, segment);
      else for (const place of placesOf(footer)) this.index.add({ ...place, segment });
    } finally {
      closeSync(fd);
    }
  }

  #checkHead(fd: number, name: string): void {
    const bytes = readSpan(fd, { offset: 0, length: SEGMENT_HEAD_BYTES });
    const head = bytes === undefined ? undefined : readSegmentHead(bytes);
    const number = BigInt(name.slice(-14, -4));
    if (head?.number === number) return;
    this.#findings.add({
      severity: 'notice',
      code: 'segment.damaged_head',
      message: 'the head of a segment does not hold',
      where: name,
    });
  }

  #scan(fd: number, segment: number): void {
    const { name, lengthBytes } = this.#segments[segment]!;
    const length = Math.min(lengthBytes, SEGMENT_LIMIT_BYTES);
    const bytes = readSpan(fd, { offset: 0, length });
    if (length < lengthBytes) {
      this.#findings.add({
        severity: 'notice',
        code: 'segment.too_long',
        message: 'a segment is longer than any may be; only its beginning is read',
        where: name,
      });
    }
    if (bytes === undefined) return;
    const { frames, damage } = scanSegment(bytes);
    for (const frame of frames) {
      if (!isKnownShape(frame)) this.#noteUnknown(frame, `${name}+${frame.offset}`);
      this.index.add({
        ordinal: frame.ordinal,
        kind: frame.kind,
        offset: frame.offset,
        length: frame.whole.length,
        crc: frame.crc,
        segment,
      });
    }
    for (const stretch of damage) {
      this.#findings.add({
        severity: 'notice',
        code: 'segment.damaged',
        message: `${stretch.length} bytes of a segment hold no readable record`,
        where: `${name}+${stretch.offset}`,
      });
    }
  }

  #noteUnknown(frame: RecordFrame, where: string): void {
    const what = `a record of kind ${frame.kind}, version ${frame.version} was passed over`;
    this.#findings.add({
      severity: 'notice',
      code: 'record.unknown_kind',
      message: what,
      records: [nameOrdinal(frame.ordinal)],
      where,
    });
  }
}

function isThatOf(place: IndexedPlace, frame: RecordFrame): boolean {
  return (
    frame.ordinal === place.ordinal &&
    frame.kind === place.kind &&
    frame.whole.length === place.length &&
    isKnownShape(frame)
  );
}

function footerOf(file: Buffer): Footer | undefined {
  const trailer = readTrailer(file.subarray(file.length - TRAILER_BYTES), file.length);
  if (trailer === undefined) return undefined;
  return readFooter(file.subarray(trailer.footerOffset, trailer.footerOffset + trailer.footerLength), trailer);
}

function readFooterOf(fd: number, lengthBytes: number): Footer | undefined {
  if (lengthBytes < SEGMENT_HEAD_BYTES + TRAILER_BYTES || lengthBytes > SEGMENT_LIMIT_BYTES) return undefined;
  const bytes = readSpan(fd, { offset: lengthBytes - TRAILER_BYTES, length: TRAILER_BYTES });
  const trailer = bytes === undefined ? undefined : readTrailer(bytes, lengthBytes);
  if (trailer === undefined) return undefined;
  const footer = readSpan(fd, { offset: trailer.footerOffset, length: trailer.footerLength });
  return footer === undefined ? undefined : readFooter(footer, trailer);
}

/** Opens a regular file for reading; a FIFO or device under the name of a segment must not hold the reader up. */
function openPlainFile(path: string): number | undefined {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (fstatSync(fd).isFile()) return fd;
    closeSync(fd);
  } catch {
    return undefined; // reported by the caller with the file's name
  }
  return undefined;
}

/** So many bytes from an offset; undefined when the file ends before or cannot be read there. */
function readSpan(fd: number, span: { readonly offset: number; readonly length: number }): Buffer | undefined {
  const bytes = Buffer.allocUnsafe(span.length);
  let done = 0;
  while (done < span.length) {
    let count: number;
    try {
      count = readSync(fd, bytes, done, span.length - done, span.offset + done);
    } catch {
      return undefined; // a bad sector of the disk under us is damage like any other
    }
    if (count === 0) return undefined;
    done += count;
  }
  return bytes;
}

function readAll(path: string, limitBytes: number): Buffer | undefined {
  const fd = openPlainFile(path);
  if (fd === undefined) return undefined;
  try {
    return readSpan(fd, { offset: 0, length: Math.min(fstatSync(fd).size, limitBytes) });
  } finally {
    closeSync(fd);
  }
}

function listFolder(path: string, must: boolean): readonly string[] {
  try {
    return readdirSync(path);
  } catch (cause) {
    if (!must) return [];
    throw new RecoverError('folder.not_found', { folder: path, system: systemCode(cause) }, { cause });
  }
}
