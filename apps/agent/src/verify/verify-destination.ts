/** Reads back what a destination holds of the newest state: the chain, the tree, and every piece or whether it is there. */
import { hash } from 'node:crypto';
import {
  commitChain,
  type Extent,
  factsOf,
  isHole,
  listLoader,
  loaderOf,
  type LoadRecord,
  newestCommit,
  openRecordSync,
  type Ordinal,
  parseFileKey,
  parseRow,
  type Row,
  millisecondsOf,
  parseRecordHeader,
  type Reference,
  streamExtents,
  ArchiveState,
  directoryStart,
  NodeCache,
} from '@holdfast/archive';
import { CodedError, isRetryable } from '@holdfast/base';
import type { DeviceArchive } from '../archive/device-archive.ts';
import type { DestinationSession } from '../destinations/destination-place.ts';
import { writersOf } from '../keys/archive-keyring.ts';
import { pathToText } from '../browse/path-text.ts';
import { type EntryKey, pathOfEntry } from './entry-path.ts';

/** How far it is. */
export type VerifyProgress = { readonly rows: number; readonly pieces: number; readonly checkedBytes: number };

/** Something that is missing or does not open. */
export type Damage = {
  readonly ordinal?: number;
  /** One of the files it belongs to, and since when it was as it is meant: where that could be told. */
  readonly path?: string;
  readonly versionAt?: string;
  readonly problem: string;
};

/** What was found at one destination. */
export type VerifyReport = VerifyProgress & {
  readonly destination: string;
  readonly head: number;
  /** Whether its head is the device's. */
  readonly isCurrent: boolean;
  /** At most a hundred; records once each. */
  readonly damaged: readonly Damage[];
  readonly damagedCount: number;
  /** Pieces that only sets need which are kept at other destinations: they are not looked for here. */
  readonly piecesElsewhere: number;
};

/** What was found, and what mending goes by: ordinals of records, of each kind at most so many as are mended at a time. */
export type Verified = {
  readonly report: VerifyReport;
  /** Records of data that are not there. */
  readonly missing: ReadonlySet<Ordinal>;
  /** Records of data that are there and are not what was stored. */
  readonly altered: ReadonlySet<Ordinal>;
  /** Records of the tree that are not there, and that another destination gave. */
  readonly structure: ReadonlySet<Ordinal>;
};

type Options = {
  /** Opens every record and checks every piece; else only that each is there. */
  readonly full: boolean;
  /** Whether the destination has to have what these sets selected. */
  readonly isNeeded: (sets: readonly number[]) => boolean;
  /** Read instead where the tree of this one is damaged, so that the rest can be checked. */
  readonly others: readonly DestinationSession[];
  readonly signal: AbortSignal;
  readonly onProgress: (progress: VerifyProgress) => void;
};

const piecesAtOnce = 512;
/** Most damaged records that a report lists. */
export const listedDamage = 100;
const mostMended = 10_000;

/**
 * Verifies one destination. Damage is in the report; it ends nothing.
 *
 * @throws what is worth trying again: a destination that goes away meanwhile is not a damaged one
 */
export async function verifyDestination(
  archive: DeviceArchive,
  session: DestinationSession,
  options: Options,
): Promise<Verified> {
  const check = new PieceCheck(archive, session, options);
  let head = 0;
  let state: ArchiveState | undefined;
  try {
    const opened = await openState(archive, session, (reference) => check.load(reference));
    if (opened) {
      head = opened.head;
      state = opened.state;
      await checkState(opened, check);
    }
  } catch (error) {
    if (!(error instanceof CodedError) || isRetryable(error)) throw error;
    options.signal.throwIfAborted();
    const { ordinal } = error.details;
    check.report({ problem: error.message, ...(typeof ordinal === 'number' && { ordinal }) });
  }
  const { rows, pieces, checkedBytes, damagedCount, piecesElsewhere } = check;
  const damaged = await Promise.all(check.damaged.map(({ entry, ...damage }) => withName(damage, entry, state)));
  // What holds nothing is never good: the device may just have found out that all of it is gone.
  const isCurrent = head > 0 && head === archive.index.head().number;
  const found = { rows, pieces, checkedBytes, damaged, damagedCount, piecesElsewhere };
  const { missing, altered, structure } = check;
  return { report: { destination: session.name, head, isCurrent, ...found }, missing, altered, structure };
}

/** Damage with the file and the version that a row is of. */
export async function withName(
  damage: Damage,
  entry: EntryKey | undefined,
  state: ArchiveState | undefined,
): Promise<Damage> {
  if (!entry || !state) return damage;
  // What the names lie in may be damaged, too.
  const path = await pathOfEntry(state, entry).catch(() => undefined);
  const versionAt = await timeOf(state, entry.commit).catch(() => undefined);
  return { ...damage, ...(path && { path: pathToText(path) }), ...(versionAt !== undefined && { versionAt }) };
}

async function timeOf(state: ArchiveState, commit: number): Promise<string | undefined> {
  for await (const { number, time } of state.commits()) {
    if (number === commit) return new Date(millisecondsOf(time)).toISOString();
  }
  return undefined;
}

type Opened = { readonly head: number; readonly state: ArchiveState };

async function openState(
  archive: DeviceArchive,
  session: DestinationSession,
  load: LoadRecord,
): Promise<Opened | undefined> {
  const { archiveId, openKeys } = archive;
  const head = await newestCommit(session, { archiveId, writers: writersOf(archive.stored) });
  if (!head) return undefined;
  const facts = (await commitChain(session, head)).map(({ record }) => factsOf(record, openKeys));
  const [first] = facts;
  const start = first?.root && { checkpoint: first, root: first.root };
  const state = new ArchiveState(new NodeCache(load), start);
  for (const commit of start ? facts.slice(1) : facts) state.apply(commit);
  return { head: head.number, state };
}

