import { hash } from 'node:crypto';
import {
  acknowledgeFragment,
  ArchiveFolder,
  checkRecords,
  GroupRun,
  introductionMessage,
  isSignedBy,
  judgeFragment,
  logErrors,
  openSession,
  parseKeyring,
  parseLive,
  parseRecordHeader,
  RecordKind,
  recordHeaderBytes,
  splitRecord,
  stateOf,
  type CommitName,
  type Disk,
  type LogState,
} from '@holdfast/archive/log';
import { Semaphore, type Clock } from '@holdfast/base';
import { storageErrors } from '@holdfast/contract';
import type { Log } from '../../platform/log.ts';
import type { Database } from '../../platform/postgres.ts';
import { countLetGo, LiveSets, type LiveSet } from './let-go.ts';
import * as store from './store.ts';

/** What opening an archive needs. */
export type OpenArchiveOptions = {
  readonly row: store.ArchiveRow;
  /** The folder of its records. */
  readonly dir: string;
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  readonly database: Database;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
};

/** What is to be added that is judged: keyrings, and whether a commit comes with them or without any. */
export type Arriving = { readonly keyrings: readonly Uint8Array[]; readonly hasCommit: boolean };

/** Lets that in or refuses it: between the last thing that could and the first that is written. */
export type Admit = (arriving: Arriving) => Promise<void>;

/** What an archive may take in. */
export type Limits = {
  /** How much it may hold; no limit when null. */
  readonly quotaBytes: number | null;
  readonly admit: Admit;
};

/** What has reached stable storage, and when that was known. */
export type Durable = { readonly state: LogState; readonly at: Date };

/** A fragment by its place. */
export type FragmentPlace = { readonly session: number; readonly sequence: number };

type Examined = readonly { readonly bytes: Uint8Array; readonly isKnown: boolean }[];
type Step = { readonly status: 'stored' } | { readonly status: 'early'; readonly next: Promise<'moved' | 'failed'> };

/** How long a fragment waits for those before it. */
const EARLY_WAIT_MS = 10_000;

/**
 * One archive, open for writing: its folder, and what is decided about sessions, fragments and heads.
 *
 * Fragments take effect in the order of their numbers and are acknowledged in groups: folder synced, then row written.
 * What fails to become durable breaks it for good; opened anew, it finds what reached the disk.
 */
export class OpenArchive {
  readonly folder: ArchiveFolder;
  readonly row: store.ArchiveRow;
  readonly #options: OpenArchiveOptions;
  readonly #turn = new Semaphore(1);
  readonly #persisting = new GroupRun(() => this.#persistNow());
  #state: LogState;
  /** Bytes of all records. */
  #storedBytes: number;
  readonly #liveSets = new LiveSets();
  #letGo: store.LetGo | undefined;
  /** Ends when no count of what live sets let go is under way. */
  #counting: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();
  #persistedEpoch: number;
  #arrival = Promise.withResolvers<'moved' | 'failed'>();
  #broken: { readonly cause: unknown } | undefined;

