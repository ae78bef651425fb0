/**
 * Going on from what a destination has: the index is lost, the machine was rolled back or cloned, or the destination is
 * an older one. The index is rebuilt from it, and the device writes under the next writer number.
 */
import {
  commitChain,
  newestCommit,
  parseKeyring,
  rebuildIndex,
  RecordKind,
  type Source,
  splitRecord,
} from '@holdfast/archive';
import type { DeviceArchive } from '../archive/device-archive.ts';
import { type KeyPorts, withForeignKeyrings, withNewWriter, writersOf } from '../keys/archive-keyring.ts';
import type { StoredKeys } from '../keys/key-store.ts';
import type { DestinationSession } from './destination-place.ts';
import { destinationErrors } from './errors.ts';

/** What taking over needs besides. */
export type TakeOverPorts = KeyPorts & { readonly source: Source; readonly signal: AbortSignal };

const mostWriters = 65_000;

/** What a person does where two computers have one state. */
export const remedyForCopies =
  'where this is the copy: stop Holdfast, remove its state folder, and enrol it as a new device; where the other one is: do so there, then here: holdfast backup';

/**
 * Takes the archive over from a session, which then has this device's keyring and head. It may be killed anywhere and be
 * begun again; at worst a writer number stays unused.
 *
 * @throws destinations.overtaken where another life of this device is the writer, and the place takes no other writer
 * than one whom that life introduces
 */
export async function takeOver(
  archive: DeviceArchive,
  session: DestinationSession,
  ports: TakeOverPorts,
): Promise<{ readonly headNumber: number }> {
  const { archiveId, index } = archive;
  const taken = await readKeyrings(archive, session);
  if (session.requiresIntroduction && !isRightfulWriter(taken, session)) {
    throw destinationErrors.overtaken({ destination: session.name, remedy: remedyForCopies });
  }
  if (taken !== archive.stored) archive.save(taken);
  const writers = writersOf(archive.stored);
  if (writers.length >= mostWriters) throw destinationErrors.writers_exhausted();
  const head = await newestCommit(session, { archiveId, writers });
  const commits = head ? await commitChain(session, head) : [];
  archive.readFrom(() => [session]);
  const { openKeys, load } = archive;
  const { source, signal } = ports;
  await rebuildIndex({ index, keys: openKeys, commits, load, source, signal });
  const headNumber = head?.number ?? 0;
  const stored = withNewWriter(archive.stored, { headNumber, origin: 'state_lost' }, ports);
  // Kept before it is sent: the place may take it and the answer be lost, and only this key introduces the next writer.
  archive.announce(stored);
  // The destination takes one keyring of a number: whoever comes second begins again.
  await session.append(stored.keyRecords.at(-1)!);
  archive.save(stored);
  // Its keyring has the first ordinal.
  archive.claimIndex(1);
  return { headNumber };
}

/** Takes over the keyrings that are there and that we do not have. */
export async function takeForeignKeyrings(archive: DeviceArchive, session: DestinationSession): Promise<void> {
  const taken = await readKeyrings(archive, session);
  if (taken !== archive.stored) archive.save(taken);
}

/** Whether these keys are those of the newest writer of a place. */
export function isRightfulWriter(stored: StoredKeys, session: DestinationSession): boolean {
  const { keyring, writerNumber } = stored.keys;
  return keyring.number >= session.keyringNumber && writersOf(stored).at(-1)?.number === writerNumber;
}

/** Our keys with the keyrings that are there and that we do not have; a new writer that we announced is ours. */
export async function readKeyrings(archive: DeviceArchive, session: DestinationSession): Promise<StoredKeys> {
  const { stored } = archive;
  if (session.keyringNumber <= stored.keys.keyring.number) return stored;
  const ordinals: number[] = [];
  for await (const { ordinal } of session.list(RecordKind.keyring)) ordinals.push(ordinal);
  const records: Uint8Array[] = [];
  for await (const record of session.read(ordinals)) records.push(record.slice());
  const numberOf = (record: Uint8Array) => parseKeyring(splitRecord(record).open).number;
  records.sort((a, b) => numberOf(a) - numberOf(b));
  const announced = archive.announced();
  const isThere = announced && records.some((record) => Buffer.compare(record, announced.keyRecords.at(-1)!) === 0);
  const own = isThere ? announced : stored;
  return withForeignKeyrings(
    own,
    records.filter((record) => numberOf(record) > own.keys.keyring.number),
  );
}
