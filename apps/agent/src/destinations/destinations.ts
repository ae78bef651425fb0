/**
 * The destinations of a device, and bringing them to one head.
 *
 * `connect` opens those that are there and settles each against what the device knows: the same head, a head whose answer
 * was lost, a destination that lags, or another life of this device. One that is away does not stop the others.
 */
import { type Ordinal, type SessionVerdict } from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
import type { DeviceArchive } from '../archive/device-archive.ts';
import type { BranchBook } from '../branches/branch-book.ts';
import { leaveBranch } from '../branches/leave-branch.ts';
import { withoutBranches } from '../branches/without-branches.ts';
import type { DestinationConfig } from '../state/agent-database.ts';
import { catchUp, sendKeyRecords } from './catch-up.ts';
import type { Connected, DestinationMemory } from './connected.ts';
import type { DestinationPlace, DestinationSession, OpenFacts } from './destination-place.ts';
import { destinationErrors } from './errors.ts';
import type { GapBook } from './gap-book.ts';
import {
  examine,
  expectNoneToIntroduce,
  findForeign,
  type Foreign,
  judge,
  knownHead,
  type Others,
} from './judge-session.ts';
import { genuineIn, isProof } from './own-ordinals.ts';
import { SetRoutes } from './set-routes.ts';
import { closeSlot, type DestinationStanding, failSlot, headOf, newSlot, rankOf, type Slot } from './slot.ts';
import { becomeNextWriter, remedyForCopies, takeForeignKeyrings, takeOver, type TakeOverPorts } from './take-over.ts';
import { expectHead, expectTree } from './whole-head.ts';

/** What destinations need besides the archive. */
type DestinationPorts = TakeOverPorts & {
  readonly memory: DestinationMemory;
  readonly gaps: GapBook;
  readonly branches: BranchBook;
};

/** The destinations of one device. Not for several callers at once. */
export class Destinations {
  /** Where sets have what they stored. */
  readonly sets: SetRoutes;
  readonly #archive: DeviceArchive;
  readonly #ports: DestinationPorts;
  readonly #gaps: GapBook;
  #slots: Slot[];
  #isFillDue = true;
  #areBindingsChanged = false;
  #isReadAgain = false;

