import {
  neededStretches,
  parseLive,
  RecordKind,
  sequenceOf,
  splitRecord,
  writerOf,
  type ArchiveFolder,
  type LivePart,
} from '@holdfast/archive/log';
import type { LetGo } from './store.ts';

/** A live set all of whose parts are there. */
export type LiveSet = { readonly number: number; readonly parts: readonly LivePart[] };

/** The parts of live sets as they come in; of several, the one with the greatest number counts. */
export class LiveSets {
  #number = 0;
  #parts = new Map<number, LivePart>();

  /** Takes a part in; the whole set when this part was the last one it lacked. */
  add(part: LivePart): LiveSet | undefined {
    if (part.number < this.#number) return undefined;
    if (part.number > this.#number) {
      this.#number = part.number;
      this.#parts = new Map();
    }
    if (this.#parts.has(part.part)) return undefined;
    this.#parts.set(part.part, part);
    return isComplete(this.#parts) ? { number: part.number, parts: [...this.#parts.values()] } : undefined;
  }

  /** Reads the newest complete set of a folder, and takes in the parts of one that is newer and not complete yet. */
  async load(folder: ArchiveFolder): Promise<LiveSet | undefined> {
    const ordinals: number[] = [];
    for await (const { ordinal } of folder.list(RecordKind.live)) ordinals.push(ordinal);
    const found = new Map<number, Map<number, LivePart>>();
    // The newest lie last, and each set has several parts at most: what is older is not read.
    for (const ordinal of ordinals.toReversed()) {
      const outcome = await folder.readOne(ordinal);
      if (outcome.status !== 'found') continue;
      const part = parseLive(splitRecord(outcome.bytes).open);
      const parts = found.get(part.number) ?? new Map<number, LivePart>();
      found.set(part.number, parts.set(part.part, part));
      if (isComplete(parts)) break;
    }
    let newest: LiveSet | undefined;
    for (const [, parts] of [...found].toSorted(([a], [b]) => a - b))
      for (const part of parts.values()) newest = this.add(part) ?? newest;
    return newest;
  }
}

function isComplete(parts: ReadonlyMap<number, LivePart>): boolean {
  const [any] = parts.values();
  return any !== undefined && Array.from({ length: any.parts }, (_, index) => parts.has(index + 1)).every(Boolean);
}

/** Sequence numbers of one writer, as first and last of each stretch, rising. */
type Stretches = readonly number[];

/**
 * Adds up the bytes of the records that a live set covers and does not name. Headers and keyrings are never let go.
 *
 * Looks only into segments that may hold such a record. Stops with what the signal says once that is aborted.
 */
export async function countLetGo(folder: ArchiveFolder, set: LiveSet, signal: AbortSignal): Promise<LetGo> {
  const letGo = new Map<number, Stretches>();
  const ranges = set.parts.flatMap((part) => part.ranges);
  for (const [writer, of] of Map.groupBy(ranges, (range) => range.writer)) letGo.set(writer, stretchesOf(of));
  const isLetGo = (writer: number, first: number, last: number) => overlaps(letGo.get(writer) ?? [], first, last);
  const mayHold = (held: readonly (readonly [writer: number, first: number, last: number])[]) =>
    held.some(([writer, first, last]) => isLetGo(writer, first, last));
  let bytes = 0;
  for await (const { ordinal, kind, lengthBytes } of folder.list(undefined, mayHold)) {
    signal.throwIfAborted();
    if (kind === RecordKind.header || kind === RecordKind.keyring) continue;
    const sequence = sequenceOf(ordinal);
    if (isLetGo(writerOf(ordinal), sequence, sequence)) bytes += lengthBytes;
  }
  return { number: set.number, bytes };
}

function stretchesOf(ranges: readonly LivePart['ranges'][number][]): Stretches {
  const stretches: number[] = [];
  for (const range of ranges.toSorted((a, b) => a.first - b.first)) {
    let at = range.first;
    for (const { first, last } of neededStretches(range)) {
      if (first > at) stretches.push(at, first - 1);
      at = last + 1;
    }
    if (at <= range.last) stretches.push(at, range.last);
  }
  return stretches;
}

/** Whether any of the stretches has a number from `first` to `last`. */
function overlaps(stretches: Stretches, first: number, last: number): boolean {
  // The first stretch that ends at `first` or later.
  let [low, high] = [0, stretches.length / 2];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (stretches[middle * 2 + 1]! < first) low = middle + 1;
    else high = middle;
  }
  return low * 2 < stretches.length && stretches[low * 2]! <= last;
}
