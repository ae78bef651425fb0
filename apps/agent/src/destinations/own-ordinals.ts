/** Records under this device's writer number that it did not make: those of a clone, or of a time before its disk was set back. */
import { isAuthentic, type Ordinal, ordinalOf, parseRecordHeader, sequenceOf, writerOf } from '@holdfast/archive';
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
  const next = nextSequenceOf(archive);
  const highest = await session.highestSequence(writerNumber);
  if (highest === undefined || highest < next) return undefined;
  const isForeign = (ordinal: Ordinal) => isUnused(archive, ordinal);
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

/**
 * Whether a record was surely made by who has this device's keys, and is so to its last byte: signed by its writer, or
 * sealed under its ordinal by a writer that is listed.
 */
export function isProof(record: Uint8Array, archive: DeviceArchive): boolean {
  return proofOf(archive)(record);
}

/**
 * What tells a record that may be copied from one destination to another: it is proven as `isProof` does, and its ordinal
 * is none that this device has still to use. Valid while the device's keys stay as they are.
 */
export function genuineIn(archive: DeviceArchive): (record: Uint8Array) => boolean {
  const proves = proofOf(archive);
  return (record) => proves(record) && !isUnused(archive, parseRecordHeader(record).ordinal);
}

/** Whether an ordinal is one of this device's own writer number that it has not come to yet: it made no record of it. */
export function isUnused(archive: DeviceArchive, ordinal: Ordinal): boolean {
  return writerOf(ordinal) === archive.stored.keys.writerNumber && sequenceOf(ordinal) >= nextSequenceOf(archive);
}

function nextSequenceOf({ index }: DeviceArchive): number {
  return index.getNumber('ordinals') ?? 0;
}

function proofOf({ openKeys, stored }: DeviceArchive): (record: Uint8Array) => boolean {
  const publicKeys = new Map(writersOf(stored).map(({ number, publicKey }) => [number, publicKey]));
  return (record) => isAuthentic(record, openKeys, (writerNumber) => publicKeys.get(writerNumber));
}
