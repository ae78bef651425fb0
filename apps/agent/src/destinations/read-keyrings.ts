/** Reading the keyrings of a destination, which may list and give anything under that kind. */
import { createHash } from 'node:crypto';
import { type Ordinal, parseKeyring, parseRecordHeader, RecordKind, splitRecord } from '@holdfast/archive';
import type { DeviceArchive } from '../archive/device-archive.ts';
import { withForeignKeyrings } from '../keys/archive-keyring.ts';
import type { StoredKeys } from '../keys/key-store.ts';
import type { DestinationSession } from './destination-place.ts';

/** More than writers come in, and codes are made, in the life of any device. */
const mostKeyrings = 65_536;

/**
 * Our keys with the keyrings that are there and that we do not have; a new writer that we announced is ours.
 *
 * No more than one record is held at a time, besides those that follow ours; past the first number without one that does,
 * nothing is read.
 */
export async function readKeyrings(archive: DeviceArchive, session: DestinationSession): Promise<StoredKeys> {
  const { stored } = archive;
  if (session.keyringNumber <= stored.keys.keyring.number) return stored;
  const unknown = await unknownKeyrings(stored, session);
  let taken = (await announcedThere(archive, session)) ?? stored;
  while (taken.keys.keyring.number < session.keyringNumber) {
    const next = await withNext(taken, session, unknown);
    if (next === taken) break;
    taken = next;
  }
  return taken;
}

/** What was announced, as far as it has arrived. */
async function announcedThere(archive: DeviceArchive, session: DestinationSession): Promise<StoredKeys | undefined> {
  const announced = archive.announced();
  if (!announced) return undefined;
  const { keyRecords, keys } = announced;
  for (let count = keyRecords.length; count > archive.stored.keyRecords.length; count--) {
    const newest = keyRecords[count - 1]!;
    if (!(await has(session, newest))) continue;
    // The header is the first of them.
    const keyring = { number: count - 1, sha256: new Uint8Array(createHash('sha256').update(newest).digest()) };
    return { ...announced, keyRecords: keyRecords.slice(0, count), keys: { ...keys, keyring } };
  }
  return undefined;
}

/** By their number, the ordinals under which a destination says that it has keyrings, but for ours. */
async function unknownKeyrings(
  { keyRecords }: StoredKeys,
  session: DestinationSession,
): Promise<ReadonlyMap<number, readonly Ordinal[]>> {
  const known = new Set(keyRecords.map((record) => parseRecordHeader(record).ordinal));
  const ordinals = new Set<Ordinal>();
  let listed = 0;
  for await (const { ordinal } of session.list(RecordKind.keyring)) {
    // A list that cannot be: nothing on it is worth reading.
    if (++listed > mostKeyrings) return new Map();
    if (!known.has(ordinal)) ordinals.add(ordinal);
  }
  const found = new Map<number, Ordinal[]>();
  for await (const record of session.read([...ordinals])) {
    const { header, open } = splitRecord(record);
    const { number } = parseKeyring(open);
    if (ordinals.delete(header.ordinal)) found.set(number, [...(found.get(number) ?? []), header.ordinal]);
  }
  return found;
}

/** The keys with the next keyring, where one is there that follows. */
async function withNext(
  taken: StoredKeys,
  session: DestinationSession,
  unknown: ReadonlyMap<number, readonly Ordinal[]>,
): Promise<StoredKeys> {
  for (const ordinal of unknown.get(taken.keys.keyring.number + 1) ?? []) {
    for await (const record of session.read([ordinal])) {
      const next = withForeignKeyrings(taken, [record.slice()]);
      if (next !== taken) return next;
    }
  }
  return taken;
}

async function has(session: DestinationSession, keyring: Uint8Array): Promise<boolean> {
  for await (const record of session.read([parseRecordHeader(keyring).ordinal])) {
    if (Buffer.compare(record, keyring) === 0) return true;
  }
  return false;
}
