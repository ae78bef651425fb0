import type { Ordinal } from '@holdfast/archive';
import type { DestinationSession } from '../destinations/destination-place.ts';
import type { KnownBranch } from './branch-book.ts';

/**
 * A destination to take records of the line from, without what it has of branches: those stay where they are, under ordinals
 * that are theirs alone.
 */
export function withoutBranches(session: DestinationSession, branches: readonly KnownBranch[]): DestinationSession {
  if (branches.length === 0) return session;
  return {
    name: session.name,
    head: session.head,
    keyringNumber: session.keyringNumber,
    append: (fragment) => session.append(fragment),
    read: (ordinals, signal) => session.read(ordinals, signal),
    highestSequence: (writerNumber) => session.highestSequence(writerNumber),
    close: () => session.close(),
    async *list(kind) {
      for await (const listed of session.list(kind))
        if (!branches.some((each) => isOf(each, listed.ordinal))) yield listed;
    },
  };
}

/** All records that the line needs were reserved before the commit where it forked, or are of later writers. */
function isOf({ fork, lineFrom }: KnownBranch, ordinal: Ordinal): boolean {
  return ordinal > (fork?.ordinal ?? 1) && ordinal < lineFrom;
}
