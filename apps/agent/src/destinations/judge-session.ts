/** What a session's state says of this device: whether it lags, leads, or holds what another life of the device wrote. */
import { type CommitName, judgeSession, type SessionVerdict } from '@holdfast/archive';
import type { DeviceArchive } from '../archive/device-archive.ts';
import type { DestinationSession } from './destination-place.ts';
import { destinationErrors } from './errors.ts';
import { findForeignRecord } from './own-ordinals.ts';
import { headOf, type Slot } from './slot.ts';
import {
  continuesOwnState,
  isRightfulWriter,
  overtakenAt,
  readProvenKeyrings,
  readShownState,
  remedyForCopies,
  type ShownState,
} from './take-over.ts';

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
 * Looks at what a destination says of this device before anything follows from it, and has the records prove it. Where
 * another life of the device used its writer number, that is taken down.
 *
 * @throws destinations.keyring_unproven, destinations.ordinals_unproven, destinations.used_elsewhere, destinations.overtaken
 */
export async function examine(archive: DeviceArchive, slot: Slot): Promise<void> {
  const session = slot.session!;
  const taken = await readProvenKeyrings(archive, session);
  if (session.requiresIntroduction && !isRightfulWriter(taken)) throw overtakenAt(session);
  const ordinal = await findForeignRecord(archive, session);
  if (ordinal === undefined) return;
  archive.noteOverrunBy(ordinal);
  // It would be taken back and forth between the two for ever.
  if (slot.wasSuperseded) throw destinationErrors.used_elsewhere({ remedy: remedyForCopies });
}

/**
 * A keyring of another life of this device is at this place alone. Going on after it would end this device at a server that
 * takes introduced writers only and may be away just now; it could not be introduced there any more.
 *
 * @throws destinations.holder_away
 */
export function expectNoneToIntroduce({ stored }: DeviceArchive, { session }: Slot, slots: readonly Slot[]): void {
  const isForeignThere = session !== undefined && session.keyringNumber > stored.keys.keyring.number;
  if (!isForeignThere || session.requiresIntroduction) return;
  const isAway = slots.some(({ place, standing }) => place.config.kind === 'cloud' && standing.status === 'away');
  if (isAway) throw destinationErrors.holder_away({ destination: session.name });
}

/** A destination whose state the device has to go on from, and that state. */
export type Foreign = { readonly slot: Slot; readonly shown: ShownState };

/** What else there is when destinations are looked at. */
export type Others = {
  /** Some other destination is at the device's head. */
  readonly isAnyReady: boolean;
  /** Some other destination may be: nobody can ask it now. */
  readonly isAnyAway: boolean;
  /** Does what concerns one destination alone; undefined where it failed, and the destination with it. */
  readonly attempt: <T>(slot: Slot, work: () => Promise<T>) => Promise<T | undefined>;
};

/**
 * Of destinations just opened, the one whose state the device has to go on from because its own is not to be relied on:
 * the index was lost; a destination goes on from the device's own newest commit, since the index is of an older disk or a
 * clone wrote meanwhile; or every destination lags behind or is a branch.
 *
 * Never one that is older, or a branch, while another is at the device's head or may be: whoever serves it chooses what it
 * shows, and would have all that came later called a branch.
 */
export async function findForeign(
  archive: DeviceArchive,
  opened: readonly Slot[],
  others: Others,
): Promise<Foreign | undefined> {
  const { attempt } = others;
  if (archive.isIndexLost) return newestShown(archive, opened, attempt);
  const own = archive.index.head().number;
  const ahead = opened.filter((slot) => headOf(slot) > own).toSorted((a, b) => headOf(b) - headOf(a));
  for (const slot of ahead) {
    const shown = await attempt(slot, () => readContinuation(archive, slot.session!));
    if (shown) return { slot, shown };
  }
  const left = opened.filter(({ session }) => session);
  const mayAnyBeAtHead = others.isAnyReady || others.isAnyAway || left.length < opened.length;
  if (own === 0 || mayAnyBeAtHead || left.some(({ session }) => isAtHead(archive, session!))) return undefined;
  // What is lost with the others is made again from the files.
  return newestShown(archive, left, attempt);
}

/** The state of a destination where it goes on from the device's own; undefined where it does not, or the device wrote it. */
async function readContinuation(archive: DeviceArchive, session: DestinationSession): Promise<ShownState | undefined> {
  if (isAtHead(archive, session)) return undefined;
  const shown = await readShownState(archive, session);
  return (await continuesOwnState(archive, session, shown)) ? shown : undefined;
}

/** Whether a destination is at the device's head, or at the commit after it whose answer was lost. */
function isAtHead({ index }: DeviceArchive, { head }: DestinationSession): boolean {
  if (!head) return index.head().number === 0;
  const own = [index.head(), index.unacknowledgedCommit()];
  return own.some(
    (commit) => commit?.number === head.number && Buffer.from(commit.sha256).toString('hex') === head.sha256,
  );
}

/** The destination that shows the newest state, whatever they say. */
async function newestShown(
  archive: DeviceArchive,
  slots: readonly Slot[],
  attempt: Others['attempt'],
): Promise<Foreign | undefined> {
  let newest: Foreign | undefined;
  for (const slot of slots.toSorted((a, b) => headOf(b) - headOf(a))) {
    const shown = await attempt(slot, () => readShownState(archive, slot.session!));
    if (shown && (!newest || numberOf(shown) > numberOf(newest.shown))) newest = { slot, shown };
  }
  return newest;
}

function numberOf({ commits }: ShownState): number {
  return commits.at(-1)?.number ?? 0;
}
