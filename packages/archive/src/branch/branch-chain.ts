/** The commits of a branch: from the head of a destination down to where they leave the line. */
import { archiveErrors, corrupt } from '../errors.ts';
import { parseCommitOpen } from '../format/commit.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { splitRecord } from '../format/record.ts';
import { commitsDownwards, type RecordShelf } from '../index/read-head.ts';
import type { CommitName } from '../log/sessions.ts';

/** A commit by where its record lies. */
export type BranchLink = CommitName & { readonly ordinal: Ordinal };

/** A branch by its commits. */
export type BranchChain = {
  /** The newest commit that the branch and the line have in common; undefined where they have none. */
  readonly fork: BranchLink | undefined;
  /** By rising number, the first right behind the fork. */
  readonly links: readonly BranchLink[];
};

/** What following a branch down needs. */
export type ChainPorts = {
  /** Whether a writer of this archive that is known signed the record. */
  readonly isGenuine: (record: Uint8Array) => boolean;
  /** Whether the line has this commit. */
  readonly isOfLine: (commit: CommitName) => Promise<boolean>;
};

/**
 * Follows a head by the hashes of the commits before it, down to the first that the line has. Of each commit only its name
 * is kept, so that a branch may be of any length.
 *
 * @throws archive.record_missing where a commit on the way is not there, or nobody who is known signed it
 */
export async function branchChain(shelf: RecordShelf, head: CommitName, ports: ChainPorts): Promise<BranchChain> {
  const waiting = new Map<string, { readonly link: BranchLink; readonly previous: string }>();
  const links: BranchLink[] = [];
  let next = head.sha256;
  for await (const { number, ordinal, sha256, record } of commitsDownwards(shelf)) {
    if (!ports.isGenuine(record)) continue;
    const { previous } = parseCommitOpen(splitRecord(record).open);
    const link = { number, ordinal, sha256: Buffer.from(sha256).toString('hex') };
    waiting.set(link.sha256, { link, previous: Buffer.from(previous).toString('hex') });
    for (let at = waiting.get(next); at; at = waiting.get(next)) {
      waiting.delete(next);
      const above = links.at(-1);
      if (above && at.link.number !== above.number - 1)
        throw corrupt(`commit ${above.number} follows no commit before`);
      if (await ports.isOfLine(at.link)) return { fork: at.link, links: links.toReversed() };
      links.push(at.link);
      if (at.link.number === 1) return { fork: undefined, links: links.toReversed() };
      next = at.previous;
    }
  }
  throw archiveErrors.record_missing({ what: `commit ${(links.at(-1)?.number ?? head.number + 1) - 1} of a branch` });
}
