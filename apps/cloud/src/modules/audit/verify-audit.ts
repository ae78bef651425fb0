import { CodedError } from '@holdfast/base';
import {
  appendLeaf,
  emptyTree,
  leafHash,
  openCheckpoint,
  parseVerifierKey,
  rootOf,
  type Checkpoint,
  type TreeState,
} from '@holdfast/trust';

/** An entry as it was exported: its place and the exact text its leaf is the hash of. */
export type LoggedEntry = { readonly logIndex: number; readonly entry: string };

/** What is wrong with a log, and where. */
export type AuditProblem =
  /** An entry stands where another place was due: one was removed, or two were exchanged. */
  | { readonly kind: 'out_of_order'; readonly expectedIndex: number; readonly foundIndex: number }
  /** The entries up to a head are not those it was signed over; they agreed with the head before, of `sinceSize`. */
  | { readonly kind: 'altered'; readonly sinceSize: number; readonly treeSize: number }
  /** A head covers more entries than there are. */
  | { readonly kind: 'truncated'; readonly found: number; readonly treeSize: number }
  /** A head is not signed by the key it should be, or belongs to another log. */
  | { readonly kind: 'bad_head'; readonly reason: string };

/** The result of checking a log: no problem means that every head given vouches for the entries it covers. */
export type AuditVerdict = {
  readonly problems: readonly AuditProblem[];
  readonly treeSize: number;
  /** Entries that a good head covers; those after it nobody has vouched for. */
  readonly vouchedFor: number;
};

/**
 * Checks entries of a log against heads that were kept outside of it: alteration, removal, reordering, truncation, and
 * a log recomputed to look whole are all found, for the entries the newest head covers.
 *
 * `verifier` must come from outside, too, such as from enrolment. Needs no database.
 */
export async function verifyAuditLog(input: {
  readonly entries: AsyncIterable<LoggedEntry> | Iterable<LoggedEntry>;
  readonly notes: readonly string[];
  readonly origin: string;
  readonly verifier: string;
}): Promise<AuditVerdict> {
  const { heads, problems } = openHeads(input.notes, input.origin, input.verifier);
  const check: Check = { heads: heads.toSorted((a, b) => a.treeSize - b.treeSize), problems, goodSize: 0 };
  let tree = emptyTree;
  checkHeads(check, tree);
  for await (const { logIndex, entry } of input.entries) {
    if (logIndex !== tree.size) {
      problems.push({ kind: 'out_of_order', expectedIndex: tree.size, foundIndex: logIndex });
      return { problems, treeSize: tree.size, vouchedFor: check.goodSize };
    }
    tree = appendLeaf(tree, leafHash(new TextEncoder().encode(entry))).state;
    checkHeads(check, tree);
  }
  for (const { treeSize } of check.heads) problems.push({ kind: 'truncated', found: tree.size, treeSize });
  return { problems, treeSize: tree.size, vouchedFor: check.goodSize };
}

type Check = { readonly heads: Checkpoint[]; readonly problems: AuditProblem[]; goodSize: number };

/** Compares the heads of exactly this size, and takes them off the list. */
function checkHeads(check: Check, tree: TreeState): void {
  while (check.heads[0]?.treeSize === tree.size) {
    const head = check.heads.shift()!;
    if (Buffer.compare(head.root, rootOf(tree)) === 0) check.goodSize = tree.size;
    else check.problems.push({ kind: 'altered', sinceSize: check.goodSize, treeSize: tree.size });
  }
}

function openHeads(notes: readonly string[], origin: string, verifier: string) {
  const heads: Checkpoint[] = [];
  const problems: AuditProblem[] = [];
  for (const note of notes) {
    try {
      heads.push(openCheckpoint(note, origin, [parseVerifierKey(verifier)]));
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      problems.push({ kind: 'bad_head', reason: error.code });
    }
  }
  return { heads, problems };
}
