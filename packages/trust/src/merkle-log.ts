import { createHash } from 'node:crypto';
import { assert } from '@holdfast/base';

/** A SHA-256, 32 bytes. */
export type Hash = Uint8Array;

/** A perfect subtree of the log: the node over leaves `[index * 2^level, (index + 1) * 2^level)`. */
export type NodeRef = { readonly level: number; readonly index: number };

/** A node with its hash; a log that keeps them all can prove anything. */
export type TreeNode = NodeRef & { readonly hash: Hash };

/**
 * Reads the hashes of perfect subtrees, in the order asked for.
 *
 * Asked once for each proof, with every node the proof needs: one query of a database.
 */
export type HashSource = (nodes: readonly NodeRef[]) => Promise<readonly Hash[]>;

/** All that appending needs to know of a log: its size, and the roots of its perfect subtrees, largest first. */
export type TreeState = { readonly size: number; readonly peaks: readonly Hash[] };

/** A source over nodes held in memory, for a log checked from a file of its entries. */
export function memorySource(nodes: Iterable<TreeNode>): HashSource {
  const hashes = new Map<string, Hash>();
  for (const { level, index, hash } of nodes) hashes.set(`${level}/${index}`, hash);
  return (wanted) =>
    Promise.resolve(
      wanted.map(({ level, index }) => {
        const hash = hashes.get(`${level}/${index}`);
        assert(hash, `node ${level}/${index} is known`);
        return hash;
      }),
    );
}

/** The log without an entry. */
export const emptyTree: TreeState = { size: 0, peaks: [] };

/** The hash of an entry; the prefix 0 keeps it apart from an inner node (RFC 9162, 2.1.1). */
export function leafHash(entry: Uint8Array): Hash {
  return sha256(leafPrefix, entry);
}

/** The hash of an inner node over its two halves (RFC 9162, 2.1.1). */
export function nodeHash(left: Hash, right: Hash): Hash {
  return sha256(nodePrefix, left, right);
}

/** The root over all leaves of a state; the SHA-256 of nothing when there are none. */
export function rootOf(state: TreeState): Hash {
  return state.peaks.length === 0 ? sha256() : foldPeaks(state.peaks);
}

/**
 * Appends one leaf, in O(log n) time and state.
 *
 * `nodes` are the perfect subtrees this leaf completes, itself first: a log that proves things stores exactly these.
 */
export function appendLeaf(
  state: TreeState,
  leaf: Hash,
): { readonly state: TreeState; readonly nodes: readonly TreeNode[] } {
  assertHash(leaf);
  const peaks = [...state.peaks];
  const nodes: TreeNode[] = [{ level: 0, index: state.size, hash: leaf }];
  let last: TreeNode = nodes[0]!;
  // An odd index has its left sibling among the peaks, and the two make the next level.
  while (last.index % 2 === 1) {
    last = { level: last.level + 1, index: (last.index - 1) / 2, hash: nodeHash(peaks.pop()!, last.hash) };
    nodes.push(last);
  }
  return { state: { size: state.size + 1, peaks: [...peaks, last.hash] }, nodes };
}

/** Appends many leaves; `nodes` are all the perfect subtrees they complete, in the order of completion. */
export function appendLeaves(
  state: TreeState,
  leaves: Iterable<Hash>,
): { readonly state: TreeState; readonly nodes: readonly TreeNode[] } {
  let reached = state;
  const nodes: TreeNode[] = [];
  for (const leaf of leaves) {
    const appended = appendLeaf(reached, leaf);
    reached = appended.state;
    nodes.push(...appended.nodes);
  }
  return { state: reached, nodes };
}

/** Reads the state of a log at a size it had, so that appending or checking can start there. */
export async function readTreeState(source: HashSource, size: number): Promise<TreeState> {
  assertSize(size);
  return { size, peaks: await readNodes(source, perfectNodes({ begin: 0, end: size })) };
}