async function checkState({ state }: Opened, check: PieceCheck): Promise<void> {
  for await (const { key, value } of state.range(directoryStart(0), Uint8Array.of(2))) {
    check.rows++;
    const row = parseRow(value);
    const isNeeded = check.isNeeded(row);
    for await (const extent of check.piecesOf(row, key, state)) {
      if (isHole(extent)) continue;
      if (isNeeded) await check.add(await state.resolveExtent(extent), key);
      else check.piecesElsewhere++;
    }
  }
  await check.flush();
}

type FoundDamage = Omit<Damage, 'path'> & { readonly entry?: EntryKey };
/** Pieces to be found in one record, and the key of the row that named the first of them. */
type Wanted = { readonly extents: Extent[]; readonly key: Uint8Array };

/** Gathers pieces by the record they lie in, and checks a batch of records at a time. */
class PieceCheck {
  readonly #archive: DeviceArchive;
  readonly #session: DestinationSession;
  readonly #options: Options;
  readonly damaged: FoundDamage[] = [];
  readonly missing = new Set<Ordinal>();
  readonly altered = new Set<Ordinal>();
  readonly structure = new Set<Ordinal>();
  readonly #reported = new Set<Ordinal>();
  #waiting = new Map<Ordinal, Wanted>();
  #count = 0;
  rows = 0;
  pieces = 0;
  checkedBytes = 0;
  damagedCount = 0;
  piecesElsewhere = 0;

  constructor(archive: DeviceArchive, session: DestinationSession, options: Options) {
    this.#archive = archive;
    this.#session = session;
    this.#options = options;
  }

  isNeeded({ sets = [] }: Row): boolean {
    return this.#options.isNeeded(sets);
  }

  async add(extent: Extent, key: Uint8Array): Promise<void> {
    const of = this.#waiting.get(extent.ordinal);
    if (of) of.extents.push(extent);
    else this.#waiting.set(extent.ordinal, { extents: [extent], key: key.slice() });
    if (++this.#count >= piecesAtOnce) await this.flush();
  }

  /** Reads a record of the tree, from another destination where it is damaged here. */
  async load(reference: Reference): Promise<Uint8Array> {
    const { openKeys } = this.#archive;
    const from = (session: DestinationSession) => loaderOf((ordinals) => session.read(ordinals), openKeys)(reference);
    try {
      return await from(this.#session);
    } catch (error) {
      if (!(error instanceof CodedError) || isRetryable(error)) throw error;
      for (const other of this.#options.others) {
        const raw = await from(other).catch(() => undefined);
        if (!raw) continue;
        this.structure.add(reference.ordinal);
        this.report({ ordinal: reference.ordinal, problem: error.message });
        return raw;
      }
      throw error;
    }
  }

  /** The pieces of a row and its holes, as far as their lists are there: one that is lost is damage, and ends nothing. */
  async *piecesOf({ streams = [] }: Row, key: Uint8Array, state: ArchiveState): AsyncGenerator<Extent> {
    const lists = listLoader(state, (list) => this.load(list));
    for (const stream of streams) {
      try {
        yield* streamExtents(stream, lists);
      } catch (error) {
        if (!(error instanceof CodedError) || isRetryable(error)) throw error;
        this.#options.signal.throwIfAborted();
        const { ordinal } = error.details;
        const entry = parseFileKey(key.slice());
        this.report({ problem: error.message, entry, ...(typeof ordinal === 'number' && { ordinal }) });
      }
    }
  }

  report(found: FoundDamage): void {
    const { ordinal } = found;
    if (ordinal !== undefined && this.#reported.has(ordinal)) return;
    if (ordinal !== undefined && this.#reported.size < mostMended) this.#reported.add(ordinal);
    this.damagedCount++;
    if (this.damaged.length < listedDamage) this.damaged.push(found);
  }

  async flush(): Promise<void> {
    const { full, signal, onProgress } = this.#options;
    const waiting = this.#waiting;
    this.#waiting = new Map();
    this.#count = 0;
    for await (const record of this.#session.read([...waiting.keys()], signal)) {
      const { ordinal } = parseRecordHeader(record);
      const wanted = waiting.get(ordinal);
      waiting.delete(ordinal);
      if (!wanted) continue;
      this.pieces += wanted.extents.length;
      if (full) this.#open(record, ordinal, wanted);
    }
    for (const [ordinal, wanted] of waiting) {
      if (this.missing.size < mostMended) this.missing.add(ordinal);
      this.#reportIn(ordinal, wanted, 'the record is not there, or damaged beyond repair');
    }
    onProgress({ rows: this.rows, pieces: this.pieces, checkedBytes: this.checkedBytes });
  }

  #open(record: Uint8Array, ordinal: Ordinal, wanted: Wanted): void {
    try {
      const { raw } = openRecordSync(record, this.#archive.openKeys);
      for (const { offset, length, sha256 } of wanted.extents) {
        const piece = raw.subarray(offset, offset + length);
        this.checkedBytes += piece.length;
        const isWhole = piece.length === length && Buffer.compare(hash('sha256', piece, 'buffer'), sha256) === 0;
        if (!isWhole) this.#reportAltered(ordinal, wanted, 'a piece does not have its hash');
      }
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.#reportAltered(ordinal, wanted, error.message);
    }
  }

  #reportAltered(ordinal: Ordinal, wanted: Wanted, problem: string): void {
    if (this.altered.size < mostMended) this.altered.add(ordinal);
    this.#reportIn(ordinal, wanted, problem);
  }

  #reportIn(ordinal: Ordinal, { key }: Wanted, problem: string): void {
    this.report({ ordinal, problem, entry: parseFileKey(key) });
  }
}
