/** Reads back what a destination holds of the newest state: the chain, the tree, and every piece or whether it is there. */
import { hash } from 'node:crypto';
import {
  commitChain,
  type Extent,
  factsOf,
  isHole,
  loaderOf,
  type LoadRecord,
  newestCommit,
  openRecordSync,
  type Ordinal,
  parseFileKey,
  parseRow,
  type Row,
  parseRecordHeader,
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

/** Something that is missing or does not open; `path` is one of the files it belongs to, where that could be told. */
export type Damage = { readonly ordinal?: number; readonly path?: string; readonly problem: string };

/** What was found at one destination. */
export type VerifyReport = VerifyProgress & {
  readonly destination: string;
  readonly head: number;
  /** Whether its head is the device's. */
  readonly isCurrent: boolean;
  /** At most a hundred. */
  readonly damaged: readonly Damage[];
  readonly damagedCount: number;
  /** Pieces that only sets need which are kept at other destinations: they are not looked for here. */
  readonly piecesElsewhere: number;
};

type Options = {
  /** Opens every record and checks every piece; else only that each is there. */
  readonly full: boolean;
  /** Whether the destination has to have what these sets selected. */
  readonly isNeeded: (sets: readonly number[]) => boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: VerifyProgress) => void;
};

const piecesAtOnce = 512;
const listedDamage = 100;

/**
 * Verifies one destination. Damage is in the report; it ends nothing.
 *
 * @throws what is worth trying again: a destination that goes away meanwhile is not a damaged one
 */
export async function verifyDestination(
  archive: DeviceArchive,
  session: DestinationSession,
  options: Options,
): Promise<VerifyReport> {
  const check = new PieceCheck(archive, session, options);
  let head = 0;
  let state: ArchiveState | undefined;
  try {
    const opened = await openState(archive, session);
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
  const damaged = await Promise.all(check.damaged.map((found) => named(found, state)));
  // What holds nothing is never good: the device may just have found out that all of it is gone.
  const isCurrent = head > 0 && head === archive.index.head().number;
  const found = { rows, pieces, checkedBytes, damaged, damagedCount, piecesElsewhere };
  return { destination: session.name, head, isCurrent, ...found };
}

async function named({ entry, ...damage }: FoundDamage, state: ArchiveState | undefined): Promise<Damage> {
  // What the names lie in may be damaged, too.
  const path = entry && state && (await pathOfEntry(state, entry).catch(() => undefined));
  return path ? { ...damage, path: pathToText(path) } : damage;
}

type Opened = { readonly head: number; readonly state: ArchiveState; readonly load: LoadRecord };

async function openState(archive: DeviceArchive, session: DestinationSession): Promise<Opened | undefined> {
  const { archiveId, openKeys } = archive;
  const head = await newestCommit(session, { archiveId, writers: writersOf(archive.stored) });
  if (!head) return undefined;
  const facts = (await commitChain(session, head)).map(({ record }) => factsOf(record, openKeys));
  const load = loaderOf((ordinals) => session.read(ordinals), openKeys);
  const [first] = facts;
  const start = first?.root && { checkpoint: first, root: first.root };
  const state = new ArchiveState(new NodeCache(load), start);
  for (const commit of start ? facts.slice(1) : facts) state.apply(commit);
  return { head: head.number, state, load };
}

async function checkState({ state, load }: Opened, check: PieceCheck): Promise<void> {
  for await (const { key, value } of state.range(directoryStart(0), Uint8Array.of(2))) {
    check.rows++;
    const row = parseRow(value);
    const isNeeded = check.isNeeded(row);
    for await (const extent of piecesOf(row, load)) {
      if (isNeeded) await check.add(await state.resolveExtent(extent), key);
      else check.piecesElsewhere++;
    }
  }
  await check.flush();
}

async function* piecesOf(row: Row, load: LoadRecord): AsyncGenerator<Extent> {
  for (const stream of row.streams ?? []) {
    for await (const extent of streamExtents(stream, load)) if (!isHole(extent)) yield extent;
  }
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

  report(found: FoundDamage): void {
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
        if (!isWhole) this.#reportIn(ordinal, wanted, 'a piece does not have its hash');
      }
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.#reportIn(ordinal, wanted, error.message);
    }
  }

  #reportIn(ordinal: Ordinal, { key }: Wanted, problem: string): void {
    this.report({ ordinal, problem, entry: parseFileKey(key) });
  }
}
