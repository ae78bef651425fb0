/**
 * Going on from what a destination has: the index is lost, the machine was rolled back or cloned, or the destination is
 * an older one. The index is rebuilt from it, and the device writes under the next writer number.
 */
import {
  ArchiveState,
  commitChain,
  commitKey,
  factsOf,
  isAltered,
  type KeptCommit,
  loaderOf,
  newestCommit,
  NodeCache,
  ordinalOf,
  parseCommitRow,
  parseRecordHeader,
  rebuildIndex,
  RecordKind,
  sequenceOf,
  type Source,
  writerOf,
} from '@holdfast/archive';
import type { CodedError } from '@holdfast/base';
import type { PreparedSlot } from '@holdfast/trust';
import type { DeviceArchive } from '../archive/device-archive.ts';
import { type KeyPorts, withNewWriter, writersOf } from '../keys/archive-keyring.ts';
import { withChangedSlots } from '../keys/change-slots.ts';
import { escrowChange } from '../keys/escrow-policy.ts';
import type { StoredKeys } from '../keys/key-store.ts';
import type { DestinationSession } from './destination-place.ts';
import { destinationErrors } from './errors.ts';
import { readKeyrings } from './read-keyrings.ts';

/** What taking over needs besides. */
export type TakeOverPorts = KeyPorts & {
  readonly source: Source;
  readonly signal: AbortSignal;
  /** Hears the newest head of the key log that each writer of the commits taken over had verified. */
  readonly onKeyLogHead?: (note: string) => void;
};

const mostWriters = 65_000;

/** What a person does where two computers have one state. */
export const remedyForCopies =
  'where this is the copy: stop Holdfast, remove its state folder, and enrol it as a new device; where the other one is: do so there, then here: holdfast backup';

const remedyForKeyring = `where another computer has a copy of this one's state, or was given its archive by a recovery code, ${remedyForCopies}; else somebody else wrote there: holdfast destination remove NAME`;

/** The newest state of a destination by the records it shows; what it merely says of itself is no part of it. */
export type ShownState = {
  /** This device's keys with the keyrings that are there. */
  readonly stored: StoredKeys;
  /** From the newest checkpoint to the newest commit, by rising number; empty where there is none. */
  readonly commits: readonly KeptCommit[];
};

/**
 * Reads the newest state of a destination, as far as its records prove it. Changes nothing.
 *
 * @throws destinations.overtaken where another life of this device is the writer, and the place takes no other writer
 * than one whom that life introduces, destinations.keyring_unproven
 */
export async function readShownState(archive: DeviceArchive, session: DestinationSession): Promise<ShownState> {
  const stored = await readProvenKeyrings(archive, session);
  if (session.requiresIntroduction && !isRightfulWriter(stored)) throw overtakenAt(session);
  const { archiveId } = archive;
  const head = await newestCommit(session, { archiveId, writers: writersOf(stored) });
  return { stored, commits: head ? await commitChain(session, head) : [] };
}

/**
 * Takes the archive over from a session in the state that it showed; it then has this device's keyring and head. It may be
 * killed anywhere and be begun again; at worst a writer number stays unused.
 */
export async function takeOver(
  archive: DeviceArchive,
  session: DestinationSession,
  { stored, commits }: ShownState,
  ports: TakeOverPorts,
): Promise<void> {
  if (stored !== archive.stored) archive.save(stored);
  expectRoomForWriter(archive);
  archive.readFrom(() => [session]);
  const { openKeys, load, index } = archive;
  const { source, signal, onKeyLogHead } = ports;
  if (onKeyLogHead) for (const note of keyLogHeadsOf(commits, openKeys)) onKeyLogHead(note);
  await rebuildIndex({ index, keys: openKeys, commits, load, source, signal });
  await becomeNextWriter(archive, session, ports);
}

/** The newest of each writer: lives of a device that were shown different logs meet here. */
function keyLogHeadsOf(commits: readonly KeptCommit[], openKeys: DeviceArchive['openKeys']): readonly string[] {
  const heads = new Map<number, string>();
  for (const { record } of commits.toReversed()) {
    const writer = writerOf(parseRecordHeader(record).ordinal);
    const note = heads.has(writer) ? undefined : factsOf(record, openKeys).keyLogHead;
    if (note !== undefined) heads.set(writer, note);
  }
  return [...heads.values()].toReversed();
}

