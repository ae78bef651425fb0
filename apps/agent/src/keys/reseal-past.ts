/**
 * Closing the past: what was sealed before a change of keys is sealed again in the newest epoch, a stretch at a time, so
 * that files are looked at in between; then a live set leaves the older records out.
 */
import {
  asStateError,
  type BackupReport,
  type ClosedPast,
  commitKey,
  type CoveredOrdinals,
  type NeededBelow,
  neededRecords,
  type Ordinal,
  ordinalOf,
  parseCommitOpen,
  parseCommitRow,
  parseLive,
  RecordKind,
  type Resealed,
  sequenceOf,
  splitRecord,
  writerOf,
} from '@holdfast/archive';
import { hash } from 'node:crypto';
import type { AgentParts } from '../agent.ts';
import type { DeviceArchive } from '../archive/device-archive.ts';
import { withoutBranches } from '../branches/without-branches.ts';
import type { DestinationSession } from '../destinations/destination-place.ts';
import { readyConfigs } from '../schedule/completeness.ts';
import { type PassScope, runPass } from '../schedule/run-pass.ts';
import { keyErrors } from './errors.ts';
import type { StoredKeys } from './key-store.ts';

/** How far it is: what was sealed again in this run. */
export type ResealProgress = Pick<Resealed, 'records' | 'bytes' | 'lists'>;

/** What became of the past. */
export type ResealedPast = ResealProgress & {
  /** Everything is of this epoch, or of a later one, but for what is needed still. */
  readonly epoch: number;
  /** What is needed still of older epochs: no destination that is there gave it whole. */
  readonly left: NeededBelow;
  readonly liveSet: number | undefined;
  /** Why there is no live set: a destination has commits that are no part of the newest state, or may have. */
  readonly heldUpBy?: HeldUp;
};

/** A destination for whose sake no live set is written. */
export type HeldUp = { readonly destination: string; readonly why: 'branch' | 'away' };

/** Of two seconds of a core it takes one: the policy's share, while there is no other. */
const share = 0.5;
const bytesAStretch = 128 * 1024 * 1024;
/** New rows may name old pieces by what was under way when it began; what a person does meanwhile is no endless race. */
const mostRounds = 3;

/** Facts of the agent's database: which epoch was begun to be sealed again up to, and what was last finished. */
export const resealFacts = {
  begun: 'reseal.begun',
  epoch: 'reseal.epoch',
  atMs: 'reseal.at',
  left: 'reseal.left',
} as const;

/**
 * The first ordinal of what is not old: records below it are of an epoch before this one. Those of writers before this
 * device's own count as old whatever they are: another life of it may have written there with an older ring.
 */
export function oldBelow({ keys, keyRecords }: StoredKeys, epoch: number): Ordinal {
  const headers = keyRecords.slice(1).map((record) => splitRecord(record).header);
  const first = headers.find((header) => header.epoch >= epoch);
  return Math.max(first?.ordinal ?? 0, ordinalOf(keys.writerNumber, 0));
}

/** The epoch up to which the past is to be sealed again; the newest where none is asked for. @throws keys.no_such_epoch */
export function targetEpoch({ keys }: StoredKeys, olderThan: number | undefined): number {
  const newest = keys.ring.epochs.at(-1)!.number;
  const epoch = olderThan ?? newest;
  if (!keys.ring.epochs.some(({ number }) => number === epoch)) throw keyErrors.no_such_epoch({ epoch, newest });
  return epoch;
}

/** What resealing would do: it uploads `dataBytes` of raw bytes at most, and the lists and nodes. @throws what reading throws */
export async function planReseal(parts: AgentParts, epoch: number, signal: AbortSignal): Promise<NeededBelow> {
  const { archive, protector } = parts;
  await protector.reach();
  const below = oldBelow(archive.stored, epoch);
  return (await neededRecords(archive.state(), archive.load, { below, signal })).below;
}

/**
 * Seals the past again, to its end. It may be stopped and killed anywhere: begun again it goes on with what is left.
 *
 * @throws keys.unsettled, keys.changed_meanwhile, what makes a backup fail
 */
