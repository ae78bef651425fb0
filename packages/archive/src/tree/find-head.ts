import { compareBytes } from '../format/cursor.ts';
import { compareTimes, type Time } from '../format/time.ts';
import type { Ordinal } from '../format/ordinal.ts';

/** A commit record whose signature is that of the writer it names, seen from outside. */
export type CommitCandidate = {
  readonly ordinal: Ordinal;
  readonly number: number;
  /** SHA-256 of the whole record. */
  readonly sha256: Uint8Array;
  readonly previous: Uint8Array;
  readonly checkpoint: number;
  /** Key epoch of its sealed part. */
  readonly epoch: number;
  /** Its writer is the one whose commits of this number count. */
  readonly isRightful: boolean;
};

/** The line of commits that counts, and what lies beside it. */
export type FoundHead = {
  /** From the checkpoint (or the first commit) to the head, by rising number. */
  readonly chain: readonly CommitCandidate[];
  /** Below the checkpoint, as far down as there are records. */
  readonly older: readonly CommitCandidate[];
  /** Everything else: branches, commits behind a gap, and older ones that the caller finds in space 2 or not. */
  readonly others: readonly CommitCandidate[];
};

/**
 * Finds the head: the newest rightful commit whose line of predecessors reaches its checkpoint without a gap.
 *
 * Of several with one number the later time counts, then the smaller SHA-256; `timeOf` is asked only then.
 */
export async function findHead(
  candidates: readonly CommitCandidate[],
  timeOf: (candidate: CommitCandidate) => Promise<Time | undefined>,
): Promise<FoundHead | undefined> {
  const byHash = new Map(candidates.map((candidate) => [candidate.sha256.toHex(), candidate]));
  const rightful = [...byHash.values()].filter(({ isRightful }) => isRightful);
  const heads = newestWhole(rightful, byHash);
  const head = heads.length > 1 ? await latestOf(heads, timeOf) : heads[0];
  if (head === undefined) return undefined;
  const chain = chainOf(head, byHash);
  const older = olderThan(chain[0]!, byHash);
  const inLine = new Set([...chain, ...older]);
  return { chain, older, others: [...byHash.values()].filter((candidate) => !inLine.has(candidate)) };
}

/** The commits of the greatest number that has any whose line is whole. */
function newestWhole(
  rightful: readonly CommitCandidate[],
  byHash: ReadonlyMap<string, CommitCandidate>,
): CommitCandidate[] {
  const heads: CommitCandidate[] = [];
  for (const candidate of rightful.toSorted((a, b) => b.number - a.number)) {
    if (heads[0] !== undefined && candidate.number < heads[0].number) break;
    if (chainOf(candidate, byHash).length > 0) heads.push(candidate);
  }
  return heads;
}

/** From the checkpoint of `head` to it, by rising number; empty when there is a gap. */
function chainOf(head: CommitCandidate, byHash: ReadonlyMap<string, CommitCandidate>): CommitCandidate[] {
  const end = Math.max(1, head.checkpoint);
  const chain = [head];
  for (let at = head; at.number > end;) {
    const before = byHash.get(at.previous.toHex());
    if (before === undefined || !before.isRightful || before.number !== at.number - 1) return [];
    chain.push(before);
    at = before;
  }
  return chain.toReversed();
}

function olderThan(first: CommitCandidate, byHash: ReadonlyMap<string, CommitCandidate>): CommitCandidate[] {
  const older: CommitCandidate[] = [];
  for (let at = byHash.get(first.previous.toHex()); at !== undefined; at = byHash.get(at.previous.toHex())) {
    if (at.number !== (older.at(-1) ?? first).number - 1) break;
    older.push(at);
  }
  return older.toReversed();
}

async function latestOf(
  heads: readonly CommitCandidate[],
  timeOf: (candidate: CommitCandidate) => Promise<Time | undefined>,
): Promise<CommitCandidate | undefined> {
  const timed = await Promise.all(heads.map(async (head) => ({ head, time: await timeOf(head) })));
  const readable = timed.flatMap(({ head, time }) => (time === undefined ? [] : [{ head, time }]));
  const ordered = readable.toSorted(
    (a, b) => compareTimes(b.time, a.time) || compareBytes(a.head.sha256, b.head.sha256),
  );
  return ordered[0]?.head;
}