  constructor(archive: DeviceArchive, places: readonly DestinationPlace[], ports: DestinationPorts) {
    this.#archive = archive;
    this.#ports = ports;
    this.#gaps = ports.gaps;
    this.#slots = places.map(newSlot);
    this.sets = new SetRoutes(ports.gaps, archive.index, () => this.#slots);
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

  /** The same of one destination. */
  sessionOf(destinationId: number): DestinationSession | undefined {
    const slot = this.#find(destinationId);
    return slot?.standing.status === 'ready' ? slot.session : undefined;
  }

  /**
   * Runs `work` on a destination, also where it is not at the device's head: on the session that there is, or on one for
   * this alone. @throws destinations.not_found, what opening throws, and what `work` throws
   */
  async reading<T>(destinationId: number, work: (session: DestinationSession) => Promise<T>): Promise<T> {
    const slot = this.#find(destinationId);
    if (!slot) throw destinationErrors.not_found({ field: 'destination' });
    if (slot.session) return work(slot.session);
    const session = await slot.place.open(this.#openFacts());
    try {
      return await work(session);
    } finally {
      await session.close();
    }
  }

  /** Takes down that a set is bound to these destinations from now on: they lack what it stored before. */
  bind(setNumber: number, configs: readonly DestinationConfig[]): void {
    for (const config of configs) this.#gaps.mark([setNumber], config);
    this.rebind();
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
    const isTakenOver = opened.length > 0 && (await this.#settleAll());
    const isAnyNew = this.sessions().some((session) => !before.includes(session));
    if (isAnyNew || this.#isFillDue) await this.#fillGaps();
    if (this.#archive.isOverrun) await this.#becomeNextWriter();
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
    if (slot) await failSlot(slot, error, this.#ports);
  }

  async closeAll(): Promise<void> {
    for (const slot of this.#slots) if (slot.session) await closeSlot(slot);
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
    slot.session = await slot.place.open(this.#openFacts());
    const { memory } = this.#ports;
    const { destinationId } = slot.place.config;
    const [acknowledged, found] = [memory.acknowledged(destinationId), slot.session.head?.number ?? 0];
    if (found < acknowledged) memory.noteLoss(destinationId, { acknowledged, found });
  }

  #openFacts(): OpenFacts {
    const { archiveId, stored } = this.#archive;
    return { archiveId, known: knownHead(this.#archive), keyRecords: stored.keyRecords, ...this.#ports };
  }

  /** @returns whether the device goes on from another state than its own */
  async #settleAll(): Promise<boolean> {
    const unsettled = this.#slots.filter(({ session, standing }) => session && standing.status !== 'ready');
    if (!this.#archive.isIndexLost) {
      for (const slot of unsettled) await this.#try(slot, () => examine(this.#archive, slot));
    }
    const left = unsettled.filter(({ session }) => session);
    const isAnyAway = this.#slots.some(({ session }) => !session);
    const isAnyReady = this.sessions().length > 0;
    const attempt: Others['attempt'] = (slot, work) => this.#attempt(slot, work);
    const foreign = await findForeign(this.#archive, left, { isAnyReady, isAnyAway, attempt });
    if (!foreign) {
      await this.#settleEach();
      return false;
    }
    if (!(await this.#goOnFrom(foreign))) {
      const canOthersGoOn = foreign.slot.standing.status === 'failed' && !this.#archive.isIndexLost;
      return canOthersGoOn ? this.#settleAll() : false;
    }
    await this.#reopenOthers(foreign.slot);
    await this.#settleEach();
    return true;
  }

  /** Brings each to the device's own state. */
  async #settleEach(): Promise<void> {
    const { index } = this.#archive;
    const waiting = this.#slots.filter(({ session, standing }) => session && standing.status !== 'ready');
    // Those at the device's head first: they know what the others lack.
    const branched: Slot[] = [];
    for (const slot of waiting.toSorted((a, b) => headOf(b) - headOf(a))) {
      if (!slot.session) continue;
      await this.#try(slot, async () => void ((await this.#takeUp(slot)) || branched.push(slot)));
    }
    // Where a branch left the line is known by what the others hold.
    for (const slot of branched) await this.#try(slot, () => this.#leaveBranch(slot));
    if (this.sessions().length > 0 && index.unacknowledgedCommit()) index.dropUnacknowledged();
    for (const slot of waiting) {
      if (slot.session && slot.standing.status !== 'ready') await this.#try(slot, () => this.#send(slot));
    }
  }

  /** Goes on as the next writer, from the state of this destination. Returns whether that could be done. */
  async #goOnFrom({ slot, shown }: Foreign): Promise<boolean> {
    const isTakenOver = await this.#try(slot, async () => {
      // It would be taken back and forth between the two for ever.
      if (slot.wasSuperseded) throw destinationErrors.used_elsewhere({ remedy: remedyForCopies });
      const session = slot.session!;
      await sendKeyRecords(session, this.#archive.stored.keyRecords);
      await takeOver(this.#archive, session, shown, this.#ports);
      this.#ready(slot);
    });
    this.#archive.readFrom(() => this.sessions());
    return isTakenOver;
  }

  /**
   * Goes on as the next writer, from the device's own state: another life of it uses its number. Those that do not take
   * the keyring are not written to.
   */
  async #becomeNextWriter(): Promise<void> {
    const ready = this.#slots.filter(({ standing }) => standing.status === 'ready');
    for (const slot of ready.toSorted((a, b) => rankOf(b) - rankOf(a))) {
      await this.#try(slot, async () => {
        const session = slot.session!;
        if (!this.#archive.isOverrun) {
          await takeForeignKeyrings(this.#archive, session);
          await sendKeyRecords(session, this.#archive.stored.keyRecords);
          return;
        }
        expectNoneToIntroduce(this.#archive, slot, this.#slots);
        await becomeNextWriter(this.#archive, session, this.#ports);
      });
    }
  }

  /** The others were opened with a head that is no longer ours. */
  async #reopenOthers(foreign: Slot): Promise<void> {
    for (const slot of this.#slots) {
      if (slot === foreign || !slot.session) continue;
      await closeSlot(slot);
      await this.#try(slot, () => this.#open(slot));
    }
  }

  /** Returns whether its head is the device's own or one of those before. */
  async #takeUp(slot: Slot): Promise<boolean> {
    const session = slot.session!;
    const verdict = await this.#judge(session);
    // Before anything is sent: our keyring would not fit there.
    if (verdict.status === 'new_writer') {
      if (slot.wasSuperseded) throw destinationErrors.used_elsewhere({ remedy: remedyForCopies });
      return false;
    }
    await takeForeignKeyrings(this.#archive, session);
    await sendKeyRecords(session, this.#archive.stored.keyRecords);
    if (verdict.status === 'take_up') this.#archive.index.acknowledge(verdict.head.number);
    if (verdict.status !== 'send') this.#ready(slot);
    return true;
  }

  /** Has a destination go on with the line, where a person decided so; opens it anew for that. @throws destinations.branched */
  async #leaveBranch(slot: Slot): Promise<void> {
    const { destinationId } = slot.place.config;
    await leaveBranch(this.#archive, slot.session!, destinationId, this.#ports);
    await closeSlot(slot);
    await this.#open(slot);
    const isOfLine = await this.#takeUp(slot);
    if (!isOfLine) throw destinationErrors.branched({ destination: slot.place.config.name });
  }

  /** Older commits are known by what destinations hold: with none at hand, one that lags cannot be told from a branch. */
  async #judge(session: DestinationSession): Promise<SessionVerdict> {
    return judge(this.#archive, session).catch((error: unknown) => {
      const isUnknown = this.sessions().length === 0 && error instanceof CodedError;
      throw isUnknown ? destinationErrors.behind({ destination: session.name }, error) : error;
    });
  }

  async #send(slot: Slot): Promise<void> {
    const to = slot.session!;
    const sources = this.sessions();
    if (sources.length === 0) throw destinationErrors.behind({ destination: to.name });
    await this.#copy(slot, { sources, withMetadata: true }, (missing) => this.#admitMissing(slot, missing));
    await expectHead(this.#archive, to);
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
    const isGenuine = genuineIn(this.#archive);
    const proves = (record: Uint8Array) => isProof(record, this.#archive);
    const to = slot.session!;
    const onWithheld = () => expectTree(this.#archive, to, signal);
    const { branches, clock } = this.#ports;
    const sources = what.sources.map((source) => withoutBranches(source, this.#branchesOf(source)));
    const withLiveSets = branches.mayTakeLiveSets(slot.place.config.destinationId, clock.now());
    const isClosed = (ordinal: Ordinal, kind: number) => this.#archive.isClosed(ordinal, kind);
    const how = { isGenuine, isProof: proves, isClosed, onMissing, onWithheld, signal, onCopied };
    const work = { ...what, sources, to, data, withLiveSets, ...how };
    await catchUp(work).catch((error: unknown) => {
      const isMixed = error instanceof CodedError && error.code === destinationErrors.mixed.code;
      if (isMixed) this.#archive.noteOverrunBy(Number(error.details['ordinal']));
      throw error;
    });
  }

  #branchesOf(session: DestinationSession): ReturnType<BranchBook['at']> {
    const slot = this.#slots.find((each) => each.session === session);
    return slot ? this.#ports.branches.at(slot.place.config.destinationId) : [];
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
    const done = await this.#attempt(slot, async () => {
      await work();
      return true;
    });
    return done === true;
  }

  /** As `#try`, with what the work gives; undefined where it failed. */
  async #attempt<T>(slot: Slot, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#ports.signal.throwIfAborted();
      await failSlot(slot, error, this.#ports);
      return undefined;
    }
  }

  #find(destinationId: number): Slot | undefined {
    return this.#slots.find(({ place }) => place.config.destinationId === destinationId);
  }
}