/**
 * Goes on under the next writer number from the state that the index holds, which is at the head of this session: after all
 * keyrings that are there. The ordinals of the number before are left to whoever used them.
 */
export async function becomeNextWriter(
  archive: DeviceArchive,
  session: DestinationSession,
  ports: KeyPorts,
): Promise<void> {
  // Of a place that takes only writers who are introduced, no other life of this device has taken the turn.
  if (!session.requiresIntroduction) {
    const taken = await readProvenKeyrings(archive, session);
    if (taken !== archive.stored) archive.save(taken);
  }
  expectRoomForWriter(archive);
  const headNumber = archive.index.head().number;
  const announced = announcedAfter(archive, headNumber);
  const added = escrowWanted(archive, announced ?? archive.stored, ports);
  const next = { headNumber, origin: 'state_lost', added } as const;
  const stored = announced ? withLacking(announced, added, ports) : withNewWriter(archive.stored, next, ports);
  // Kept before it is sent: the place may take it and the answer be lost, and only this key introduces the next writer.
  archive.announce(stored);
  // The destination takes one keyring of a number: whoever comes second begins again. What is asked for, the last one has.
  await session.append(Buffer.concat(stored.keyRecords.slice(archive.stored.keyRecords.length)));
  archive.save(stored);
  // Its keyrings have the first ordinals.
  archive.claimIndex(nextSequence(stored));
}

/** What was announced, and behind it a keyring with what it lacks: another writer in its place would not fit where it arrived. */
function withLacking(announced: StoredKeys, added: readonly PreparedSlot[], ports: KeyPorts): StoredKeys {
  if (added.length === 0) return announced;
  const ordinal = ordinalOf(announced.keys.writerNumber, nextSequence(announced));
  return withChangedSlots(announced, { isStruck: () => false, added }, { ...ports, ordinal });
}

/** What comes after the ordinals of these keyrings of a writer that has written nothing else. */
function nextSequence({ keyRecords }: StoredKeys): number {
  return sequenceOf(parseRecordHeader(keyRecords.at(-1)!).ordinal) + 1;
}

/** The escrow slot that is asked for and that these keys lack. */
function escrowWanted({ escrow }: DeviceArchive, stored: StoredKeys, { random }: KeyPorts): readonly PreparedSlot[] {
  return (escrow && escrowChange(stored, escrow, random)?.added) ?? [];
}

/** What was announced and fits: it may have arrived at a destination that is away now, where another one would not fit. */
function announcedAfter(archive: DeviceArchive, headNumber: number): StoredKeys | undefined {
  const announced = archive.announced();
  const { keyRecords } = archive.stored;
  if (!announced || announced.keyRecords.length <= keyRecords.length) return undefined;
  const isNext = keyRecords.every((record, place) => Buffer.compare(record, announced.keyRecords[place]!) === 0);
  return isNext && writersOf(announced).at(-1)!.firstCommit === headNumber + 1 ? announced : undefined;
}

function expectRoomForWriter({ stored }: DeviceArchive): void {
  if (writersOf(stored).length >= mostWriters) throw destinationErrors.writers_exhausted();
}

/**
 * Whether the state that a destination showed goes on from the device's own newest commit: by commits that their writers
 * signed, the first of which follows it.
 */
export async function continuesOwnState(
  archive: DeviceArchive,
  session: DestinationSession,
  { commits }: ShownState,
): Promise<boolean> {
  const own = archive.index.head();
  const [first, newest] = [commits[0], commits.at(-1)];
  if (!first || !newest || newest.number <= own.number) return false;
  if (own.number === 0) return true;
  const kept = commits.find(({ number }) => number === own.number);
  const sha256 = kept?.sha256 ?? (await hashAtCheckpoint(archive, session, { checkpoint: first, number: own.number }));
  return sha256 !== undefined && Buffer.compare(sha256, own.sha256) === 0;
}

