/**
 * Continuous protection: looks at what changed, brings destinations up to date, tries again what failed.
 *
 * One thing at a time. Whatever else touches the archive (keys, sets, destinations) goes through `exclusive`, which stops a
 * pass under way; the next one goes on where it was. Intervals are measured on the monotonic clock: wrong wall clocks and
 * their corrections change nothing but the times commits bear.
 */
import { asStateError, type BackupReport, Selection } from '@holdfast/archive';
import { CodedError, Semaphore } from '@holdfast/base';
import type { Connected } from '../destinations/connected.ts';
import { type NumberedSet, selectedSet } from '../sets/backup-set.ts';
import { setErrors } from '../sets/errors.ts';
import { type Asked, AskedPasses, scopeOf } from './asked-passes.ts';
import { noteComplete, readyConfigs } from './completeness.ts';
import { type Due, isPaused, minuteOf, nextDue } from './due.ts';
import { protectionErrors } from './errors.ts';
import { MountWatch } from './mount-watch.ts';
import { nothingYet, type ProtectionView } from './protection-view.ts';
import { newSettings, type PassPorts, type PassProgress, type PassScope, runPass } from './run-pass.ts';
import { TreeWatch } from './tree-watch.ts';
import { UnreadBook } from './unread-book.ts';
import { unmountedPlaces } from './unmounted.ts';
import { Upkeep, upkeepMs } from './upkeep.ts';

const dayMs = 24 * 3600 * 1000;
const coldIntervalMs = 15 * 60_000;
const retryDelaysMs = [2000, 10_000, 60_000, 300_000];

/** The protection of a device; `run` until its signal ends it. */
export class Protector {
  readonly #ports: PassPorts;
  readonly #watch: TreeWatch;
  readonly #turn = new Semaphore(1);
  #selection: Selection;
  #poke: () => void = () => undefined;
  #stopPass: AbortController | undefined;
  readonly #asked = new AskedPasses();
  #held: Uint8Array[] = [];
  /** Sets that the last whole pass left out, since no destination of theirs was there. */
  #skipped: readonly number[] = [];
  #isWholeWanted = true;
  #areSettingsDue = true;
  #changedAtMs: number | undefined;
  #committedAtMs = Number.NEGATIVE_INFINITY;
  #wholeEndedAtMs = Number.NEGATIVE_INFINITY;
  #coldEndedAtMs = 0;
  #failures = 0;
  #failedAtHead = 0;
  #notBeforeMs = 0;
  readonly #unread = new UnreadBook();
  readonly #mounts = new MountWatch(() => this.#selection.roots());
  #unmounted: readonly Uint8Array[] = [];
  readonly #upkeepBook: Upkeep;
  #view: ProtectionView = nothingYet;