export async function resealPast(
  parts: AgentParts,
  epoch: number,
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: (progress: ResealProgress) => void },
): Promise<ResealedPast> {
  const { database, archive, clock } = parts;
  const below = oldBelow(archive.stored, epoch);
  const run = new ResealRun(parts, { below, signal, onProgress });
  database.setFact(resealFacts.begun, epoch);
  let closed = await run.round();
  // What a pass that was under way had stored before it began may name old records.
  for (let round = 1; round < mostRounds && isAnyLeft(closed.needed) && !run.isLeftExplained(closed); round++)
    closed = await run.round();
  database.setFact(resealFacts.epoch, epoch);
  database.setFact(resealFacts.atMs, Math.round(clock.now()));
  database.setFact(resealFacts.left, closed.needed.dataRecords + closed.needed.lists + closed.needed.nodes);
  database.setFact(resealFacts.begun, undefined);
  const { needed: left, liveSet, heldUpBy } = closed;
  return { ...run.done, epoch, left, liveSet, ...(heldUpBy && { heldUpBy }) };
}

function isAnyLeft({ dataRecords, lists, nodes }: NeededBelow): boolean {
  return dataRecords + lists + nodes > 0;
}

type Closed = ClosedPast & { readonly heldUpBy: HeldUp | undefined };

class ResealRun {
  readonly #parts: AgentParts;
  readonly #below: Ordinal;
  readonly #signal: AbortSignal;
  readonly #onProgress: (progress: ResealProgress) => void;
  #left = new Set<Ordinal>();
  done: ResealProgress = { records: 0, bytes: 0, lists: 0 };

  constructor(
    parts: AgentParts,
    run: {
      readonly below: Ordinal;
      readonly signal: AbortSignal;
      readonly onProgress: (progress: ResealProgress) => void;
    },
  ) {
    this.#parts = parts;
    this.#below = run.below;
    this.#signal = run.signal;
    this.#onProgress = run.onProgress;
  }

  /** Whether all that is needed still is what no destination gave. */
  isLeftExplained({ needed: { dataRecords, lists } }: Closed): boolean {
    return dataRecords + lists <= this.#left.size;
  }

  /** Everything once, and what is left of it is closed as far as it can be. */
  async round(): Promise<Closed> {
    this.#left = new Set();
    for (let from: Uint8Array | undefined, isFirst = true; isFirst || from; isFirst = false) {
      const resealed: Resealed = await this.#exclusive(() => this.#stretch(from), !isFirst);
      for (const ordinal of resealed.left.keys()) this.#left.add(ordinal);
      from = resealed.next;
    }
    return this.#exclusive(() => this.#close(), true);
  }