/** The hash of an older commit, as the tree of a checkpoint has it. */
async function hashAtCheckpoint(
  { openKeys }: DeviceArchive,
  session: DestinationSession,
  { checkpoint, number }: { readonly checkpoint: KeptCommit; readonly number: number },
): Promise<Uint8Array | undefined> {
  const { root, ...facts } = factsOf(checkpoint.record, openKeys);
  if (!root || number > facts.number) return undefined;
  const cache = new NodeCache(loaderOf((ordinals) => session.read(ordinals), openKeys));
  const row = await new ArchiveState(cache, { checkpoint: facts, root }).get(commitKey(number));
  return row && parseCommitRow(row).sha256;
}

/**
 * Takes over the keyrings that are there and that we do not have. With an intact index, a writer that we announced and that
 * came in writes from now on. Where another life of this device brought in a writer, nothing is taken yet: that is taken
 * down, and `becomeNextWriter` decides.
 *
 * @throws destinations.keyring_unproven, destinations.branched where its keyrings are not ours, or leave no room for what
 * we wrote; destinations.overtaken
 */
export async function takeForeignKeyrings(archive: DeviceArchive, session: DestinationSession): Promise<void> {
  const { stored } = archive;
  const taken = await readProvenKeyrings(archive, session);
  if (!isRightfulWriter(taken)) {
    if (session.requiresIntroduction) throw overtakenAt(session);
    const unknown = writersOf(taken)[writersOf(stored).length];
    const isTurnTaken = unknown !== undefined && unknown.firstCommit <= archive.index.head().number;
    if (isTurnTaken) throw destinationErrors.branched({ destination: session.name });
    archive.noteSuccessor();
    return;
  }
  await expectOwnKeyrings(stored, session);
  if (taken === stored) return;
  const isIntact = !archive.isIndexLost;
  const isAnnounced = taken.keys.writerNumber !== stored.keys.writerNumber;
  // Also of what has not arrived here: it may have arrived elsewhere.
  const announced = archive.announced() ?? taken;
  archive.save(taken);
  if (isIntact && isAnnounced) archive.claimIndex(Math.max(nextSequence(taken), nextSequence(announced)));
}

/**
 * A place that asks nobody to introduce a writer may have taken a keyring of the same number from another life of this
 * device. @throws destinations.branched
 */
async function expectOwnKeyrings({ keyRecords, keys }: StoredKeys, session: DestinationSession): Promise<void> {
  const number = Math.min(session.keyringNumber, keys.keyring.number);
  const own = keyRecords[number];
  if (session.requiresIntroduction || number === 0 || !own) return;
  const { ordinal } = parseRecordHeader(own);
  const branched = () => destinationErrors.branched({ destination: session.name });
  let isThere = false;
  for await (const listed of session.list(RecordKind.keyring)) isThere ||= listed.ordinal === ordinal;
  if (!isThere) throw branched();
  for await (const record of session.read([ordinal])) {
    // One that is damaged proves nothing; its checksum is all that there is to tell it by.
    const isWhole = !isAltered(record, { archiveId: keys.archiveId, ring: new Map() });
    if (isWhole && Buffer.compare(record, own) !== 0) throw branched();
  }
}

/** Our keys with the keyrings of a place. @throws destinations.keyring_unproven where it says that it has others */
export async function readProvenKeyrings(archive: DeviceArchive, session: DestinationSession): Promise<StoredKeys> {
  const taken = await readKeyrings(archive, session);
  if (taken.keys.keyring.number >= session.keyringNumber) return taken;
  throw destinationErrors.keyring_unproven({ destination: session.name, remedy: remedyForKeyring });
}

/** Whether these keys are those of the newest writer that their keyrings list. */
export function isRightfulWriter(stored: StoredKeys): boolean {
  return writersOf(stored).at(-1)?.number === stored.keys.writerNumber;
}

/** The error of a place where another life of this device is the writer. */
export function overtakenAt({ name }: DestinationSession): CodedError {
  return destinationErrors.overtaken({ destination: name, remedy: remedyForCopies });
}
