/** Giving a whole entry its name, by the policy for names that are taken. */
import { restoreErrors } from './errors.ts';
import type { ConflictPolicy, EntryResult } from './messages.ts';
import { escapedName, restoredName } from './restored-name.ts';
import type { Target, TargetPlace } from './target.ts';

/** How many `(restored N)` names are tried. */
const mostAttempts = 10_000;

/** What became of a temporary name; it is gone afterwards unless placing failed. */
export type Placement = Pick<EntryResult, 'status' | 'name' | 'code' | 'message'>;

/** Renames a temporary entry to its name, or to the one the policy gives. */
export function placeEntry(target: Target, from: TargetPlace, name: Uint8Array, policy: ConflictPolicy): Placement {
  const placed = placeAs(target, from, name, policy);
  const outcome = placed ?? placeAs(target, from, escapedName(name), policy);
  if (outcome !== undefined) return outcome;
  target.remove(from.directoryFd, from.name);
  return failureOf(restoreErrors.unusable_name());
}

/** The name that an inode has among those that `placeEntry` may have given. */
export function findPlaced(
  target: Target,
  directoryFd: number,
  name: Uint8Array,
  inode: bigint,
): Uint8Array | undefined {
  for (const base of [name, escapedName(name)]) {
    for (let attempt = 0; attempt <= mostAttempts; attempt++) {
      const candidate = attempt === 0 ? base : restoredName(base, attempt);
      const found = target.statAt(directoryFd, candidate);
      if (found === undefined) break;
      if (found.inode === inode) return candidate;
    }
  }
  return undefined;
}

/** The result of an entry that cannot be restored. */
export function failureOf(error: { readonly code: string; readonly message: string }): Placement {
  return { status: 'failed', code: error.code, message: error.message };
}

/** Undefined where the target cannot hold the name. */
function placeAs(target: Target, from: TargetPlace, name: Uint8Array, policy: ConflictPolicy): Placement | undefined {
  const { directoryFd } = from;
  const outcome = target.rename(from, { directoryFd, name }, policy === 'overwrite' ? 'replace' : 'keep');
  if (outcome === 'bad_name') return undefined;
  if (outcome === 'done') return { status: 'placed', name };
  if (policy === 'rename') return placeBeside(target, from, name);
  target.remove(directoryFd, from.name);
  return policy === 'skip' ? { status: 'skipped' } : failureOf(restoreErrors.folder_in_the_way());
}

function placeBeside(target: Target, from: TargetPlace, name: Uint8Array): Placement {
  for (let attempt = 1; attempt <= mostAttempts; attempt++) {
    const beside = restoredName(name, attempt);
    const outcome = target.rename(from, { directoryFd: from.directoryFd, name: beside }, 'keep');
    if (outcome === 'done') return { status: 'placed', name: beside };
    if (outcome === 'bad_name') break;
  }
  target.remove(from.directoryFd, from.name);
  return failureOf(restoreErrors.unusable_name());
}
