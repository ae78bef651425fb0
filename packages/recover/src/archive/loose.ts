import { RecoverError } from '../errors.ts';
import { kinds } from '../format/record.ts';
import { type Entry, readTreeNode } from '../format/tree.ts';
import type { CommitLog } from './commits.ts';
import { quietly } from './quietly.ts';
import { EntryList, type EntrySource } from './name-map.ts';
import type { RecordReader } from './record-reader.ts';
import type { Shelf } from './shelf.ts';

const LOOSE_ENTRIES = 8_000_000;

/**
 * Everything the leaves and commits that can be opened say, without proof that nothing is missing (§14.6).
 *
 * Of a key that several leaves hold the newest record counts; commits count above leaves.
 * @throws archive.too_large past eight million keys
 */
export function gatherLoose(shelf: Shelf, reader: RecordReader, log: CommitLog): EntrySource {
  const newest = new Map<string, Entry & { readonly ordinal: number }>();
  for (const place of shelf.index.ofKinds([kinds.tree])) {
    const frame = shelf.read(place);
    const raw = frame === undefined ? undefined : reader.open(frame);
    if (raw === undefined || raw === 'locked') continue;
    const node = quietly(() => readTreeNode(raw.bytes));
    if (node === undefined || !('entries' in node)) continue;
    for (const entry of node.entries)
      keepNewest(newest, { key: entry.key, value: Buffer.from(entry.value), ordinal: place.ordinal });
  }
  const puts = log.notes.toReversed().flatMap((note) => {
    const commit = log.open(note);
    return typeof commit === 'string' ? [] : commit.puts;
  });
  return new EntryList([...newest.values(), ...puts]);
}

function keepNewest(
  newest: Map<string, Entry & { readonly ordinal: number }>,
  entry: Entry & { readonly ordinal: number },
): void {
  const name = entry.key.toString('latin1');
  const before = newest.get(name);
  if (before === undefined && newest.size >= LOOSE_ENTRIES)
    throw new RecoverError('archive.too_large', { keys: newest.size });
  if (before === undefined || before.ordinal < entry.ordinal) newest.set(name, entry);
}
