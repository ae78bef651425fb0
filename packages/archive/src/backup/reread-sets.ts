import type { LocalIndex } from '../index/local-index.ts';
import { forgetStates } from './packed-directory.ts';
import { setsDigestOf } from './set-list.ts';

/**
 * Has the files of some backup sets read again by the next pass that looks at them, whatever their times say: what they
 * hold is at no destination that is there.
 */
export function rereadSets(index: LocalIndex, sets: readonly number[]): void {
  const lists = index.setLists().filter((list) => list.some((number) => sets.includes(number)));
  const digests = new Set(lists.map(setsDigestOf));
  index.changeEntries((entries) => forgetStates(entries, (digest) => digests.has(digest)));
}
