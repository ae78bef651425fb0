import { archiveErrors } from '../errors.ts';
import { compareBytes, equalBytes } from '../format/cursor.ts';
import type { Reference } from '../format/extent.ts';
import {
  childEntry,
  childOf,
  encodeTreeNode,
  entryBytes,
  findEntry,
  type MapEntry,
  maxNodeBytes,
  maxTreeLevel,
  parseTreeNode,
  sharedBytes,
  type TreeNode,
} from '../format/tree-node.ts';
import { checkChild, type LoadRecord } from './tree-reader.ts';
import { PutReader, type TreePut } from './tree-puts.ts';

/** Where the nodes of a tree come from and go to. */
export type TreeStore = {
  readonly load: LoadRecord;
  /** Stores a new node. */
  readonly store: (raw: Uint8Array<ArrayBuffer>, level: number) => Reference | Promise<Reference>;
  /** Told of each node of the old tree that the new one has no more. */
  readonly remove?: (reference: Reference) => void;
};

/**
 * Changes a tree by puts in rising order and gives its new root: a bulk update that copies only nodes that change.
 *
 * Without a root it begins with the empty map. A put without a value removes its key. Memory does not depend on the
 * number of puts: a few nodes a level. Leaves that become small are joined with their right neighbour; a node whose
 * bytes come out the same keeps its record. The same puts on the same tree give the same nodes.
 * @throws archive.corrupt when the old tree is; archive.too_large for keys and values over their bounds.
 */
export async function updateTree(
  root: Reference | undefined,
  puts: Iterable<TreePut> | AsyncIterable<TreePut>,
  store: TreeStore,
): Promise<Reference> {
  const reader = new PutReader(puts);
  await reader.advance();
  if (root !== undefined && reader.current === undefined) return root;
  return new TreeUpdate(reader, store).run(root);
}

/** Below this much a node is joined with its right neighbour. */
const smallBytes = maxNodeBytes / 4;

/** How full nodes are made where many follow each other: the rest is room for a few more puts. */
const filledBytes = (maxNodeBytes / 8) * 7;

/** Entries of one level that have no node yet. */
type Level = {
  entries: MapEntry[];
  /** What each entry takes behind the one before it. */
  sizes: number[];
  bytes: number;
  /** The last entry is new: at the tree's right edge more will follow it. */
  endsNew: boolean;
  /** Nodes of the old tree whose entries came here: one of them may come out the same. */
  replaced: { readonly raw: Uint8Array; readonly reference: Reference }[];
};

class TreeUpdate {
  readonly #puts: PutReader;
  readonly #store: TreeStore;
  readonly #levels: Level[] = [];

  constructor(puts: PutReader, store: TreeStore) {
    this.#puts = puts;
    this.#store = store;
  }

  async run(root: Reference | undefined): Promise<Reference> {
    if (root === undefined) await this.#mergeLeaf([], undefined);
    else await this.#walkRoot(await this.#open(root));
    return this.#finish();
  }

