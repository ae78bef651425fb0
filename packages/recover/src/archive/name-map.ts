import { corrupt, RecoverError } from '../errors.ts';
import { kinds } from '../format/record.ts';
import type { Reference } from '../format/reference.ts';
import { type Entry, readTreeNode, type TreeNode } from '../format/tree.ts';
import type { RecordReader } from './record-reader.ts';

const CACHED_NODES = 1_024;

/** A stretch of keys: from `from`, up to but without `to`; no end where `to` is undefined. */
export type KeyRange = { readonly from: Buffer; readonly to: Buffer | undefined };

/** Anything that gives the entries of a stretch of keys in rising order. */
export type EntrySource = { readonly range: (range: KeyRange) => Iterable<Entry> };

/** What a tree does about a child that cannot be read: says so, and gives what else is known of its keys. */
export type OnLostChild = (range: KeyRange, error: RecoverError) => Iterable<Entry>;

/** The B+-tree under one root; a child that cannot be read is replaced by what `onLostChild` gives. */
export class NameTree implements EntrySource {
  readonly #reader: RecordReader;
  readonly #root: Reference;
  readonly #onLostChild: OnLostChild;
  readonly #nodes = new Map<string, TreeNode>();

  constructor(reader: RecordReader, root: Reference, onLostChild: OnLostChild) {
    this.#reader = reader;
    this.#root = root;
    this.#onLostChild = onLostChild;
  }

  range(range: KeyRange): Iterable<Entry> {
    return this.#walk(this.#root, {
      bounds: { from: Buffer.alloc(0), to: undefined },
      wanted: range,
      level: undefined,
    });
  }

  *#walk(
    reference: Reference,
    at: { readonly bounds: KeyRange; readonly wanted: KeyRange; readonly level: number | undefined },
  ): Generator<Entry> {
    let node: TreeNode;
    try {
      node = this.#node(reference, at.level);
    } catch (error) {
      if (!(error instanceof RecoverError)) throw error;
      yield* this.#onLostChild(overlap(at.bounds, at.wanted), error);
      return;
    }
    if ('entries' in node) {
      yield* entriesIn(node.entries, at.wanted);
      return;
    }
    const { keys, children, level } = node;
    for (let index = firstChild(keys, at.wanted.from); index < children.length; index += 1) {
      if (index > 0 && !isBefore(keys[index]!, at.wanted.to)) return;
      const bounds = { from: index === 0 ? at.bounds.from : keys[index]!, to: keys[index + 1] ?? at.bounds.to };
      yield* this.#walk(children[index]!, { bounds, wanted: at.wanted, level: level - 1 });
    }
  }

  #node(reference: Reference, level: number | undefined): TreeNode {
    const name = reference.sha256.toString('latin1');
    const node = this.#nodes.get(name) ?? readTreeNode(this.#reader.follow(reference, kinds.tree));
    if (level !== undefined && node.level !== level) throw corrupt('tree', 'a child has another level than it must');
    if (level !== undefined && 'entries' in node && node.entries.length === 0)
      throw corrupt('tree', 'a child is empty');
    this.#nodes.delete(name);
    this.#nodes.set(name, node);
    if (this.#nodes.size > CACHED_NODES) this.#nodes.delete(this.#nodes.keys().next().value!);
    return node;
  }
}

/** The child whose stretch holds a key is the last one whose own key is not greater; else the first. */
function firstChild(keys: readonly Buffer[], key: Buffer): number {
  const after = firstAtLeast(keys.length, (index) => keys[index]!, key);
  return keys[after]?.equals(key) === true ? after : Math.max(0, after - 1);
}

/** The entries of a stretch, out of entries in rising order. */
function* entriesIn(entries: readonly Entry[], range: KeyRange): Generator<Entry> {
  for (
    let index = firstAtLeast(entries.length, (i) => entries[i]!.key, range.from);
    index < entries.length;
    index += 1
  ) {
    const entry = entries[index]!;
    if (!isBefore(entry.key, range.to)) return;
    yield entry;
  }
}

/** Index of the first key that is not below another, by halving; `count` where all are. */
function firstAtLeast(count: number, key: (index: number) => Buffer, least: Buffer): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Buffer.compare(key(middle), least) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isBefore(key: Buffer, end: Buffer | undefined): boolean {
  return end === undefined || Buffer.compare(key, end) < 0;
}

function overlap(a: KeyRange, b: KeyRange): KeyRange {
  const from = Buffer.compare(a.from, b.from) >= 0 ? a.from : b.from;
  if (a.to === undefined || b.to === undefined) return { from, to: a.to ?? b.to };
  return { from, to: Buffer.compare(a.to, b.to) <= 0 ? a.to : b.to };
}

/** Entries in memory, in rising order; of equal keys the one added last counts. */
export class EntryList implements EntrySource {
  readonly #entries: readonly Entry[];

  constructor(entries: Iterable<Entry>) {
    const byKey = new Map<string, Entry>();
    for (const entry of entries) byKey.set(entry.key.toString('latin1'), entry);
    this.#entries = [...byKey.values()].sort((a, b) => Buffer.compare(a.key, b.key));
  }

  range(range: KeyRange): Iterable<Entry> {
    return entriesIn(this.#entries, range);
  }
}

/** Two sources as one: where both have a key, `over` counts. */
export function overlay(under: EntrySource, over: EntrySource): EntrySource {
  return { range: (range) => merge(under.range(range), over.range(range)) };
}

function* merge(under: Iterable<Entry>, over: Iterable<Entry>): Generator<Entry> {
  const upper = over[Symbol.iterator]();
  let top = upper.next();
  for (const entry of under) {
    while (top.done !== true && Buffer.compare(top.value.key, entry.key) < 0) {
      yield top.value;
      top = upper.next();
    }
    if (top.done !== true && top.value.key.equals(entry.key)) continue;
    yield entry;
  }
  while (top.done !== true) {
    yield top.value;
    top = upper.next();
  }
}

/** The value of one key. */
export function lookUp(source: EntrySource, key: Buffer): Buffer | undefined {
  for (const entry of source.range({ from: key, to: Buffer.concat([key, Buffer.alloc(1)]) })) return entry.value;
  return undefined;
}

/** The stretch of all keys that begin with some bytes. */
export function withPrefix(prefix: Buffer): KeyRange {
  const to = Buffer.from(prefix);
  let last = to.length - 1;
  while (last >= 0 && to[last] === 0xff) last -= 1;
  if (last < 0) return { from: prefix, to: undefined };
  to[last]! += 1;
  return { from: prefix, to: to.subarray(0, last + 1) };
}
