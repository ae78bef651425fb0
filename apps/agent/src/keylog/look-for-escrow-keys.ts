import { ownKeyLogRoutes } from '@holdfast/contract';
import { emptyTree, openCheckpoint, parseVerifierKey, subject } from '@holdfast/trust';
import type { PinnedLog } from './key-log-book.ts';
import { type GivenEscrowKeys, judgeEscrowKeys } from './learn.ts';
import { readLeaves, type ReadLeavesOptions } from './read-leaves.ts';

/** More leaves are not read before there is an archive: what follows the log then finds them. */
const MOST_LEAVES = 100_000;

/**
 * Looks for the leaf of a computer's escrow keys in the whole key log, before it has an archive or a book of the log.
 *
 * Returns the signed head up to which the log has it and no other keys of that number; undefined where it has not. The head
 * has to be told to the book, or a server could show another log afterwards. @throws what asking the server and reading leaves throw
 */
export async function lookForEscrowKeys(
  options: Pick<ReadLeavesOptions, 'client' | 'signal'>,
  { origin, verifier }: PinnedLog,
  given: GivenEscrowKeys,
): Promise<string | undefined> {
  const { note } = await options.client.call(ownKeyLogRoutes.head, { signal: options.signal });
  const to = openCheckpoint(note, origin, [parseVerifierKey(verifier)]);
  if (to.treeSize > MOST_LEAVES) return undefined;
  const stretch = { from: emptyTree, to, known: 0, keptText: 0, shown: [] };
  const { pages } = await readLeaves({ ...options, subjects: [subject.everyone], onPage: () => undefined }, stretch);
  return judgeEscrowKeys(undefined, pages, given).status === 'logged' ? note : undefined;
}