  private constructor(
    options: OpenArchiveOptions,
    { folder, state, storedBytes }: { folder: ArchiveFolder; state: LogState; storedBytes: number },
  ) {
    this.#options = options;
    this.row = options.row;
    this.folder = folder;
    this.#state = state;
    this.#storedBytes = storedBytes;
    this.#persistedEpoch = options.row.session_epoch;
    this.#letGo = options.row.let_go ?? undefined;
    // A set that was counted before need not be read again.
    if (state.liveSet > (this.#letGo?.number ?? 0)) this.#count(() => this.#liveSets.load(folder));
  }

  /** Opens and recovers an archive's folder, which is made where it does not exist. */
  static async open(options: OpenArchiveOptions): Promise<OpenArchive> {
    const { row, dir, archiveId, disk, clock } = options;
    await disk.makeDirectory(dir);
    const { session_epoch: sessionEpoch, next_fragment: nextFragment, log_state, position } = row;
    const folder = await ArchiveFolder.open({
      dir,
      disk,
      archiveId,
      clock,
      mode: 'write',
      parity: true,
      copies: true,
      ...(position ? { acknowledged: position } : {}),
    });
    try {
      const log = { ...log_state, sessionEpoch, nextFragment };
      const state = position
        ? await stateOf(folder, archiveId, { log, position })
        : { ...(await stateOf(folder, archiveId, undefined)), sessionEpoch, nextFragment };
      if (folder.isBehind) {
        const facts = { acknowledged: log.head?.number ?? 0, found: state.head?.number ?? 0 };
        options.log.error(facts, 'an archive folder lost what was acknowledged: its device is told the commit it has');
      }
      // Counted anew: what a crash left behind unacknowledged is there, and will be passed over when it comes again.
      const { kinds } = await folder.status();
      const storedBytes = [...kinds.values()].reduce((sum, { bytes }) => sum + bytes, 0);
      return new OpenArchive(options, { folder, state, storedBytes });
    } catch (error) {
      await folder.close();
      throw error;
    }
  }

  get state(): LogState {
    return this.#state;
  }

  /** Bytes that count against the quota: of what the newest live set names, and of what came after it. */
  get countedBytes(): number {
    return this.#storedBytes - (this.#letGo?.bytes ?? 0);
  }

  /** The same, once what the newest live set lets go has been added up. */
  async countBytes(): Promise<number> {
    await this.#counting;
    return this.countedBytes;
  }

  /** Whether something failed that only opening it anew can mend. */
  get isBroken(): boolean {
    return this.#broken !== undefined;
  }

  /** Opens a session for a writer that names the newest commit it knows; all older ones are fenced off once it returns. */
  async openSession(known: CommitName | undefined) {
    const answer = await this.#turn.use(async () => {
      this.#expectSound();
      const opened = openSession(this.#state, known);
      this.#state = opened.state;
      this.#wake('moved');
      return opened.answer;
    });
    const { at } = await this.#persisting.run();
    return { ...answer, at };
  }

  /**
   * Adds a fragment once those before it are there; returns when it is durable, or was before. `bytes` may be used again then.
   *
   * @throws log.fenced, log.fragment_order with `nextFragment`, log.fragment_differs, log.record_refused,
   * storage.quota_exceeded, what `ArchiveFolder.append` throws, and what `limits.admit` does
   */
  async append(place: FragmentPlace, bytes: Uint8Array, limits: Limits): Promise<Durable> {
    const name = { sessionEpoch: place.session, sequence: place.sequence, sha256: fingerprintOf(bytes) };
    const giveUp = new AbortController();
    let patience: Promise<'late'> | undefined;
    try {
      for (;;) {
        const step = await this.#turn.use(() => this.#step(name, bytes, limits));
        if (step.status === 'stored') break;
        patience ??= this.#options.clock.sleep(EARLY_WAIT_MS, giveUp.signal).then(
          () => 'late',
          () => 'late',
        );
        if ((await Promise.race([step.next, patience])) !== 'moved') throw this.#outOfOrder();
      }
    } finally {
      giveUp.abort();
    }
    return this.#persisting.run();
  }

