/**
 * The destinations of a device, and bringing them to one head.
 *
 * `connect` opens those that are there and settles each against what the device knows: the same head, a head whose answer
 * was lost, a destination that lags, or another life of this device. One that is away does not stop the others.
 */
import { type CommitName, judgeSession, type Ordinal, type RoutePlan, type SessionVerdict } from '@holdfast/archive';
import { CodedError, isRetryable, retryDelayMs } from '@holdfast/base';
import type { DeviceArchive } from '../archive/device-archive.ts';
import type { DestinationConfig } from '../state/agent-database.ts';
import { catchUp, sendKeyRecords } from './catch-up.ts';
import type { DestinationPlace, DestinationSession } from './destination-place.ts';
import { destinationErrors } from './errors.ts';
import type { GapBook } from './gap-book.ts';
import type { BoundSet } from '../sets/backup-set.ts';
import { recordedDestinations, routesOf } from './bindings.ts';
import {
  isRightfulWriter,
  readKeyrings,
  remedyForCopies,
  takeForeignKeyrings,
  takeOver,
  type TakeOverPorts,
} from './take-over.ts';

/** How a destination stands with the device. */
export type DestinationStanding =
  | { readonly status: 'closed' }
  /** Open, and at the device's head. */
  | { readonly status: 'ready' }
  /** Records are being copied to it from another one. */
  | { readonly status: 'catching_up'; readonly copiedBytes: number }
  /** Not to be had; tried again by itself. */
  | { readonly status: 'away'; readonly error: CodedError }
  /** A person has to act. */
  | { readonly status: 'failed'; readonly error: CodedError };

/** What connecting did. */
export type Connected = {
  /** Sessions at the device's head. */
  readonly sessions: readonly DestinationSession[];
  /** The device goes on as another writer: everything is to be looked at anew. */
  readonly isTakenOver: boolean;
  /** Some became ready that were not. */
  readonly isAnyNew: boolean;
  /** What sets have where is another thing than the archive says. */
  readonly areBindingsChanged: boolean;
  /** Files are to be read again, since no destination that is there has what they hold. */
  readonly isReadAgain: boolean;
};

/** What is remembered of destinations while the agent does not run. */
export type DestinationMemory = {
  /** Number of the newest commit that a destination is known to have acknowledged; 0 where there is none. */
  acknowledged(destinationId: number): number;
  /** Writes down that a destination has less than it acknowledged. What is gone is sent again. */
  noteLoss(destinationId: number, loss: { readonly acknowledged: number; readonly found: number }): void;
};

type Slot = {
  readonly place: DestinationPlace;
  session: DestinationSession | undefined;
  standing: DestinationStanding;
  tries: number;
  retryAtMs: number;
  /** Somebody else opened a session while ours was in use. */
  wasSuperseded: boolean;
};

const mayBeGone: readonly string[] = ['log.locked', 'log.fenced'];
const retryPolicy = { attempts: Number.POSITIVE_INFINITY, firstDelayMs: 2000, maxDelayMs: 300_000 };

/** The destinations of one device. Not for several callers at once. */
export class Destinations {
  readonly #archive: DeviceArchive;
  readonly #ports: TakeOverPorts & { readonly memory: DestinationMemory };
  readonly #gaps: GapBook;
  #slots: Slot[];
  #isFillDue = true;
  #areBindingsChanged = false;
  #isReadAgain = false;

  constructor(
    archive: DeviceArchive,
    places: readonly DestinationPlace[],
    ports: TakeOverPorts & { readonly memory: DestinationMemory; readonly gaps: GapBook },
  ) {
    this.#archive = archive;
    this.#ports = ports;
    this.#gaps = ports.gaps;
    this.#slots = places.map(newSlot);
    archive.readFrom(() => this.sessions());
  }

  get configs(): readonly DestinationConfig[] {
    return this.#slots.map(({ place }) => place.config);
  }

  standingOf(destinationId: number): DestinationStanding {
    return this.#find(destinationId)?.standing ?? { status: 'closed' };
  }

  add(place: DestinationPlace): void {
    this.#slots = [...this.#slots, newSlot(place)];
  }

