/** Bytewise order for millions of names that lie packed in one block of memory. */

/** Names packed one after the other: name `i` is `bytes[starts[i]] ..< starts[i] + lengths[i]`. */
export type PackedNames = {
  readonly bytes: Uint8Array;
  readonly starts: Uint32Array;
  readonly lengths: Uint16Array;
  readonly count: number;
};

/**
 * The numbers of the names in bytewise order, a prefix first.
 *
 * Most-significant-byte radix sort with insertion sort for short runs (Sedgewick, Algorithms, §5.1): its cost is bounded
 * by the bytes of the names, whatever order they come in, where a comparison sort calls back 20 times per name.
 */
export function sortedOrder(names: PackedNames): Uint32Array {
  const order = new Uint32Array(names.count);
  for (let i = 0; i < names.count; i++) order[i] = i;
  const sorter = { names, order, other: new Uint32Array(names.count), counts: new Uint32Array(bucketCount + 1) };
  const pending: Run[] = [{ low: 0, high: names.count, depth: 0 }];
  for (let run = pending.pop(); run !== undefined; run = pending.pop()) sortRun(sorter, run, pending);
  return order;
}

type Sorter = {
  readonly names: PackedNames;
  readonly order: Uint32Array;
  readonly other: Uint32Array;
  readonly counts: Uint32Array;
};
/** Names `low ..< high` of the order agree in their first `depth` bytes. */
type Run = { readonly low: number; readonly high: number; readonly depth: number };

/** One for names that end here, then one per byte. */
const bucketCount = 257;
const shortRun = 24;

function sortRun(sorter: Sorter, run: Run, pending: Run[]): void {
  const { low, high, depth } = run;
  if (high - low <= shortRun) {
    insertionSort(sorter, run);
    return;
  }
  const { names, order, other, counts } = sorter;
  counts.fill(0);
  for (let i = low; i < high; i++) {
    const bucket = bucketOf(names, order[i] as number, depth) + 1;
    counts[bucket] = (counts[bucket] as number) + 1;
  }
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    counts[bucket + 1] = (counts[bucket + 1] as number) + (counts[bucket] as number);
  }
  for (let bucket = 1; bucket < bucketCount; bucket++) {
    const from = low + (counts[bucket] as number);
    const to = low + (counts[bucket + 1] as number);
    if (to - from > 1) pending.push({ low: from, high: to, depth: depth + 1 });
  }
  for (let i = low; i < high; i++) {
    const name = order[i] as number;
    const bucket = bucketOf(names, name, depth);
    const place = counts[bucket] as number;
    counts[bucket] = place + 1;
    other[low + place] = name;
  }
  order.set(other.subarray(low, high), low);
}

function bucketOf(names: PackedNames, name: number, depth: number): number {
  if (depth >= (names.lengths[name] as number)) return 0;
  return (names.bytes[(names.starts[name] as number) + depth] as number) + 1;
}

function insertionSort({ names, order }: Sorter, { low, high, depth }: Run): void {
  for (let i = low + 1; i < high; i++) {
    const name = order[i] as number;
    let at = i;
    while (at > low && isBefore(names, name, order[at - 1] as number, depth)) {
      order[at] = order[at - 1] as number;
      at--;
    }
    order[at] = name;
  }
}

function isBefore(names: PackedNames, a: number, b: number, depth: number): boolean {
  const { bytes, starts, lengths } = names;
  const aStart = starts[a] as number;
  const bStart = starts[b] as number;
  const aLength = lengths[a] as number;
  const bLength = lengths[b] as number;
  const shared = Math.min(aLength, bLength);
  for (let i = depth; i < shared; i++) {
    const difference = (bytes[aStart + i] as number) - (bytes[bStart + i] as number);
    if (difference !== 0) return difference < 0;
  }
  return aLength < bLength;
}