  async #open(reference: Reference): Promise<TreeNode> {
    const raw = await this.#store.load(reference);
    const node = parseTreeNode(raw);
    const { replaced } = this.#level(node.level);
    replaced.push({ raw, reference });
    // In a long run of changes none of the earlier ones can still come out the same.
    if (replaced.length > 4) this.#drop(replaced.splice(0, 1));
    return node;
  }

  async #walkRoot(node: TreeNode): Promise<void> {
    if (node.level === 0) await this.#mergeLeaf(node.entries, undefined);
    else await this.#walkChildren(node, undefined);
  }

  /** Takes in an inner node of the old tree, with the puts that lie in it. */
  async #walkChildren(node: TreeNode, upper: Uint8Array | undefined): Promise<void> {
    for (const [index, entry] of node.entries.entries()) {
      const childUpper = node.entries[index + 1]?.key ?? upper;
      if (!this.#isPutBefore(childUpper) && !this.#wantsMore(node.level)) {
        await this.#addKept(node.level, entry);
        continue;
      }
      const child = await this.#open(childOf(entry));
      checkChild(child, node, index);
      if (child.level > 0) await this.#walkChildren(child, childUpper);
      else if (await this.#isChanged(child, childUpper)) await this.#mergeLeaf(child.entries, childUpper);
      else await this.#keepLeaf(entry, child.entries);
    }
  }

  /** Passes over puts that change nothing in a leaf; false when there are no others in it. */
  async #isChanged(leaf: TreeNode, upper: Uint8Array | undefined): Promise<boolean> {
    for (let put = this.#puts.current; put !== undefined && this.#isPutBefore(upper); put = this.#puts.current) {
      const found = leaf.entries[findEntry(leaf.entries, put.key)];
      const old = found !== undefined && equalBytes(found.key, put.key) ? found.value : undefined;
      const isIdle =
        old === undefined ? put.value === undefined : put.value !== undefined && equalBytes(old, put.value);
      if (!isIdle) return true;
      await this.#puts.advance();
    }
    return false;
  }

  /** A leaf that was opened and does not change: only what waits before it may still need its entries. */
  async #keepLeaf(entry: MapEntry, entries: readonly MapEntry[]): Promise<void> {
    if (this.#wantsMore(1)) return this.#mergeLeaf(entries, entry.key);
    this.#level(0).replaced.pop();
    await this.#addKept(1, entry);
  }

  async #mergeLeaf(entries: readonly MapEntry[], upper: Uint8Array | undefined): Promise<void> {
    for (const entry of entries) {
      let order = this.#orderOf(entry.key);
      for (; order < 0; order = this.#orderOf(entry.key)) await this.#takePut(true);
      if (order === 0) await this.#takePut(false);
      else if (this.#add(0, entry, false)) await this.#spill(0);
    }
    while (this.#isPutBefore(upper)) await this.#takePut(true);
  }

  /** Negative, 0, positive: the next put lies before, at, behind the key; positive without one. */
  #orderOf(key: Uint8Array): number {
    return this.#puts.current === undefined ? 1 : compareBytes(this.#puts.current.key, key);
  }

  #isPutBefore(upper: Uint8Array | undefined): boolean {
    return this.#puts.current !== undefined && (upper === undefined || this.#orderOf(upper) < 0);
  }

  async #takePut(isNew: boolean): Promise<void> {
    const { key, value } = this.#puts.current!;
    if (value !== undefined && this.#add(0, { key, value }, isNew)) await this.#spill(0);
    await this.#puts.advance();
  }

  /** Adds an entry; true when the level has gathered enough for two nodes. */
  #add(level: number, entry: MapEntry, isNew: boolean): boolean {
    const at = this.#level(level);
    const before = at.entries.at(-1)?.key;
    const size = entryBytes(before === undefined ? 0 : sharedBytes(before, entry.key), entry);
    at.entries.push(entry);
    at.sizes.push(size);
    at.bytes += size;
    at.endsNew = isNew;
    return at.bytes > 2 * maxNodeBytes;
  }

  /** Adds a child of the old tree as it is, behind whatever is waiting on lower levels. */
  async #addKept(level: number, entry: MapEntry): Promise<void> {
    for (let lower = 0; lower < level; lower += 1) await this.#flush(lower, false);
    if (this.#add(level, entry, false)) await this.#spill(level);
  }

  /** Whether some level below has so little waiting that it should not become a node yet. */
  #wantsMore(level: number): boolean {
    let waiting = 0;
    for (let lower = 0; lower < level; lower += 1) {
      waiting = this.#level(lower).bytes + Math.min(waiting, 1) * 64;
      if (waiting > 0 && waiting < smallBytes) return true;
    }
    return false;
  }

  /** Makes nodes from the start of what a level has gathered, until less than two are left. */
  async #spill(level: number): Promise<void> {
    const at = this.#level(level);
    while (at.bytes > 2 * maxNodeBytes) await this.#emit(level, at.entries.splice(0, this.#takeFilled(at)));
  }

  /** How many entries fill a node; takes their sizes off the level. */
  #takeFilled(at: Level): number {
    const count = countFilling(at.entries, at.sizes, filledBytes);
    for (const size of at.sizes.splice(0, count)) at.bytes -= size;
    return count;
  }

  /** Makes nodes of all that waits on a level: evenly filled, or at the right edge full ones first. */
  async #flush(level: number, isRightEdge: boolean): Promise<void> {
    const at = this.#level(level);
    const { entries, sizes } = at;
    const isPacked = isRightEdge && at.endsNew;
    at.entries = [];
    at.sizes = [];
    at.bytes = 0;
    for (const part of splitEntries(entries, sizes, isPacked)) await this.#emit(level, part);
    this.#drop(at.replaced.splice(0));
  }

  async #emit(level: number, entries: readonly MapEntry[]): Promise<void> {
    const child = childEntry(entries[0]!.key, await this.#storeNode(level, entries));
    if (this.#add(level + 1, child, true)) await this.#spill(level + 1);
  }

  async #storeNode(level: number, entries: readonly MapEntry[]): Promise<Reference> {
    const raw = encodeTreeNode({ level, entries });
    const { replaced } = this.#level(level);
    const same = replaced.findIndex((old) => equalBytes(old.raw, raw));
    return same < 0 ? this.#store.store(raw, level) : replaced.splice(same, 1)[0]!.reference;
  }

  async #finish(): Promise<Reference> {
    for (let level = 0; ; level += 1) {
      const at = this.#level(level);
      const isTop = this.#levels.every((other, above) => above <= level || other.entries.length === 0);
      if (isTop && splitEntries(at.entries, at.sizes, true).length <= 1) {
        const isLone = level > 0 && at.entries.length === 1;
        const root = isLone ? childOf(at.entries[0]!) : await this.#storeNode(level, at.entries);
        for (const { replaced } of this.#levels) this.#drop(replaced);
        return root;
      }
      await this.#flush(level, true);
    }
  }

  #drop(replaced: readonly { readonly reference: Reference }[]): void {
    for (const { reference } of replaced) this.#store.remove?.(reference);
  }

  #level(level: number): Level {
    if (level > maxTreeLevel) throw archiveErrors.too_large({ what: 'tree', level });
    while (this.#levels.length <= level) {
      this.#levels.push({ entries: [], sizes: [], bytes: 0, endsNew: false, replaced: [] });
    }
    return this.#levels[level]!;
  }
}

/** How many of the first entries make a node of about `bytes`; at least one. */
function countFilling(entries: readonly MapEntry[], sizes: readonly number[], bytes: number): number {
  let used = 1 + entryBytes(0, entries[0]!);
  let count = 1;
  while (count < entries.length && used + sizes[count]! <= bytes) used += sizes[count++]!;
  return count;
}

/** Cuts entries into as few nodes as hold them: halves of like weight, or all but the last filled. */
function splitEntries(entries: MapEntry[], sizes: number[], isPacked: boolean): MapEntry[][] {
  if (entries.length === 0) return [];
  const rest = sizes.reduce((sum, size) => sum + size, 1) - sizes[0]!;
  const bytes = rest + entryBytes(0, entries[0]!);
  if (bytes <= maxNodeBytes) return [entries];
  const filled = countFilling(entries, sizes, isPacked ? filledBytes : bytes / 2);
  const count = Math.min(filled, entries.length - 1);
  const cut = (from: number, to?: number) => splitEntries(entries.slice(from, to), sizes.slice(from, to), isPacked);
  return [...cut(0, count), ...cut(count)];
}
