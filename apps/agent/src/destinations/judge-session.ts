/** What a session's state says of this device: whether it lags, leads, or holds what another life of the device wrote. */
import { type CommitName, judgeSession, type SessionVerdict } from '@holdfast/archive';
import type { DeviceArchive } from '../archive/device-archive.ts';
import type { DestinationSession } from './destination-place.ts';
import { headOf, type Slot } from './slot.ts';
import { isRightfulWriter, readKeyrings } from './take-over.ts';

/** The newest commit that the device knows; undefined before its first. */
export function knownHead({ index }: DeviceArchive): CommitName | undefined {
  const { number, sha256 } = index.head();
  return number === 0 ? undefined : { number, sha256: Buffer.from(sha256).toString('hex') };
}

/** How a session's head stands to the device's. */
export async function judge(archive: DeviceArchive, { head }: DestinationSession): Promise<SessionVerdict> {
  const own = head && (await archive.commitHash(head.number));
  return judgeSession(head, knownHead(archive), () => own);
}

/**
 * Of destinations just opened, the one whose state the device has to go on from because its own is not to be relied on:
 * an index that was lost or is of an older disk, a clone that wrote meanwhile, or every destination lagging behind.
 */
export async function findForeign(
  archive: DeviceArchive,
  opened: readonly Slot[],
  others: { readonly isAnyReady: boolean; readonly isAnyAway: boolean },
): Promise<Slot | undefined> {
  const byHead = opened.toSorted((a, b) => headOf(b) - headOf(a));
  if (archive.isIndexLost) return byHead[0];
  const own = archive.index.head().number;
  for (const slot of byHead) {
    const session = slot.session!;
    const verdict = await judge(archive, session);
    // Beside a destination that is at the device's head, what only another has is a branch, however long.
    const isAhead = verdict.status === 'new_writer' && verdict.head.number > own;
    if (isAhead && !others.isAnyReady) return slot;
    if ((await hasUnknownOrdinals(archive, session)) || (await isTakenByOther(archive, session))) return slot;
  }
  // All that are left lag behind: what is lost with the others is made again from the files.
  const isAnyAhead = others.isAnyReady || (await isAnyAtHead(archive, opened));
  return isAnyAhead || others.isAnyAway || own === 0 ? undefined : byHead[0];
}

async function isAnyAtHead(archive: DeviceArchive, opened: readonly Slot[]): Promise<boolean> {
  for (const { session } of opened) {
    const { status } = await judge(archive, session!);
    if (status === 'go_on' || status === 'take_up') return true;
  }
  return false;
}

/** Whether records of this writer are there that it cannot have made: those of a clone, or of a time after a rollback. */
async function hasUnknownOrdinals({ index, stored }: DeviceArchive, session: DestinationSession): Promise<boolean> {
  const highest = await session.highestSequence(stored.keys.writerNumber);
  return highest !== undefined && highest >= (index.getNumber('ordinals') ?? 0);
}

/** Whether a newer keyring there has made another life of this device the writer. */
async function isTakenByOther(archive: DeviceArchive, session: DestinationSession): Promise<boolean> {
  if (session.keyringNumber <= archive.stored.keys.keyring.number) return false;
  return !isRightfulWriter(await readKeyrings(archive, session), session);
}
