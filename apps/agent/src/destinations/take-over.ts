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
import type { DestinationSession } from './destination-place.ts';
import { destinationErrors } from './errors.ts';

/** What taking over needs besides. */
export type TakeOverPorts = KeyPorts & { readonly source: Source; readonly signal: AbortSignal };

const mostWriters = 65_000;

/**
 * Takes the archive over from a session, which then has this device's keyring and head. It may be killed anywhere and be
 * begun again; at worst a writer number stays unused.
 */
export async function takeOver(
  archive: DeviceArchive,
  session: DestinationSession,
  ports: TakeOverPorts,
): Promise<{ readonly headNumber: number }> {
  const { archiveId, index } = archive;
  await takeForeignKeyrings(archive, session);
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
  // The destination takes one keyring of a number: whoever comes second begins again.
  await session.append(stored.keyRecords.at(-1)!);
  archive.save(stored);
  // Its keyring has the first ordinal.
  archive.claimIndex(1);
  return { headNumber };
}

/** Takes over the keyrings that are there and that we do not have. */
export async function takeForeignKeyrings(archive: DeviceArchive, session: DestinationSession): Promise<void> {
  if (session.keyringNumber <= archive.stored.keys.keyring.number) return;
  const ordinals: number[] = [];
  for await (const { ordinal } of session.list(RecordKind.keyring)) ordinals.push(ordinal);
  const records: Uint8Array[] = [];
  for await (const record of session.read(ordinals)) records.push(record.slice());
  const numberOf = (record: Uint8Array) => parseKeyring(splitRecord(record).open).number;
  const newer = records.filter((record) => numberOf(record) > archive.stored.keys.keyring.number);
  const taken = withForeignKeyrings(
    archive.stored,
    newer.toSorted((a, b) => numberOf(a) - numberOf(b)),
  );
  if (taken !== archive.stored) archive.save(taken);
}
