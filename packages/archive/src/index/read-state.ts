import { hash } from 'node:crypto';
import { parseCommitOpen, parseCommitSealed } from '../format/commit.ts';
import type { Reference } from '../format/extent.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { type OpenKeys, openRecordSync } from '../format/seal.node.ts';
import { archiveErrors } from '../errors.ts';
import { type CommitFacts, ArchiveState } from '../tree/state.ts';
import { type LoadRecord, NodeCache } from '../tree/tree-reader.ts';
import type { LocalIndex } from './local-index.ts';

/** The newest acknowledged state, from what the index keeps; nodes it does not keep are loaded. */
export function readState(index: LocalIndex, keys: OpenKeys, load: LoadRecord): ArchiveState {
  const { checkpoint, root } = index.head();
  const cache = new NodeCache(async (reference) => index.node(reference.ordinal) ?? load(reference));
  const commits = index.commitsAfter(checkpoint - 1).map((commit) => factsOf(commit.record, keys));
  const first = commits[0];
  if (!root) return applyAll(new ArchiveState(cache), commits);
  if (first?.number !== checkpoint) throw archiveErrors.corrupt({ what: `commit ${checkpoint} is not kept` });
  return applyAll(new ArchiveState(cache, { checkpoint: first, root }), commits.slice(1));
}

/** Opens a commit record to what it adds to the state; a checkpoint has a root. */
export function factsOf(
  record: Uint8Array,
  keys: OpenKeys,
): CommitFacts & { readonly root?: Reference; readonly keyLogHead?: string } {
  const { open, raw } = openRecordSync(record, keys);
  return { ...parseCommitSealed(raw), number: parseCommitOpen(open).number, sha256: hash('sha256', record, 'buffer') };
}

/** Makes a loader of raw records over a destination's reading. @throws archive.record_missing */
export function loaderOf(
  read: (ordinals: readonly Ordinal[]) => AsyncIterable<Uint8Array>,
  keys: OpenKeys,
): LoadRecord {
  return async (reference: Reference) => {
    for await (const record of read([reference.ordinal])) {
      const { raw, sha256 } = openRecordSync(record, keys);
      if (Buffer.compare(sha256, reference.sha256) === 0) return raw;
    }
    throw archiveErrors.record_missing({ ordinal: reference.ordinal });
  };
}

function applyAll(state: ArchiveState, commits: readonly CommitFacts[]): ArchiveState {
  for (const commit of commits) state.apply(commit);
  return state;
}