  constructor(ports: PassPorts) {
    this.#ports = ports;
    this.#selection = this.#newSelection();
    this.#watch = new TreeWatch({
      index: ports.archive.index,
      selection: () => this.#selection,
      onChange: () => this.#onChange(),
    });
    this.#upkeepBook = new Upkeep(ports.clock);
  }

  get selection(): Selection {
    return this.#selection;
  }

  get view(): ProtectionView {
    return {
      ...this.#view,
      hasChanges: this.#changedAtMs !== undefined || this.#held.length > 0 || this.#isWholeWanted,
      watchedDirectories: this.#watch.watchCount,
      unwatchedDirectories: this.#watch.coldCount,
    };
  }

  /** Protects until the signal is aborted; resolves when nothing is under way any more. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = () => {
      this.#stopPass?.abort();
      this.#poke();
    };
    signal.addEventListener('abort', stop);
    while (!signal.aborted) {
      const due = this.#nextDue();
      const waitMs = due.atMs - this.#ports.clock.monotonic();
      if (waitMs > 0) await this.#wait(Math.min(waitMs, upkeepMs));
      else await this.#turn.use(() => (signal.aborted ? Promise.resolve() : this.#act(due)));
      if (this.#upkeep()) {
        const checked = this.#turn.use(() => this.#ports.destinations.check());
        await checked.catch((error: unknown) => this.#fail(error));
      }
    }
    signal.removeEventListener('abort', stop);
    await this.#turn.use(async () => this.#watch.close());
    this.#asked.refuseAll(protectionErrors.stopping());
  }

  /** Looks at everything now, or at one set; resolves with the report of a pass over it that began after the call. */
  backupNow(onProgress?: (progress: PassProgress) => void, set?: number): Promise<BackupReport> {
    const report = this.#asked.ask(set, onProgress);
    if (set === undefined) this.#isWholeWanted = true;
    this.#notBeforeMs = 0;
    this.#poke();
    return report;
  }

  /**
   * Opens the destinations for who wants to read from them, where none is open: after a pass that failed all are closed
   * until the next one. What fails is in their standings, and in the log.
   */
  async reach(): Promise<void> {
    const { destinations, log } = this.#ports;
    if (destinations.sessions().length > 0) return;
    const open = async () => {
      if (destinations.sessions().length === 0) await this.connect();
    };
    await this.#turn
      .use(open)
      .catch((error: unknown) => log.error('destinations were not opened', this.#declared(error), error));
  }

  /** Tries every destination, and takes note of what that says: for work within `exclusive`. */
  async connect(): Promise<void> {
    const { destinations } = this.#ports;
    destinations.retryNow();
    this.#takeNews(await destinations.connect());
    this.#poke();
  }

  /**
   * Runs work that changes keys, sets or destinations while no pass runs; afterwards everything is looked at anew if asked.
   * A pass under way is stopped, unless the work `awaitsPass`.
   */
  async exclusive<T>(
    work: () => Promise<T>,
    { isWholeNeeded, awaitsPass = false }: { readonly isWholeNeeded: boolean; readonly awaitsPass?: boolean },
  ): Promise<T> {
    if (!awaitsPass) this.#stopPass?.abort();
    try {
      return await this.#turn.use(work);
    } finally {
      this.#selection = this.#newSelection();
      if (this.#ports.database.sets().length === 0) this.#asked.refuseAll(setErrors.none());
      if (isWholeNeeded) {
        this.#isWholeWanted = true;
        this.#areSettingsDue = true;
      }
      this.#notBeforeMs = 0;
      this.#poke();
    }
  }

  /** Stops watching; for an agent that never came to run. */
  close(): void {
    this.#watch.close();
  }

  #newSelection(): Selection {
    return new Selection(this.#ports.database.sets().map(selectedSet), this.#ports.never());
  }

  #onChange(): void {
    this.#changedAtMs ??= this.#ports.clock.monotonic();
    this.#poke();
  }

  #nextDue(): Due {
    const sets = this.#ports.database.sets();
    const { destinations, clock } = this.#ports;
    const intervals = sets.map(({ commitIntervalSeconds }) => commitIntervalSeconds * 1000);
    const due = nextDue({
      changedAtMs: this.#changedAtMs,
      committedAtMs: this.#committedAtMs,
      commitIntervalMs: Math.min(900_000, ...intervals),
      isWholeWanted: this.#isWholeWanted || this.#asked.isAny,
      notBeforeMs: this.#notBeforeMs,
      dailyAtMs: this.#wholeEndedAtMs + dayMs,
      coldAtMs: this.#watch.coldCount > 0 ? this.#coldEndedAtMs + coldIntervalMs : undefined,
      retryAtMs: destinations.retryAtMs,
    });
    const isHeld = due.what !== 'connect' && !this.#asked.isAny && this.#isHeld(due, sets);
    return sets.length === 0 || isHeld ? { what: 'connect', atMs: clock.monotonic() + upkeepMs } : due;
  }

  /** Whether a pause is on: a whole pass waits for every set, the others go on while any set may. */
  #isHeld(due: Due, sets: readonly NumberedSet[]): boolean {
    const paused = this.#pausedSets(sets);
    return due.what === 'whole' ? paused.length > 0 : paused.length === sets.length;
  }

  #pausedSets(sets: readonly NumberedSet[]): number[] {
    const minute = minuteOf(this.#ports.clock.now());
    return sets.filter((set) => isPaused(set, minute)).map(({ number }) => number);
  }

  async #wait(ms: number): Promise<void> {
    const woken = new AbortController();
    this.#poke = () => woken.abort();
    await this.#ports.clock.sleep(ms, woken.signal).catch(() => undefined);
    this.#poke = () => undefined;
  }

  async #act(due: Due): Promise<void> {
    const { destinations } = this.#ports;
    // Who asks while destinations are being tried is owed another try of them.
    const asked = this.#asked.now();
    if (asked.length > 0) destinations.retryNow();
    try {
      this.#set({ activity: 'connecting' });
      const connected = await destinations.connect();
      const { sessions } = connected;
      this.#takeNews(connected);
      if (sessions.length > 0) await this.#sendSettings();
      // Whatever waits for a destination need not wait longer.
      if (sessions.length > 0 && this.#view.failure?.code === protectionErrors.no_destination.code)
        this.#notBeforeMs = 0;
      if (due.what === 'connect') return this.#setCompleteIfQuiet();
      if (sessions.length === 0) throw protectionErrors.no_destination();
      const isWhole = due.what === 'whole' || this.#isWholeWanted || this.#watch.takeBlindness();
      await this.#pass(isWhole ? 'whole' : due.what, asked);
      this.#failures = 0;
      this.#set({ failure: undefined });
    } catch (error) {
      await this.#fail(error, asked);
    } finally {
      this.#set({ activity: 'idle', progress: undefined });
      this.#asked.tell();
    }
  }

  #takeNews({ isTakenOver, isAnyNew, areBindingsChanged, isReadAgain }: Connected): void {
    if (isTakenOver) this.#ports.log.warn('the device goes on as a new writer');
    const isAwaited = isAnyNew && (this.#skipped.length > 0 || this.#held.length > 0);
    if (isTakenOver || isReadAgain || isAwaited) this.#isWholeWanted = true;
    if (isTakenOver || areBindingsChanged) this.#areSettingsDue = true;
  }

  async #fail(error: unknown, asked: readonly Asked[] = []): Promise<void> {
    const { destinations, clock, log } = this.#ports;
    // Whether a commit under way arrived is settled when the destinations are opened again.
    await destinations.closeAll();
    const isStopped = this.#stopPass?.signal.aborted === true;
    this.#stopPass = undefined;
    this.#isWholeWanted = true;
    if (isStopped) return;
    const declared = this.#declared(error);
    log.error('the pass did not come to its end', declared, error);
    if (this.#hasGotOn(declared)) this.#failures = 0;
    this.#asked.refuse(asked, declared);
    const delayMs = retryDelaysMs[Math.min(this.#failures++, retryDelaysMs.length - 1)]!;
    // Who asked meanwhile need not wait.
    this.#notBeforeMs = this.#asked.isAny ? 0 : clock.monotonic() + delayMs;
    this.#set({ failure: declared });
  }

  #declared(error: unknown): CodedError {
    const known = asStateError(error, this.#ports.archive.index.path);
    return known instanceof CodedError ? known : protectionErrors.fault({}, error);
  }

  /**
   * Whether something became safe since the failure before: then it is tried again as after a first one. What is
   * acknowledged counts only where the destination went away; one that refuses would be sent the same for ever.
   */
  #hasGotOn({ kind }: CodedError): boolean {
    const { number } = this.#ports.archive.index.head();
    const isCommitted = number > this.#failedAtHead;
    this.#failedAtHead = number;
    return isCommitted || (kind === 'unavailable' && (this.#view.progress?.sentBytes ?? 0) > 0);
  }

  async #pass(what: 'whole' | 'changes' | 'cold', asked: readonly Asked[]): Promise<void> {
    const { clock } = this.#ports;
    const waiting = what === 'whole' ? asked : [];
    const scope = what === 'whole' ? scopeOf(waiting) : { directories: this.#directoriesFor(what) };
    const { directories, onlySets } = scope;
    const isWhole = !directories && !onlySets;
    if (!onlySets) this.#changedAtMs = undefined;
    if (directories?.length === 0) return;
    const report = await this.#look(scope, isWhole);
    // A whole pass is not what changes had to wait for.
    if (directories) this.#committedAtMs = clock.monotonic();
    await this.#take(report, isWhole);
    // What was asked for is complete, whatever of other sets has to be looked at.
    if (onlySets && this.#changedAtMs === undefined) this.#setComplete(report.sets);
    this.#asked.answer(waiting, report);
    if (what === 'cold' || isWhole) this.#endCold();
  }

  #endCold(): void {
    this.#coldEndedAtMs = this.#ports.clock.monotonic();
    this.#watch.rebalance();
  }

  async #look(scope: PassScope, isWhole: boolean): Promise<BackupReport> {
    if (isWhole) await this.#beginWhole();
    return this.#backup(scope);
  }

  async #beginWhole(): Promise<void> {
    this.#watch.takeDirty();
    this.#watch.takeBlindness();
    this.#held = [];
    this.#isWholeWanted = false;
    this.#mounts.look();
    const { archive } = this.#ports;
    this.#unmounted = archive.index.head().number === 0 ? [] : await unmountedPlaces(archive.state());
  }

  #directoriesFor(what: 'changes' | 'cold'): readonly Uint8Array[] {
    const changed = [...this.#held, ...this.#watch.takeDirty(), ...(what === 'cold' ? this.#watch.coldPaths() : [])];
    const paths = [...changed, ...this.#unread.foldersIn(changed)];
    const { database, destinations } = this.#ports;
    const paused = this.#pausedSets(database.sets());
    const isHeld = (path: Uint8Array) => {
      const decision = this.#selection.decide(path);
      if (decision.status !== 'selected') return false;
      return decision.sets.every((number) => paused.includes(number) || !destinations.sets.canStore(number));
    };
    this.#held = paths.filter(isHeld);
    return paths.filter((path) => !isHeld(path));
  }

  async #backup(scope: PassScope): Promise<BackupReport> {
    const stopPass = (this.#stopPass = new AbortController());
    this.#unread.forget();
    this.#set({ activity: 'looking' });
    const report = await runPass(this.#ports, scope, {
      signal: stopPass.signal,
      unmounted: this.#unmounted,
      onDirectory: (directory) => {
        this.#watch.watch(directory);
        if (scope.directories || scope.onlySets) this.#unread.lookInto(directory);
      },
      onProgress: (progress) => this.#onProgress(progress),
    });
    this.#stopPass = undefined;
    return report;
  }

  /**
   * Puts what sets are, and where they are, before anything follows from it: a commit counts at the destinations that
   * the sets have by then.
   */
  async #sendSettings(): Promise<void> {
    if (!this.#areSettingsDue) return;
    const settings = await newSettings(this.#ports);
    if (settings.length > 0) await this.#backup({ settings, onlySets: [], directories: [] });
    this.#areSettingsDue = false;
  }

  #onProgress(progress: PassProgress): void {
    this.#set({ progress });
    this.#asked.hear(progress);
  }

  async #take(report: BackupReport, isWhole: boolean): Promise<void> {
    const { archive, destinations, database, clock } = this.#ports;
    for (const { destination, error } of report.lostDestinations) {
      const session = destinations.sessions().find((each) => each === destination);
      if (session) await destinations.lose(session, error);
    }
    const { number } = archive.index.head();
    for (const { destinationId } of readyConfigs(destinations)) database.setAcknowledged(destinationId, number);
    if (isWhole) this.#wholeEndedAtMs = clock.monotonic();
    // What came while this pass was under way was perhaps seen by it, and may be gone before the next look.
    this.#lookForMounts();
    this.#unread.take(report, isWhole);
    const isInside = (path: Uint8Array) => this.#selection.decide(path).status === 'selected';
    const isTold = (path: Uint8Array) => report.missing.some((each) => Buffer.compare(each.path, path) === 0);
    const inside = this.#unmounted.filter((path) => isInside(path) && !isTold(path));
    this.#set({
      missing: [...report.missing, ...inside.map((path) => ({ path, reason: 'unmounted' as const }))],
      problems: this.#unread.problems,
      moreProblems: this.#unread.moreProblems,
      ...(isWhole && { isEverComplete: true, wholeAtMs: clock.now() }),
    });
    destinations.confirm();
    if (isWhole) this.#skipped = numbersOf(this.#ports.database.sets()).filter((set) => !report.sets.includes(set));
    this.#setCompleteIfQuiet();
  }

  /** Writes down that all of every set is durable at the destinations that are ready, if it is. */
  #setCompleteIfQuiet(): void {
    if (!this.#view.isEverComplete || this.#isWholeWanted || this.#changedAtMs !== undefined) return;
    this.#setComplete(numbersOf(this.#ports.database.sets()).filter((set) => !this.#skipped.includes(set)));
  }

  #setComplete(numbers: readonly number[]): void {
    noteComplete(this.#ports, numbers, this.#view.missing);
  }

  /** Every few seconds: volumes that came or went, and a machine that slept. Returns whether it was time. */
  #upkeep(): boolean {
    const { isDue, hasSlept } = this.#upkeepBook.look();
    if (!isDue) return false;
    this.#lookForMounts();
    if (hasSlept) this.#isWholeWanted = true;
    return true;
  }

  /** Everything is looked at anew when something was mounted or unmounted since the last look. */
  #lookForMounts(): void {
    if (this.#mounts.look()) this.#isWholeWanted = true;
  }

  #set(changed: Partial<ProtectionView>): void {
    this.#view = { ...this.#view, ...changed };
  }
}

function numbersOf(sets: readonly NumberedSet[]): readonly number[] {
  return sets.map(({ number }) => number);
}
