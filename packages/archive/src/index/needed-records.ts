/** Every record that a state needs: nodes of its tree, lists, and what pieces of every kept version lie in. */
import { type Extent, isHole } from '../format/extent.ts';
import { directoryStart, keySpaces } from '../format/map-key.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { OrdinalSet } from '../format/ordinal-set.ts';
import { parseRow } from '../format/row.ts';
import type { ArchiveState } from '../tree/state.ts';
import type { LoadRecord } from '../tree/tree-reader.ts';
import { streamExtents } from './stream-extents.ts';

/** What of the needed records lies below an ordinal. */
export type NeededBelow = {
  /** Blocks and bundles. */
  readonly dataRecords: number;
  /** Raw bytes of the pieces in them, each counted once. */
  readonly dataBytes: number;
  readonly lists: number;
  readonly nodes: number;
};

/** What marking found. */
export type NeededRecords = { readonly ordinals: OrdinalSet; readonly below: NeededBelow };

/**
 * Marks what a state needs, and counts what of it lies below an ordinal.
 *
 * A list or node that cannot be read ends it: what it names is needed, and not known.
 * @throws what loading throws, the signal's reason
 */
export async function neededRecords(
  state: ArchiveState,
  load: LoadRecord,
  { below, signal }: { readonly below: Ordinal; readonly signal?: AbortSignal | undefined },
): Promise<NeededRecords> {
  const ordinals = new OrdinalSet();
  const counts = { dataRecords: 0, dataBytes: 0, lists: 0, nodes: 0 };
  const mark = (ordinal: Ordinal) => ordinals.add(ordinal) && ordinal < below;
  for await (const { reference } of state.nodes()) if (mark(reference.ordinal)) counts.nodes++;
  const lists: LoadRecord = async (list) => {
    const now = await state.resolveList(list);
    if (mark(now.ordinal)) counts.lists++;
    return load(now);
  };
  const pieces = new PieceSet();
  for await (const { value } of state.range(directoryStart(0), Uint8Array.of(keySpaces.commits))) {
    signal?.throwIfAborted();
    for await (const { ordinal, offset, length } of piecesOf(value, state, lists)) {
      if (mark(ordinal)) counts.dataRecords++;
      if (ordinal < below && pieces.add(ordinal, offset)) counts.dataBytes += length;
    }
  }
  return { ordinals, below: counts };
}

/** The pieces of all streams of a row, where they lie now. */
async function* piecesOf(row: Uint8Array, state: ArchiveState, lists: LoadRecord): AsyncGenerator<Extent> {
  for (const stream of parseRow(row).streams ?? [])
    for await (const named of streamExtents(stream, lists)) if (!isHole(named)) yield state.resolveExtent(named);
}

/** Places in records. Most pieces begin their record: they take a bit each. */
class PieceSet {
  readonly #first = new OrdinalSet();
  readonly #others = new Set<number | string>();

  add(ordinal: Ordinal, offset: number): boolean {
    if (offset === 0) return this.#first.add(ordinal);
    const place = ordinal < 2 ** 31 ? ordinal * 2 ** 22 + offset : `${ordinal} ${offset}`;
    if (this.#others.has(place)) return false;
    this.#others.add(place);
    return true;
  }
}
