import { crc32 } from 'node:zlib';
import { CodedError } from '@holdfast/base';
import type { Ordinal } from '../format/ordinal.ts';
import {
  maxOpenBytes,
  maxSealedBytes,
  parseRecordHeader,
  recordHeaderBytes,
  recordLengthOf,
  signatureBytes,
  verifyRecordCrc,
} from '../format/record.ts';

/** "HFR1", as the first four bytes of every record. */
export const recordMagic = Uint8Array.of(0x48, 0x46, 0x52, 0x31);

/** The longest record there can be, in bytes. */
export const longestRecordBytes = recordHeaderBytes + maxOpenBytes + maxSealedBytes + signatureBytes;

/** What the first 52 bytes of a record say, as far as storing it goes. */
export type RecordFrame = {
  readonly version: number;
  readonly kind: number;
  readonly ordinal: Ordinal;
  /** The checksum over all the rest of the record. */
  readonly crc32: number;
  /** Length of the whole record. */
  readonly lengthBytes: number;
};

/** Reads the frame at `at`; undefined where no record can begin or its first 52 bytes are not all there. */
export function readFrame(bytes: Uint8Array, at: number): RecordFrame | undefined {
  for (let i = 0; i < recordMagic.length; i++) if (bytes[at + i] !== recordMagic[i]) return undefined;
  try {
    const header = parseRecordHeader(bytes, at);
    const { version, kind, ordinal, crc } = header;
    return { version, kind, ordinal, crc32: crc, lengthBytes: recordLengthOf(header) };
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}

/** Whether the record framed at `at` is all there and its checksum holds. */
export function isWholeAt(bytes: Uint8Array, at: number): boolean {
  return verifyRecordCrc(bytes, at, parseRecordHeader(bytes, at), crc32);
}

/** Whether `bytes` are one whole record of that ordinal whose checksum holds. */
export function isWholeRecord(bytes: Uint8Array, ordinal: Ordinal): boolean {
  const frame = readFrame(bytes, 0);
  return frame?.ordinal === ordinal && frame.lengthBytes === bytes.length && isWholeAt(bytes, 0);
}