  async remove(destinationId: number): Promise<void> {
    const slot = this.#find(destinationId);
    this.#slots = this.#slots.filter((other) => other !== slot);
    // What it alone had need not be waited for any more.
    this.rebind();
    await slot?.session?.close().catch(() => undefined);
  }

  /** The sessions that are open and at the device's head. */
  sessions(): readonly DestinationSession[] {
    return this.#slots.flatMap(({ session, standing }) => (session && standing.status === 'ready' ? [session] : []));
  }

  sessionOf(destinationId: number): DestinationSession | undefined {
    return this.#find(destinationId)?.session;
  }

  /** Where the records of sets go, by the names of sessions. */
  routePlan(): Omit<RoutePlan, 'ready'> {
    const { destinations, bindings } = this.#gaps.routePlan();
    const names = new Map(this.#slots.map(({ place, session }) => [place.config.name, session?.name]));
    const nameOf = (name: string) => names.get(name) ?? name;
    return {
      destinations: destinations.map(nameOf),
      bindings: bindings.map(({ set, sendsTo, heldBy }) => ({
        set,
        ...(sendsTo && { sendsTo: sendsTo.map(nameOf) }),
        ...(heldBy && { heldBy: heldBy.map(nameOf) }),
      })),
    };
  }

  /** The names of the destinations that are ready, as they were added. */
  #readyNames(): readonly string[] {
    return this.#slots.flatMap(({ place, standing }) => (standing.status === 'ready' ? [place.config.name] : []));
  }