/** Makes the proof that the leaf of that index is in the log of that size (RFC 9162, 2.1.3.1). */
export function proveInclusion(source: HashSource, leafIndex: number, treeSize: number): Promise<readonly Hash[]> {
  assertSize(treeSize);
  assert(Number.isSafeInteger(leafIndex) && leafIndex >= 0 && leafIndex < treeSize, 'the leaf lies in the tree');
  const siblings: LeafRange[] = [];
  let { begin, end }: LeafRange = { begin: 0, end: treeSize };
  while (end - begin > 1) {
    const middle = begin + largestPowerBelow(end - begin);
    if (leafIndex < middle) {
      siblings.push({ begin: middle, end });
      end = middle;
    } else {
      siblings.push({ begin, end: middle });
      begin = middle;
    }
  }
  return readRangeRoots(source, siblings.toReversed());
}

/**
 * Makes the proof that the log of `toSize` begins with the log of `fromSize` (RFC 9162, 2.1.4.1).
 *
 * Empty when nothing needs proof: from an empty log, or between equal sizes.
 */
export function proveConsistency(source: HashSource, fromSize: number, toSize: number): Promise<readonly Hash[]> {
  assertSize(toSize);
  assert(Number.isSafeInteger(fromSize) && fromSize >= 0 && fromSize <= toSize, 'the older tree is not the larger');
  if (fromSize === 0) return Promise.resolve([]);
  const parts: LeafRange[] = [];
  let { begin, end }: LeafRange = { begin: 0, end: toSize };
  while (fromSize !== end) {
    const middle = begin + largestPowerBelow(end - begin);
    if (fromSize <= middle) {
      parts.push({ begin: middle, end });
      end = middle;
    } else {
      parts.push({ begin, end: middle });
      begin = middle;
    }
  }
  // The verifier knows the whole older tree by its root; any other part has to be given.
  if (begin > 0) parts.push({ begin, end });
  return readRangeRoots(source, parts.toReversed());
}

/** Leaves `[begin, end)`, as the recursion of RFC 9162 cuts them: `begin` is a multiple of the largest power within. */
type LeafRange = { readonly begin: number; readonly end: number };

const leafPrefix = Uint8Array.of(0);
const nodePrefix = Uint8Array.of(1);

function sha256(...parts: readonly Uint8Array[]): Hash {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

function foldPeaks(peaks: readonly Hash[]): Hash {
  return peaks.reduceRight((right, left) => nodeHash(left, right));
}

/** The perfect subtrees that make up a range, left to right. */
function perfectNodes(range: LeafRange): readonly NodeRef[] {
  const nodes: NodeRef[] = [];
  let { begin } = range;
  while (begin < range.end) {
    const width = largestPowerBelow(range.end - begin + 1);
    nodes.push({ level: Math.log2(width), index: begin / width });
    begin += width;
  }
  return nodes;
}

async function readRangeRoots(source: HashSource, ranges: readonly LeafRange[]): Promise<readonly Hash[]> {
  const nodesOfRanges = ranges.map(perfectNodes);
  const hashes = await readNodes(source, nodesOfRanges.flat());
  let taken = 0;
  return nodesOfRanges.map((nodes) => foldPeaks(hashes.slice(taken, (taken += nodes.length))));
}

async function readNodes(source: HashSource, nodes: readonly NodeRef[]): Promise<readonly Hash[]> {
  if (nodes.length === 0) return [];
  const hashes = await source(nodes);
  assert(hashes.length === nodes.length, 'the source gives one hash for each node');
  for (const hash of hashes) assertHash(hash);
  return hashes;
}

/** The largest power of two smaller than `count`, which is at least 2; exact for all safe integers. */
function largestPowerBelow(count: number): number {
  let power = 1;
  while (power * 2 < count) power *= 2;
  return power;
}

function assertSize(size: number): void {
  assert(Number.isSafeInteger(size) && size >= 0, 'a tree size is a safe integer');
}

function assertHash(hash: Hash): void {
  assert(hash.length === 32, 'a hash has 32 bytes');
}
