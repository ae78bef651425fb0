import { canonicalJsonBytes } from './canonical-json.ts';
import { appendLeaves, emptyTree, leafHash, memorySource, proveInclusion, rootOf, type Hash } from './merkle-log.ts';
import { verifyInclusion } from './merkle-proof.ts';

/** An escrow slot of a keyring that a run of the canary tries: that it opens, and nothing of what it opens. */
export type EscrowTry = {
  readonly archiveId: string;
  /** Hex. */
  readonly slotId: string;
  /** Of the whole record, hex. */
  readonly keyringSha256: string;
};

/** The leaf of one slot in the tree of a run. */
export function escrowTryHash({ archiveId, slotId, keyringSha256 }: EscrowTry): Hash {
  return leafHash(canonicalJsonBytes({ archiveId, slotId, keyringSha256 }));
}

/** The root over all slots of a run, in the order in which they are tried. */
export function escrowTriesRoot(tries: readonly EscrowTry[]): Hash {
  return rootOf(appendLeaves(emptyTree, tries.map(escrowTryHash)).state);
}

/** Proves of places among the slots of a run which slots are there. */
export type ProveEscrowTries = (places: readonly number[]) => Promise<readonly (readonly Hash[])[]>;

/** Works out the tree of a run, once for all that is to be proved of it. */
export function proverOfEscrowTries(tries: readonly EscrowTry[]): ProveEscrowTries {
  const source = memorySource(appendLeaves(emptyTree, tries.map(escrowTryHash)).nodes);
  return (places) => Promise.all(places.map((place) => proveInclusion(source, place, tries.length)));
}

/** Proves that a slot is the one at that place among those of a run. */
export async function proveEscrowTry(tries: readonly EscrowTry[], place: number): Promise<readonly Hash[]> {
  const [proof] = await proverOfEscrowTries(tries)([place]);
  return proof!;
}

/** Whether a proof shows that a slot stands at that place among so many under that root; false for whatever is malformed. */
export function isEscrowTryProved(
  one: EscrowTry,
  claim: { readonly place: number; readonly slots: number; readonly root: Hash },
  proof: readonly Hash[],
): boolean {
  const { place: leafIndex, slots: treeSize, root } = claim;
  return verifyInclusion({ leafHash: escrowTryHash(one), leafIndex, treeSize, root }, proof);
}
