import { canonicalJsonBytes } from './canonical-json.ts';
import { appendLeaves, emptyTree, leafHash, memorySource, proveInclusion, rootOf, type Hash } from './merkle-log.ts';
import { verifyInclusion } from './merkle-proof.ts';

/** The newest commit of an archive on some day. */
export type ArchiveHead = {
  readonly archiveId: string;
  readonly commitNumber: number;
  /** SHA-256 of the commit's record, hex. */
  readonly commitSha256: string;
};

/** The leaf of one archive's head in the tree of a day. */
export function archiveHeadHash({ archiveId, commitNumber, commitSha256 }: ArchiveHead): Hash {
  return leafHash(canonicalJsonBytes({ archiveId, commitNumber, commitSha256 }));
}

/** The root over all heads of a day, which are by rising archive id. */
export function archiveHeadsRoot(heads: readonly ArchiveHead[]): Hash {
  return rootOf(appendLeaves(emptyTree, heads.map(archiveHeadHash)).state);
}

/** Proves that a head is the one at that place among those of a day. */
export function proveArchiveHead(heads: readonly ArchiveHead[], place: number): Promise<readonly Hash[]> {
  const { nodes } = appendLeaves(emptyTree, heads.map(archiveHeadHash));
  return proveInclusion(memorySource(nodes), place, heads.length);
}

/** Whether a proof shows that a head stands at that place among so many under that root; false for whatever is malformed. */
export function isArchiveHeadProved(
  head: ArchiveHead,
  claim: { readonly place: number; readonly archives: number; readonly root: Hash },
  proof: readonly Hash[],
): boolean {
  const { place: leafIndex, archives: treeSize, root } = claim;
  return verifyInclusion({ leafHash: archiveHeadHash(head), leafIndex, treeSize, root }, proof);
}
