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
  parseRow,
  type Row,
  parseRecordHeader,
  streamExtents,
  ArchiveState,
  directoryStart,
  NodeCache,
} from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
import type { DeviceArchive } from '../archive/device-archive.ts';
import type { DestinationSession } from '../destinations/destination-place.ts';
import { writersOf } from '../keys/archive-keyring.ts';

/** How far it is. */
export type VerifyProgress = { readonly rows: number; readonly pieces: number; readonly checkedBytes: number };

/** What was found at one destination. */
export type VerifyReport = VerifyProgress & {
  readonly destination: string;
  readonly head: number;
  /** Whether its head is the device's. */
  readonly isCurrent: boolean;
  /** Records that are missing or do not open, at most a hundred of them. */
  readonly damaged: readonly { readonly ordinal: number; readonly problem: string }[];
  readonly damagedCount: number;
};

type Options = {
  /** Opens every record and checks every piece; else only that each is there. */
  readonly full: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: VerifyProgress) => void;
};

const piecesAtOnce = 512;
const listedDamage = 100;

/** Verifies one destination. Damage is in the report; it ends nothing. */
export async function verifyDestination(
  archive: DeviceArchive,
  session: DestinationSession,
  options: Options,
): Promise<VerifyReport> {
  const check = new PieceCheck(archive, session, options);
  let head = 0;
  try {
    head = await verifyState(archive, session, check);
    await check.flush();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    options.signal.throwIfAborted();
    check.report(Number(error.details['ordinal'] ?? -1), error.message);
  }
  const { rows, pieces, checkedBytes, damaged, damagedCount } = check;
  const isCurrent = head === archive.index.head().number;
  return { destination: session.name, head, isCurrent, rows, pieces, checkedBytes, damaged, damagedCount };
}

async function verifyState(archive: DeviceArchive, session: DestinationSession, check: PieceCheck): Promise<number> {
  const { archiveId, openKeys } = archive;
  const head = await newestCommit(session, { archiveId, writers: writersOf(archive.stored) });
  if (!head) return 0;
  const facts = (await commitChain(session, head)).map(({ record }) => factsOf(record, openKeys));
  const load = loaderOf((ordinals) => session.read(ordinals), openKeys);
  const [first] = facts;
  const start = first?.root && { checkpoint: first, root: first.root };
  const state = new ArchiveState(new NodeCache(load), start);
  for (const commit of start ? facts.slice(1) : facts) state.apply(commit);
  for await (const { value } of state.range(directoryStart(0), Uint8Array.of(2))) {
    check.rows++;
    for await (const extent of piecesOf(parseRow(value), load)) await check.add(await state.resolveExtent(extent));
  }
  return head.number;
}

async function* piecesOf(row: Row, load: LoadRecord): AsyncGenerator<Extent> {
  for (const stream of row.streams ?? []) {
    for await (const extent of streamExtents(stream, load)) if (!isHole(extent)) yield extent;
  }
}

/** Gathers pieces by the record they lie in, and checks a batch of records at a time. */
class PieceCheck {
  readonly #archive: DeviceArchive;
  readonly #session: DestinationSession;
  readonly #options: Options;
  readonly damaged: { ordinal: number; problem: string }[] = [];
  #waiting = new Map<Ordinal, Extent[]>();
  #count = 0;
  rows = 0;
  pieces = 0;
  checkedBytes = 0;
  damagedCount = 0;

  constructor(archive: DeviceArchive, session: DestinationSession, options: Options) {
    this.#archive = archive;
    this.#session = session;
    this.#options = options;
  }

  async add(extent: Extent): Promise<void> {
    const of = this.#waiting.get(extent.ordinal);
    if (of) of.push(extent);
    else this.#waiting.set(extent.ordinal, [extent]);
    if (++this.#count >= piecesAtOnce) await this.flush();
  }

  report(ordinal: number, problem: string): void {
    this.damagedCount++;
    if (this.damaged.length < listedDamage) this.damaged.push({ ordinal, problem });
  }

  async flush(): Promise<void> {
    const { full, signal, onProgress } = this.#options;
    const waiting = this.#waiting;
    this.#waiting = new Map();
    this.#count = 0;
    for await (const record of this.#session.read([...waiting.keys()], signal)) {
      const { ordinal } = parseRecordHeader(record);
      const extents = waiting.get(ordinal) ?? [];
      waiting.delete(ordinal);
      this.pieces += extents.length;
      if (full) this.#open(record, ordinal, extents);
    }
    for (const ordinal of waiting.keys()) this.report(ordinal, 'the record is not there, or damaged beyond repair');
    onProgress({ rows: this.rows, pieces: this.pieces, checkedBytes: this.checkedBytes });
  }

  #open(record: Uint8Array, ordinal: Ordinal, extents: readonly Extent[]): void {
    try {
      const { raw } = openRecordSync(record, this.#archive.openKeys);
      for (const { offset, length, sha256 } of extents) {
        const piece = raw.subarray(offset, offset + length);
        this.checkedBytes += piece.length;
        const isWhole = piece.length === length && Buffer.compare(hash('sha256', piece, 'buffer'), sha256) === 0;
        if (!isWhole) this.report(ordinal, 'a piece does not have its hash');
      }
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.report(ordinal, error.message);
    }
  }
}
