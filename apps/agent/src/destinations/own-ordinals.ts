/** Records under this device's writer number that it did not make: those of a clone, or of a time before its disk was set back. */
import {
  isRecordSignedBy,
  openRecordSync,
  type Ordinal,
  ordinalOf,
  parseRecordHeader,
  RecordKind,
  sequenceOf,
  writerOf,
} from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
import type { DeviceArchive } from '../archive/device-archive.ts';
import { writersOf } from '../keys/archive-keyring.ts';
import type { DestinationSession } from './destination-place.ts';
import { destinationErrors } from './errors.ts';

/** Of records that may all be damaged there, so many are read before none is believed in. */
const mostRead = 64;

/**
 * The ordinal of a record that a destination has under this device's writer number and that the device cannot have made;
 * undefined where it has none. The record itself is the proof: only who has the archive's keys can make one. A word of the
 * destination is none, since a writer number is given up for it.
 *
 * @throws destinations.ordinals_unproven
 */
export async function findForeignRecord(
  archive: DeviceArchive,
  session: DestinationSession,
): Promise<Ordinal | undefined> {
  const { writerNumber } = archive.stored.keys;
  const next = archive.index.getNumber('ordinals') ?? 0;
  const highest = await session.highestSequence(writerNumber);
  if (highest === undefined || highest < next) return undefined;
  const isForeign = (ordinal: Ordinal) => writerOf(ordinal) === writerNumber && sequenceOf(ordinal) >= next;
  const wanted = [ordinalOf(writerNumber, highest)];
  for await (const { ordinal } of session.list()) {
    if (isForeign(ordinal)) wanted.push(ordinal);
    if (wanted.length >= mostRead) break;
  }
  for await (const record of session.read(wanted)) {
    const { ordinal } = parseRecordHeader(record);
    if (isForeign(ordinal) && isProof(record, archive)) return ordinal;
  }
  throw destinationErrors.ordinals_unproven({ destination: session.name });
}

/** Whether a record was surely made by who has this device's keys: signed by its writer, or sealed under its ordinal. */
export function isProof(record: Uint8Array, { archiveId, openKeys, stored }: DeviceArchive): boolean {
  const { kind, ordinal } = parseRecordHeader(record);
  const isSigned = kind === RecordKind.keyring || kind === RecordKind.commit || kind === RecordKind.live;
  const writer = writersOf(stored).find(({ number }) => number === writerOf(ordinal));
  try {
    if (isSigned) return writer !== undefined && isRecordSignedBy(record, archiveId, writer.publicKey);
    openRecordSync(record, openKeys);
    return true;
  } catch (error) {
    // Altered, or under keys that came later.
    if (error instanceof CodedError) return false;
    throw error;
  }
}
