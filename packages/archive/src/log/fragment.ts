import { createHash } from 'node:crypto';
import { CodedError } from '@holdfast/base';
import { isKnownRecord, parseRecordHeader, recordHeaderBytes } from '../format/record.ts';
import { logErrors } from './errors.ts';
import { keyFileName } from './key-files.ts';
import { isWholeAt, readFrame } from './record-frame.ts';
import type { FramedRecord } from './segment-writer.ts';

/**
 * Tells a fragment from any other that an honest sender makes, as hexadecimal: SHA-256 over its records' headers, whose
 * checksums cover all the rest. A sender who forges a checksum only tells himself that something was stored.
 */
export function fragmentDigest(bytes: Uint8Array): string {
  const digest = createHash('sha256');
  for (let offset = 0; offset < bytes.length;) {
    const frame = readFrame(bytes, offset);
    // What is no record is refused later; until then every byte of it counts.
    const end = frame ? offset + recordHeaderBytes : bytes.length;
    digest.update(bytes.subarray(offset, end));
    offset = frame ? offset + frame.lengthBytes : bytes.length;
  }
  return digest.digest('hex');
}

/**
 * Cuts bytes into the whole records they must be, as views.
 *
 * @throws log.record_invalid with the offset and the fact where they are anything else: magic, version, kind, lengths,
 * checksum, an ordinal twice.
 */
export function splitFragment(bytes: Uint8Array): FramedRecord[] {
  const records: FramedRecord[] = [];
  const ordinals = new Set<number>();
  for (let offset = 0; offset < bytes.length;) {
    const frame = readFrame(bytes, offset);
    if (!frame) throw logErrors.record_invalid({ offset, fact: factOf(bytes, offset) });
    const problem = problemOf(bytes, offset);
    if (problem) throw logErrors.record_invalid({ offset, ordinal: frame.ordinal, fact: problem });
    if (ordinals.has(frame.ordinal)) {
      throw logErrors.record_invalid({ offset, ordinal: frame.ordinal, fact: 'its ordinal comes twice' });
    }
    ordinals.add(frame.ordinal);
    records.push({ frame, bytes: bytes.subarray(offset, offset + frame.lengthBytes) });
    offset += frame.lengthBytes;
  }
  return records;
}

function problemOf(bytes: Uint8Array, offset: number): string | undefined {
  if (!isKnownRecord(parseRecordHeader(bytes, offset))) return 'its version or kind is not known here';
  if (!isWholeAt(bytes, offset)) return 'it is cut off, or its checksum does not hold';
  try {
    // A keyring is stored under its number, so that must be there.
    keyFileName(bytes.subarray(offset));
    return undefined;
  } catch (error) {
    if (error instanceof CodedError) return whatOf(error);
    throw error;
  }
}

function factOf(bytes: Uint8Array, offset: number): string {
  try {
    parseRecordHeader(bytes, offset);
    return 'no record begins here';
  } catch (error) {
    if (error instanceof CodedError) return whatOf(error);
    throw error;
  }
}

function whatOf({ details, message }: CodedError): string {
  return typeof details.what === 'string' ? details.what : message;
}
