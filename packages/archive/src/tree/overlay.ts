import { compareBytes } from '../format/cursor.ts';
import { findEntry, type MapEntry } from '../format/tree-node.ts';

/** Puts of commits after the checkpoint, in memory: by rising key, a later put of a key over an earlier one. */
export class Overlay {
  #sorted: readonly MapEntry[] = [];
  #waiting: MapEntry[] = [];

  /** Takes in the puts of the next commit. */
  put(puts: readonly MapEntry[]): void {
    for (const put of puts) this.#waiting.push(put);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const entry = this.floor(key);
    return entry !== undefined && compareBytes(entry.key, key) === 0 ? entry.value : undefined;
  }

  /** The entry with the greatest key that is at most `key`. */
  floor(key: Uint8Array): MapEntry | undefined {
    const entries = this.#entries();
    return entries[findEntry(entries, key)];
  }

  /** Entries from `from` on to before `to`. */
  range(from: Uint8Array, to?: Uint8Array): readonly MapEntry[] {
    const entries = this.#entries();
    return entries.slice(indexOf(entries, from), to === undefined ? entries.length : indexOf(entries, to));
  }

  /** Sorted when first asked after a put, so that a thousand commits cost one sorting. */
  #entries(): readonly MapEntry[] {
    if (this.#waiting.length > 0) {
      // Sorting is stable: the last of equal keys is the newest.
      const all = [...this.#sorted, ...this.#waiting].sort((a, b) => compareBytes(a.key, b.key));
      this.#sorted = all.filter((entry, index) => {
        const next = all[index + 1];
        return next === undefined || compareBytes(entry.key, next.key) !== 0;
      });
      this.#waiting = [];
    }
    return this.#sorted;
  }
}

/** Index of the first entry that is not below `key`. */
function indexOf(entries: readonly MapEntry[], key: Uint8Array): number {
  const floor = findEntry(entries, key);
  const isExact = floor >= 0 && compareBytes(entries[floor]!.key, key) === 0;
  return isExact ? floor : floor + 1;
}

/** Two runs of entries as one, by rising key; where both have a key, `over` counts. */
export async function* mergeEntries(
  under: AsyncIterable<readonly MapEntry[]>,
  over: readonly MapEntry[],
): AsyncGenerator<MapEntry> {
  let next = 0;
  for await (const stretch of under) {
    for (const entry of stretch) {
      while (next < over.length && compareBytes(over[next]!.key, entry.key) < 0) yield over[next++]!;
      if (next < over.length && compareBytes(over[next]!.key, entry.key) === 0) continue;
      yield entry;
    }
  }
  while (next < over.length) yield over[next++]!;
}