  /**
   * Adds records that belong to no session: the header and first keyrings, or the next keyring.
   */
  async appendKeys(bytes: Uint8Array, admit: Admit): Promise<Durable> {
    await this.#turn.use(async () => {
      this.#expectSound();
      this.#state = await this.#store(bytes, { quotaBytes: null, admit });
    });
    return this.#persisting.run();
  }

  /** Closes the folder. What was not acknowledged may be lost. */
  async close(): Promise<void> {
    this.#broken ??= { cause: undefined };
    this.#wake('failed');
    this.#closing.abort();
    await Promise.all([this.#persisting.settle(), this.#counting]);
    await this.#turn.use(() => this.folder.close());
  }

  async #step(
    name: { sessionEpoch: number; sequence: number; sha256: string },
    bytes: Uint8Array,
    limits: Limits,
  ): Promise<Step> {
    this.#expectSound();
    const decision = judgeFragment(this.#state, name);
    if (decision.status === 'refused') throw logErrors[decision.reason]({ nextFragment: this.#state.nextFragment });
    if (decision.status === 'early') return { status: 'early', next: this.#arrival.promise };
    if (decision.status === 'repeated') return { status: 'stored' };
    try {
      this.#state = acknowledgeFragment(await this.#store(bytes, limits), name);
    } catch (error) {
      // Those that wait for this one wait in vain: it will come again, after which they may.
      this.#wake('failed');
      throw error;
    }
    this.#wake('moved');
    return { status: 'stored' };
  }

  async #store(bytes: Uint8Array, limits: Limits): Promise<LogState> {
    const examined = await this.folder.examine(bytes);
    const { records } = examined;
    const verdict = checkRecords(this.#state, this.#options.archiveId, records);
    if (verdict.status === 'refused') throw logErrors.record_refused({ ordinal: verdict.ordinal, fact: verdict.fact });
    this.#expectIntroduced(records);
    const addedBytes = await this.#expectRoom(records, limits);
    const keyrings = records.filter((record) => isNew(record, RecordKind.keyring)).map(({ bytes }) => bytes);
    const hasCommit = records.some((record) => isNew(record, RecordKind.commit));
    if (keyrings.length > 0 || hasCommit) await limits.admit({ keyrings, hasCommit });
    await this.#whileOurs(() => this.folder.append(examined));
    this.#storedBytes += addedBytes;
    this.#noteLiveSets(records);
    return verdict.state;
  }

  /**
   * Runs `write` while nobody can hand the archive on: whose it is was asked before the body came, which may take long.
   *
   * @throws log.fenced when it is another's by now, and nothing was written
   */
  async #whileOurs(write: () => Promise<unknown>): Promise<void> {
    const { database, row } = this.#options;
    let isWritten = false;
    try {
      await database.withTenant(row.tenant_id, async (tx) => {
        await store.endUnsynced(tx);
        if (!(await store.isStillSo(tx, row, this.#state.sessionEpoch))) throw logErrors.fenced();
        await write();
        isWritten = true;
      });
    } catch (error) {
      // Written, and the lock lost before its end: what is in memory no longer says what is on the disk.
      if (isWritten) this.#broken ??= { cause: error };
      throw error;
    }
  }

  #noteLiveSets(records: Examined): void {
    for (const { bytes, isKnown } of records) {
      if (isKnown || parseRecordHeader(bytes).kind !== RecordKind.live) continue;
      // A copy: the bytes are used again.
      const set = this.#liveSets.add(parseLive(Uint8Array.from(splitRecord(bytes).open)));
      if (set) this.#count(async () => set);
    }
  }

  /** Adds up what a live set lets go, beside everything else; the sum before stands until then, and where that fails. */
  #count(find: () => Promise<LiveSet | undefined>): void {
    const { signal } = this.#closing;
    const count = async () => {
      const set = await find();
      if (set && set.number > (this.#letGo?.number ?? 0)) this.#letGo = await countLetGo(this.folder, set, signal);
    };
    this.#counting = this.#counting.then(count).catch((err: unknown) => {
      if (!signal.aborted) this.#options.log.warn({ err }, 'what a live set lets go was not counted');
    });
  }

  /** A new writer must be brought in by one that was there, or by a takeover: the device's token alone is not enough. */
  #expectIntroduced(records: Examined): void {
    let known: readonly { readonly publicKey: Uint8Array }[] = this.#state.writers.map(({ publicKey }) => ({
      publicKey: Uint8Array.fromHex(publicKey),
    }));
    for (const record of records) {
      if (!isNew(record, RecordKind.keyring)) continue;
      const { writers } = parseKeyring(splitRecord(record.bytes).open);
      for (const writer of known.length === 0 ? [] : writers.slice(known.length)) {
        const message = introductionMessage(this.#options.archiveId, writer);
        const { introduction } = writer;
        const isIntroduced =
          introduction !== undefined && known.some(({ publicKey }) => isSignedBy(publicKey, message, introduction));
        // Who took the archive over named its key when it proved that it may.
        const isSuccessor = Buffer.from(writer.publicKey).toString('base64url') === this.row.next_writer_key;
        if (!isIntroduced && !isSuccessor)
          throw logErrors.record_refused({ fact: 'nobody who was there introduces the new writer' });
      }
      // It fits what is there: its writers are those, and at most one more. The next may be introduced by that one.
      known = writers;
    }
  }

  /** Over the quota blocks and bundles are refused, all else is taken: or there would be no way to let anything go. */
  async #expectRoom(records: Examined, { quotaBytes }: Pick<Limits, 'quotaBytes'>): Promise<number> {
    const fresh = records.filter(({ isKnown }) => !isKnown).map(({ bytes }) => bytes);
    const addedBytes = fresh.reduce((sum, bytes) => sum + bytes.length, 0);
    const isOver = () => quotaBytes !== null && this.countedBytes + addedBytes > quotaBytes;
    if (!isOver() || !fresh.some(isContent)) return addedBytes;
    await this.#counting;
    if (isOver()) throw storageErrors.quota_exceeded({ quotaBytes, storedBytes: this.countedBytes });
    return addedBytes;
  }

  async #persistNow(): Promise<Durable> {
    this.#expectSound();
    const { database, clock, row } = this.#options;
    const state = this.#state;
    const { writers: _, sessionEpoch, nextFragment, ...log } = state;
    const [storedBytes, letGo] = [this.countedBytes, this.#letGo];
    try {
      const position = await this.folder.sync();
      const at = new Date(clock.now());
      const of = { tenantId: row.tenant_id, archiveId: row.archive_id, sessionEpoch: this.#persistedEpoch };
      const change = {
        session_epoch: sessionEpoch,
        next_fragment: nextFragment,
        log_state: JSON.stringify(log),
        position: JSON.stringify(position),
        stored_bytes: storedBytes,
        let_go: letGo ? JSON.stringify(letGo) : null,
        modified_at: at,
      };
      const isOurs = await database.withTenant(row.tenant_id, (tx) => store.updateArchive(tx, of, change));
      if (!isOurs) throw logErrors.fenced();
      this.#persistedEpoch = sessionEpoch;
      return { state, at };
    } catch (error) {
      // What is in memory is ahead of what is durable: nobody may build on it.
      this.#broken ??= { cause: error };
      this.#wake('failed');
      throw error;
    }
  }

  #wake(outcome: 'moved' | 'failed'): void {
    this.#arrival.resolve(outcome);
    this.#arrival = Promise.withResolvers();
  }

  #outOfOrder(): Error {
    if (this.#broken) return logErrors.poisoned({}, this.#broken.cause);
    return logErrors.fragment_order({ nextFragment: this.#state.nextFragment });
  }

  #expectSound(): void {
    if (this.#broken) throw logErrors.poisoned({}, this.#broken.cause);
  }
}

function isNew({ bytes, isKnown }: Examined[number], kind: number): boolean {
  return !isKnown && parseRecordHeader(bytes).kind === kind;
}

function isContent(record: Uint8Array): boolean {
  const { kind } = parseRecordHeader(record);
  return kind === RecordKind.block || kind === RecordKind.bundle;
}

/**
 * Tells fragments apart by their records' headers: nonce, lengths and checksum of each say enough of what it holds.
 *
 * Bytes that are no records are told apart by themselves: they are refused later.
 */
function fingerprintOf(bytes: Uint8Array): string {
  const heads: Uint8Array[] = [];
  for (let at = 0; at + recordHeaderBytes <= bytes.length && heads.length < 100_000;) {
    heads.push(bytes.subarray(at, at + recordHeaderBytes));
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, recordHeaderBytes);
    at += recordHeaderBytes + view.getUint16(14, true) + view.getUint32(16, true) + view.getUint32(20, true);
  }
  return hash('sha256', Buffer.concat([...heads, Buffer.from(`${bytes.length}`)]), 'hex');
}
