import { emptyTree, nodeHash, rootOf, type Hash } from './merkle-log.ts';

/** What an inclusion proof claims: this leaf stands at this place of the log with this root. */
export type InclusionClaim = {
  readonly leafHash: Hash;
  readonly leafIndex: number;
  readonly treeSize: number;
  readonly root: Hash;
};

/** What a consistency proof claims: the log with the second root begins with all of the log with the first. */
export type ConsistencyClaim = {
  readonly fromSize: number;
  readonly fromRoot: Hash;
  readonly toSize: number;
  readonly toRoot: Hash;
};

/**
 * Whether the proof shows the claim (RFC 9162, 2.1.3.2).
 *
 * Claim and proof may come from anybody: whatever is malformed is false, never an exception.
 */
export function verifyInclusion(claim: InclusionClaim, proof: readonly Hash[]): boolean {
  const { leafIndex, treeSize } = claim;
  if (!isSize(leafIndex) || !isSize(treeSize) || leafIndex >= treeSize) return false;
  if (![claim.leafHash, claim.root, ...proof].every(isHash)) return false;
  let place = leafIndex;
  let last = treeSize - 1;
  let reached = claim.leafHash;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (place % 2 === 1 || place === last) {
      reached = nodeHash(sibling, reached);
      [place, last] = skipLeftEdge(place, last);
    } else {
      reached = nodeHash(reached, sibling);
    }
    [place, last] = [half(place), half(last)];
  }
  return last === 0 && equal(reached, claim.root);
}

/**
 * Whether the proof shows the claim (RFC 9162, 2.1.4.2).
 *
 * Every log begins with the empty one, and two logs of one size are consistent when their roots are equal: both take
 * an empty proof. Claim and proof may come from anybody: whatever is malformed is false, never an exception.
 */
export function verifyConsistency(claim: ConsistencyClaim, proof: readonly Hash[]): boolean {
  const { fromSize, fromRoot, toSize, toRoot } = claim;
  if (![fromSize, toSize].every(isSize) || fromSize > toSize) return false;
  if (![fromRoot, toRoot, ...proof].every(isHash)) return false;
  if (!fitsEmpty(fromSize, fromRoot) || !fitsEmpty(toSize, toRoot)) return false;
  if (fromSize === 0) return proof.length === 0;
  if (fromSize === toSize) return proof.length === 0 && equal(fromRoot, toRoot);
  const roots = rebuildRoots(fromSize, toSize, isPowerOfTwo(fromSize) ? [fromRoot, ...proof] : proof);
  return roots !== undefined && equal(roots.from, fromRoot) && equal(roots.to, toRoot);
}

/** Whether the root is that of the empty log, where the size says so. */
function fitsEmpty(size: number, root: Hash): boolean {
  return size > 0 || equal(root, rootOf(emptyTree));
}

/** The two roots that the hashes lead to; undefined when their number does not fit the sizes. */
function rebuildRoots(
  fromSize: number,
  toSize: number,
  hashes: readonly Hash[],
): { readonly from: Hash; readonly to: Hash } | undefined {
  const [first, ...others] = hashes;
  if (!first) return undefined;
  let [place, last] = skipRightEdge(fromSize - 1, toSize - 1);
  let from = first;
  let to = first;
  for (const hash of others) {
    if (last === 0) return undefined;
    if (place % 2 === 1 || place === last) {
      from = nodeHash(hash, from);
      to = nodeHash(hash, to);
      [place, last] = skipLeftEdge(place, last);
    } else {
      to = nodeHash(to, hash);
    }
    [place, last] = [half(place), half(last)];
  }
  return last === 0 ? { from, to } : undefined;
}

/** Rises while the place is a right child: there the older tree is a perfect subtree of the newer one. */
function skipRightEdge(place: number, last: number): [number, number] {
  let risen: [number, number] = [place, last];
  while (risen[0] % 2 === 1) risen = [half(risen[0]), half(risen[1])];
  return risen;
}

/** Rises while a node on the right edge has no sibling at its level. */
function skipLeftEdge(place: number, last: number): [number, number] {
  let risen: [number, number] = [place, last];
  while (risen[0] % 2 === 0 && risen[0] !== 0) risen = [half(risen[0]), half(risen[1])];
  return risen;
}

// Shifts would cut sizes to 32 bits.
function half(value: number): number {
  return Math.floor(value / 2);
}

function isPowerOfTwo(size: number): boolean {
  return Number.isInteger(Math.log2(size)) && 2 ** Math.round(Math.log2(size)) === size;
}

function isSize(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isHash(value: Hash): boolean {
  return value.length === 32;
}

function equal(a: Hash, b: Hash): boolean {
  return Buffer.compare(a, b) === 0;
}