  /** Whether a set has a destination that takes records now. */
  canStore(setNumber: number): boolean {
    return routesOf(this.#gaps.facts(), this.#readyNames()).canStore([setNumber]);
  }

  /** What the archive is to say of a set: the destinations that have all of it; undefined where every one has. */
  recordedDestinations(set: BoundSet): readonly string[] | undefined {
    return recordedDestinations(set, this.#gaps.facts());
  }

  /** Whether a destination lacks blocks of a set that is bound to it. */
  hasGap(setNumber: number, config: DestinationConfig): boolean {
    return this.#gaps.at(config).some((gap) => gap.setNumber === setNumber);
  }

  /** Whether a destination has to have what these sets stored. */
  neededAt(name: string): (sets: readonly number[]) => boolean {
    const routes = routesOf(this.#gaps.facts(), []);
    const bit = routes.bitOf(name);
    return (sets) => (routes.heldBy(sets) & bit) !== 0;
  }

  /** Takes down that a set is bound to these destinations from now on: they lack what it stored before. */
  bind(setNumber: number, configs: readonly DestinationConfig[]): void {
    for (const config of configs) this.#gaps.mark([setNumber], config);
    this.rebind();
  }

  /** Whether something of the archive would be at no destination that is there, were this one gone. */
  isOnlyHolder({ name }: DestinationConfig): boolean {
    const routes = routesOf(this.#gaps.facts(), this.#readyNames());
    const bit = routes.bitOf(name);
    const isOnly = (held: number) => (held & bit) !== 0 && (held & ~bit & routes.ready) === 0;
    return this.#archive.index.setLists().some((list) => isOnly(routes.heldBy(list)));
  }

  /** What sets are bound to has changed: the next `connect` sends what destinations lack now. */
  rebind(): void {
    this.#isFillDue = true;
  }

  /** What is ready has just been of use: its next failure is the first again. */
  confirm(): void {
    for (const slot of this.#slots) if (slot.standing.status === 'ready') slot.tries = 0;
  }

  /** When the next destination that is away is worth trying, by the monotonic clock; undefined where none is away. */
  get retryAtMs(): number | undefined {
    const waiting = this.#slots.filter(({ standing }) => standing.status === 'away');
    return waiting.length === 0 ? undefined : Math.min(...waiting.map((slot) => slot.retryAtMs));
  }

  /** Forgets how long those that are away are to be left alone. */
  retryNow(): void {
    for (const slot of this.#slots) {
      slot.retryAtMs = 0;
      slot.wasSuperseded = false;
      if (slot.standing.status === 'failed') slot.standing = { status: 'closed' };
    }
  }

  /**
   * Opens what can be opened, brings it to the device's head, and sends what sets need there. @throws only what concerns
   * every destination
   */
  async connect(): Promise<Connected> {
    await this.check();
    const before = this.sessions();
    const opened = await this.#openDue();
    const isTakenOver = opened.length > 0 && (await this.#settleAll(opened));
    const isAnyNew = this.sessions().some((session) => !before.includes(session));
    if (isAnyNew || this.#isFillDue) await this.#fillGaps();
    const [areBindingsChanged, isReadAgain] = [this.#areBindingsChanged, this.#isReadAgain];
    this.#areBindingsChanged = false;
    this.#isReadAgain = false;
    return { sessions: this.sessions(), isTakenOver, isAnyNew, areBindingsChanged, isReadAgain };
  }

  /** Drops the sessions whose place is no longer there. */
  async check(): Promise<void> {
    for (const slot of this.#slots) {
      const { session } = slot;
      if (!session?.expectInPlace) continue;
      const isInPlace = await this.#try(slot, () => session.expectInPlace!());
      // Something else may be there already.
      if (!isInPlace) slot.retryAtMs = 0;
    }
  }

  /** Drops a session that failed; it is opened anew later. */
  async lose(session: DestinationSession, error: unknown): Promise<void> {
    const slot = this.#slots.find((each) => each.session === session);
    if (slot) await this.#fail(slot, error);
  }

  async closeAll(): Promise<void> {
    for (const slot of this.#slots) {
      if (!slot.session) continue;
      slot.wasSuperseded ||= slot.session.isSuperseded === true;
      await slot.session.close().catch(() => undefined);
      slot.session = undefined;
      slot.standing = { status: 'closed' };
    }
  }

  async #openDue(): Promise<Slot[]> {
    const now = this.#ports.clock.monotonic();
    const due = this.#slots.filter(
      ({ session, standing, retryAtMs }) => !session && standing.status !== 'failed' && retryAtMs <= now,
    );
    for (const slot of due) await this.#try(slot, () => this.#open(slot));
    return due.filter(({ session }) => session);
  }

  async #open(slot: Slot): Promise<void> {
    const { archiveId, stored, index } = this.#archive;
    const { number, sha256 } = index.head();
    const known = number === 0 ? undefined : { number, sha256: Buffer.from(sha256).toString('hex') };
    slot.session = await slot.place.open({ archiveId, known, keyRecords: stored.keyRecords, ...this.#ports });
    const { memory } = this.#ports;
    const { destinationId } = slot.place.config;
    const [acknowledged, found] = [memory.acknowledged(destinationId), slot.session.head?.number ?? 0];
    if (found < acknowledged) memory.noteLoss(destinationId, { acknowledged, found });
  }

  /** @returns whether the device goes on as another writer */
  async #settleAll(opened: readonly Slot[]): Promise<boolean> {
    const foreign = await this.#findForeign(opened);
    if (foreign) {
      if (!(await this.#goOnFrom(foreign))) {
        const canOthersGoOn = foreign.standing.status === 'failed' && !this.#archive.isIndexLost;
        return canOthersGoOn ? this.#settleAll(opened.filter((slot) => slot !== foreign)) : false;
      }
      await this.#reopenOthers(foreign);
    }
    const waiting = this.#slots.filter(({ session, standing }) => session && standing.status !== 'ready');
    for (const slot of waiting) await this.#try(slot, () => this.#takeUp(slot));
    const { index } = this.#archive;
    if (this.sessions().length > 0 && index.unacknowledgedCommit()) index.dropUnacknowledged();
    for (const slot of waiting) {
      if (slot.session && slot.standing.status !== 'ready') await this.#try(slot, () => this.#send(slot));
    }
    return foreign !== undefined;
  }

  /** Goes on as the next writer, from the state of this destination. Returns whether that could be done. */
  async #goOnFrom(foreign: Slot): Promise<boolean> {
    const isTakenOver = await this.#try(foreign, async () => {
      // It would be taken back and forth between the two for ever.
      if (foreign.wasSuperseded) throw destinationErrors.used_elsewhere({ remedy: remedyForCopies });
      await sendKeyRecords(foreign.session!, this.#archive.stored.keyRecords);
      await takeOver(this.#archive, foreign.session!, this.#ports);
      this.#ready(foreign);
    });
    this.#archive.readFrom(() => this.sessions());
    return isTakenOver;
  }

  /** The others were opened with a head that is no longer ours. */
  async #reopenOthers(foreign: Slot): Promise<void> {
    for (const slot of this.#slots) {
      if (slot === foreign || !slot.session) continue;
      await slot.session.close().catch(() => undefined);
      slot.session = undefined;
      slot.standing = { status: 'closed' };
      await this.#try(slot, () => this.#open(slot));
    }
  }

  /** The destination whose state this device has to go on from, if its own is not to be relied on. */
  async #findForeign(opened: readonly Slot[]): Promise<Slot | undefined> {
    const byHead = opened.toSorted((a, b) => headOf(b) - headOf(a));
    if (this.#archive.isIndexLost) return byHead[0];
    const own = this.#archive.index.head().number;
    for (const slot of byHead) {
      const verdict = await this.#judge(slot.session!);
      if (verdict.status === 'new_writer' && verdict.head.number > own) return slot;
      if ((await this.#hasUnknownOrdinals(slot.session!)) || (await this.#isTakenByOther(slot.session!))) return slot;
    }
    // All that are left lag behind: what is lost with the others is made again from the files.
    const isAnyAhead = this.sessions().length > 0 || (await this.#isAnyAtHead(opened));
    const isAnyAway = this.#slots.some(({ session }) => !session);
    return isAnyAhead || isAnyAway || own === 0 ? undefined : byHead[0];
  }

  async #isAnyAtHead(opened: readonly Slot[]): Promise<boolean> {
    for (const { session } of opened) {
      const { status } = await this.#judge(session!);
      if (status === 'go_on' || status === 'take_up') return true;
    }
    return false;
  }

  /** Whether records of this writer are there that it cannot have made: those of a clone, or of a time after a rollback. */
  async #hasUnknownOrdinals(session: DestinationSession): Promise<boolean> {
    const { index, stored } = this.#archive;
    const highest = await session.highestSequence(stored.keys.writerNumber);
    return highest !== undefined && highest >= (index.getNumber('ordinals') ?? 0);
  }

  /** Whether a newer keyring there has made another life of this device the writer. */
  async #isTakenByOther(session: DestinationSession): Promise<boolean> {
    const { stored } = this.#archive;
    if (session.keyringNumber <= stored.keys.keyring.number) return false;
    return !isRightfulWriter(await readKeyrings(this.#archive, session), session);
  }

  async #judge(session: DestinationSession): Promise<SessionVerdict> {
    const { index } = this.#archive;
    const { number, sha256 } = index.head();
    const known: CommitName | undefined =
      number === 0 ? undefined : { number, sha256: Buffer.from(sha256).toString('hex') };
    const { head } = session;
    const own = head && (await this.#archive.commitHash(head.number));
    return judgeSession(head, known, () => own);
  }

  async #takeUp(slot: Slot): Promise<void> {
    const session = slot.session!;
    const verdict = await this.#judge(session);
    // Before anything is sent: our keyring would not fit there.
    if (verdict.status === 'new_writer') throw destinationErrors.branched({ destination: session.name });
    await takeForeignKeyrings(this.#archive, session);
    await sendKeyRecords(session, this.#archive.stored.keyRecords);
    if (verdict.status === 'take_up') this.#archive.index.acknowledge(verdict.head.number);
    if (verdict.status !== 'send') this.#ready(slot);
  }

  async #send(slot: Slot): Promise<void> {
    const to = slot.session!;
    const sources = this.sessions();
    if (sources.length === 0) throw destinationErrors.behind({ destination: to.name });
    await this.#copy(slot, { sources, withMetadata: true }, (missing) => this.#admitMissing(slot, missing));
    this.#ready(slot);
  }

  async #copy(
    slot: Slot,
    what: { readonly sources: readonly DestinationSession[]; readonly withMetadata: boolean },
    onMissing: (ordinals: readonly Ordinal[]) => void,
  ): Promise<void> {
    slot.standing = { status: 'catching_up', copiedBytes: 0 };
    const onCopied = (copiedBytes: number) => void (slot.standing = { status: 'catching_up', copiedBytes });
    const data = this.#gaps.dataFor(slot.place.config);
    const { signal } = this.#ports;
    await catchUp({ ...what, to: slot.session!, data, onMissing, signal, onCopied });
  }

  /**
   * Blocks that a destination needs are at none that is there. A commit that says that the sets are there must not be the
   * newest one: it waits until one says that they are not.
   */
  #admitMissing(slot: Slot, missing: readonly Ordinal[]): void {
    const { config } = slot.place;
    const sets = this.#gaps.setsNeeding(config, missing);
    if (this.#areOthersReady(slot)) {
      this.#gaps.giveUp(missing, sets);
      this.#isReadAgain = true;
      return;
    }
    if (this.#gaps.mark(sets, config)) return;
    this.#areBindingsChanged = true;
    throw destinationErrors.behind({ destination: config.name });
  }

  async #fillGaps(): Promise<void> {
    this.#isFillDue = false;
    for (const slot of this.#slots) {
      const isFillable = slot.standing.status === 'ready' && this.#gaps.at(slot.place.config).length > 0;
      if (isFillable) await this.#try(slot, () => this.#fill(slot));
    }
  }

  /** Sends a destination what sets stored before they were bound to it; what nobody has is read again from the files. */
  async #fill(slot: Slot): Promise<void> {
    const { config } = slot.place;
    const sources = this.sessions().filter((session) => session !== slot.session);
    let missing: readonly Ordinal[] = [];
    await this.#copy(slot, { sources, withMetadata: false }, (ordinals) => void (missing = ordinals));
    this.#ready(slot);
    const lacking = this.#gaps.setsNeeding(config, missing);
    const isLost = missing.length > 0 && this.#areOthersReady(slot);
    if (isLost) this.#gaps.giveUp(missing, lacking);
    const gaps = this.#gaps.at(config);
    const left = isLost ? [] : gaps.filter(({ setNumber }) => lacking.includes(setNumber));
    for (const gap of gaps) if (!left.includes(gap)) this.#gaps.close(gap);
    this.#areBindingsChanged ||= left.length < gaps.length;
    if (isLost || this.#gaps.readAgain(left)) this.#isReadAgain = true;
  }

  #areOthersReady(slot: Slot): boolean {
    return this.#slots.every((other) => other === slot || other.standing.status === 'ready');
  }

  #ready(slot: Slot): void {
    slot.standing = { status: 'ready' };
    slot.wasSuperseded = false;
  }

  /** Runs `work` on a slot; its failure is that destination's alone. Returns whether it succeeded. */
  async #try(slot: Slot, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.#ports.signal.throwIfAborted();
      await this.#fail(slot, error);
      return false;
    }
  }

  async #fail(slot: Slot, error: unknown): Promise<void> {
    const { session } = slot;
    slot.wasSuperseded ||= session?.isSuperseded === true;
    slot.session = undefined;
    await session?.close().catch(() => undefined);
    if (!(error instanceof CodedError)) {
      slot.standing = { status: 'failed', error: destinationErrors.interrupted({}, error) };
      throw error;
    }
    const { clock, random } = this.#ports;
    const unit = new DataView(random(4).buffer).getUint32(0) / 2 ** 32;
    slot.retryAtMs = clock.monotonic() + retryDelayMs(retryPolicy, ++slot.tries, unit);
    // A lock that another machine holds, or a fence, may be gone the next time; who opened a newer session may have written nothing.
    const isAway = isRetryable(error) || session?.isSuperseded || mayBeGone.includes(error.code);
    slot.standing = { status: isAway ? 'away' : 'failed', error };
  }

  #find(destinationId: number): Slot | undefined {
    return this.#slots.find(({ place }) => place.config.destinationId === destinationId);
  }
}

function headOf({ session }: Slot): number {
  return session?.head?.number ?? 0;
}

function newSlot(place: DestinationPlace): Slot {
  return { place, session: undefined, standing: { status: 'closed' }, tries: 0, retryAtMs: 0, wasSuperseded: false };
}