  /** A pass that goes on between stretches is let come to its end: else it would begin again each time. */
  #exclusive<T>(work: () => Promise<T>, awaitsPass: boolean): Promise<T> {
    const { protector, destinations, archive } = this.#parts;
    const guarded = async () => {
      this.#signal.throwIfAborted();
      await protector.connect();
      // Which ordinals were used is not known, or somebody else uses them.
      if (archive.isIndexLost || archive.isOverrun) throw keyErrors.unsettled();
      // Where the device became another writer meanwhile, more is old than was.
      if (writerOf(this.#below) < archive.stored.keys.writerNumber) throw keyErrors.changed_meanwhile();
      try {
        return await work();
      } catch (error) {
        // Whether a commit under way arrived is settled when the destinations are opened again.
        await destinations.closeAll();
        this.#signal.throwIfAborted();
        throw asStateError(error, archive.index.path);
      }
    };
    return protector.exclusive(guarded, { isWholeNeeded: false, awaitsPass });
  }

  async #stretch(from: Uint8Array | undefined): Promise<Resealed> {
    const { archive, clock } = this.#parts;
    const before = this.done;
    const total = ({ records, bytes, lists }: ResealProgress) => ({
      records: before.records + records,
      bytes: before.bytes + bytes,
      lists: before.lists + lists,
    });
    const { resealed } = await this.#pass({
      reseal: {
        below: this.#below,
        ...(from && { from }),
        mostBytes: bytesAStretch,
        state: () => archive.state(),
        pace: (busyMs) => clock.sleep(busyMs * (1 / share - 1), this.#signal),
        onProgress: (done) => this.#onProgress((this.done = total(done))),
      },
    });
    this.done = total(resealed!);
    return resealed!;
  }

  async #close(): Promise<Closed> {
    const { archive, destinations } = this.#parts;
    const sessions = destinations.sessions();
    const found = await coveredOrdinals(this.#parts, this.#below);
    const live = 'covered' in found && { covered: found.covered, after: await newestLiveSet(sessions) };
    const request = { below: this.#below, ...(live && { live }), state: () => archive.state() };
    const { closedPast } = await this.#pass({ closePast: request });
    if (live && !isAnyLeft(closedPast!.needed)) archive.noteClosed(this.#below);
    return { ...closedPast!, heldUpBy: 'why' in found ? found : undefined };
  }

  async #pass(scope: Pick<PassScope, 'reseal' | 'closePast'>): Promise<BackupReport> {
    const { passPorts, archive, destinations, database } = this.#parts;
    const nothing = () => undefined;
    const hooks = { signal: this.#signal, unmounted: [], onDirectory: nothing, onProgress: nothing };
    const report = await runPass(passPorts, { ...scope, onlySets: [], directories: [] }, hooks);
    for (const { destination, error } of report.lostDestinations) {
      const session = destinations.sessions().find((each) => each === destination);
      if (session) await destinations.lose(session, error);
    }
    const { number } = archive.index.head();
    for (const { destinationId } of readyConfigs(destinations)) database.setAcknowledged(destinationId, number);
    return report;
  }
}

/** The greatest number of a live set that is there; 0 where there is none. */
async function newestLiveSet(sessions: readonly DestinationSession[]): Promise<number> {
  let newest = 0;
  for (const session of sessions) {
    const ordinals = await ordinalsOf(session, RecordKind.live);
    for await (const record of session.read(ordinals))
      newest = Math.max(newest, parseLive(splitRecord(record).open).number);
  }
  return newest;
}

async function ordinalsOf(session: DestinationSession, kind: number): Promise<Ordinal[]> {
  const ordinals: Ordinal[] = [];
  for await (const { ordinal } of session.list(kind)) ordinals.push(ordinal);
  return ordinals;
}

/**
 * What a live set may speak of: of this device's own writer all that is old, of those before it what lies up to their last
 * commit. A commit of theirs beside the line is a branch, whose records no live set may leave out before a person has
 * decided about it and, where it was given up, a hold has passed; a destination that is away may have one.
 */
async function coveredOrdinals(
  { archive, destinations, branches, clock }: AgentParts,
  below: Ordinal,
): Promise<{ readonly covered: readonly CoveredOrdinals[] } | HeldUp> {
  const { writerNumber } = archive.stored.keys;
  const lastOf = new Map<number, number>();
  for (const { destinationId, name } of destinations.configs) {
    if (!branches.mayTakeLiveSets(destinationId, clock.now())) return { destination: name, why: 'branch' };
    const session = destinations.sessionOf(destinationId);
    if (!session && writerNumber > 0) return { destination: name, why: 'away' };
    if (!session) continue;
    const besideBranches = withoutBranches(session, branches.at(destinationId));
    if (!(await areInLine(archive, besideBranches))) return { destination: name, why: 'branch' };
    for (const ordinal of await commitsOfEarlier(archive, session)) {
      const writer = writerOf(ordinal);
      lastOf.set(writer, Math.max(lastOf.get(writer) ?? 0, sequenceOf(ordinal)));
    }
  }
  const own = sequenceOf(below) - 1;
  const covered = [
    ...[...lastOf].map(([writer, last]) => ({ writer, first: 1, last })),
    ...(writerOf(below) === writerNumber && own >= 1 ? [{ writer: writerNumber, first: 1, last: own }] : []),
  ];
  return { covered: covered.toSorted((a, b) => a.writer - b.writer) };
}

async function commitsOfEarlier(archive: DeviceArchive, session: DestinationSession): Promise<readonly Ordinal[]> {
  const { writerNumber } = archive.stored.keys;
  if (writerNumber === 0) return [];
  return (await ordinalsOf(session, RecordKind.commit)).filter((ordinal) => writerOf(ordinal) < writerNumber);
}

/** Whether all commits of earlier writers that a destination has are of the newest state's line. */
async function areInLine(archive: DeviceArchive, session: DestinationSession): Promise<boolean> {
  const ordinals = await commitsOfEarlier(archive, session);
  for await (const record of session.read(ordinals)) if (!(await isInLine(archive, record))) return false;
  return true;
}

async function isInLine(archive: DeviceArchive, record: Uint8Array): Promise<boolean> {
  const { number } = parseCommitOpen(splitRecord(record).open);
  const sha256 = hash('sha256', record, 'buffer');
  const kept = archive.index.keptCommit(number)?.sha256;
  if (kept) return Buffer.compare(kept, sha256) === 0;
  const row = await archive.state().get(commitKey(number));
  return row !== undefined && Buffer.compare(parseCommitRow(row).sha256, sha256) === 0;
}
