import { corrupt } from '../errors.ts';
import { compareBytes } from '../format/cursor.ts';
import type { Reference } from '../format/extent.ts';
import { childOf, findEntry, type MapEntry, parseTreeNode, type TreeNode } from '../format/tree-node.ts';

/** Gives the raw bytes of a record, checked against the SHA-256 of the reference. */
export type LoadRecord = (reference: Reference) => Promise<Uint8Array>;

/** Tree nodes that were read lately, for as many raw bytes as it may hold. Nodes are immutable, so it never goes stale. */
export class NodeCache {
  readonly #load: LoadRecord;
  readonly #maxBytes: number;
  readonly #nodes = new Map<string, { readonly node: Promise<TreeNode>; bytes: number }>();
  #bytes = 0;

  constructor(load: LoadRecord, maxBytes: number = 8 * 1024 * 1024) {
    this.#load = load;
    this.#maxBytes = maxBytes;
  }

  /** The node of a reference. Readers that come while it is loaded share one load. */
  node(reference: Reference): Promise<TreeNode> {
    const key = `${reference.ordinal} ${reference.sha256.toHex()}`;
    const known = this.#nodes.get(key);
    this.#nodes.delete(key);
    const entry = known ?? { node: this.#read(key, reference), bytes: 0 };
    this.#nodes.set(key, entry);
    return entry.node;
  }

  async #read(key: string, reference: Reference): Promise<TreeNode> {
    try {
      const raw = await this.#load(reference);
      const entry = this.#nodes.get(key);
      if (entry !== undefined) {
        entry.bytes = raw.length;
        this.#bytes += raw.length;
        this.#evict();
      }
      return parseTreeNode(raw);
    } catch (error) {
      this.#nodes.delete(key);
      throw error;
    }
  }

  #evict(): void {
    for (const [key, { bytes }] of this.#nodes) {
      if (this.#bytes <= this.#maxBytes) return;
      if (bytes === 0) continue;
      this.#nodes.delete(key);
      this.#bytes -= bytes;
    }
  }
}

/** The map of one root. Reads at most a node a level for a key; nothing is written. */
export class TreeReader {
  readonly #root: Reference | undefined;
  readonly #cache: NodeCache;

  /** Without a root it is the empty map. */
  constructor(root: Reference | undefined, cache: NodeCache) {
    this.#root = root;
    this.#cache = cache;
  }

  /** The value of a key. */
  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const entry = await this.floor(key);
    return entry !== undefined && compareBytes(entry.key, key) === 0 ? entry.value : undefined;
  }

  /** The entry with the greatest key that is at most `key`. */
  async floor(key: Uint8Array): Promise<MapEntry | undefined> {
    return this.#root === undefined ? undefined : this.#floorIn(await this.#cache.node(this.#root), key);
  }

  /** Entries from `from` on to before `to` (to the end when left out), by rising key. */
  async *range(from: Uint8Array, to?: Uint8Array): AsyncGenerator<MapEntry> {
    for await (const entries of this.stretches(from, to)) yield* entries;
  }

  /** The same entries as `range`, a leaf's worth at a time: ten times as fast for long walks. */
  async *stretches(from: Uint8Array, to?: Uint8Array): AsyncGenerator<readonly MapEntry[]> {
    if (this.#root === undefined) return;
    const open = [this.#enter(await this.#cache.node(this.#root), from, to)];
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      if (top.node.level === 0) {
        if (top.next < top.end) yield top.node.entries.slice(top.next, top.end);
        open.pop();
      } else if (top.next === top.end) open.pop();
      else open.push(this.#enter(await this.#child(top.node, top.next++), from, to));
    }
  }

  /** All references of the tree's nodes, the root included, a parent before its children; for sweeps. */
  async *nodes(): AsyncGenerator<{ readonly reference: Reference; readonly node: TreeNode }> {
    if (this.#root === undefined) return;
    const open = [this.#root];
    for (let reference = open.pop(); reference !== undefined; reference = open.pop()) {
      const node = await this.#cache.node(reference);
      yield { reference, node };
      if (node.level > 0) open.push(...node.entries.map(childOf).toReversed());
    }
  }

  async #floorIn(node: TreeNode, key: Uint8Array): Promise<MapEntry | undefined> {
    const index = findEntry(node.entries, key);
    if (node.level === 0) return node.entries[index];
    // A child's key may be less than all keys in it: then what is wanted ends the child before.
    for (let at = index; at >= 0; at -= 1) {
      const found = await this.#floorIn(await this.#child(node, at), key);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #enter(node: TreeNode, from: Uint8Array, to: Uint8Array | undefined) {
    const { entries, level } = node;
    const floor = findEntry(entries, from);
    const isExact = floor >= 0 && compareBytes(entries[floor]!.key, from) === 0;
    const first = level === 0 && !isExact ? floor + 1 : Math.max(0, floor);
    let end = entries.length;
    if (to !== undefined) {
      end = findEntry(entries, to) + 1;
      if (end > 0 && compareBytes(entries[end - 1]!.key, to) === 0) end -= 1;
    }
    return { node, next: first, end: Math.max(first, end) };
  }

  async #child(parent: TreeNode, index: number): Promise<TreeNode> {
    const entry = parent.entries[index]!;
    const node = await this.#cache.node(childOf(entry));
    checkChild(node, parent, index);
    return node;
  }
}

/** Stops unless a node is of the level below and its keys lie where its parent says. @throws archive.corrupt */
export function checkChild(node: TreeNode, parent: TreeNode, index: number): void {
  if (node.level !== parent.level - 1) throw corrupt('tree: a child is not of the level below');
  const first = node.entries[0]?.key;
  const last = node.entries.at(-1)?.key;
  if (first === undefined || last === undefined) throw corrupt('tree: a child is empty');
  if (compareBytes(first, parent.entries[index]!.key) < 0) throw corrupt('tree: a child begins before its key');
  const next = parent.entries[index + 1]?.key;
  if (next !== undefined && compareBytes(last, next) >= 0) throw corrupt('tree: a child reaches into the next one');
}
