/** Lists of backup sets: which sets selected an entry, by rising number. */
import { hash } from 'node:crypto';

const interned = new Map<string, readonly number[]>();
const digests = new WeakMap<readonly number[], number>();

/** The one array of this thread for a list, so that equal lists are told by identity. There are few lists. */
export function internSets(sets: readonly number[]): readonly number[] {
  const key = sets.join();
  let list = interned.get(key);
  if (!list) interned.set(key, (list = sets));
  return list;
}

const ofNoSet: readonly number[] = [0];

/**
 * The sets that need what these selected, as the index keeps them: what no set selected, such as the attributes of a folder
 * on the way, belongs to a set 0, which is bound to no destination and so is at every one.
 */
export function ownersOf(sets: readonly number[]): readonly number[] {
  return sets.length === 0 ? ofNoSet : internSets(sets);
}

/** What tells one list from another in the memory of a directory: 32 bits of its SHA-256. */
export function setsDigestOf(sets: readonly number[]): number {
  let digest = digests.get(sets);
  if (digest === undefined) {
    digest = hash('sha256', sets.join(), 'buffer').readUInt32LE(0);
    digests.set(sets, digest);
  }
  return digest;
}
