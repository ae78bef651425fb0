import type { OwnedRecords } from '../index/block-table.ts';
import type { IndexedDirectory, IndexedLink } from '../index/directory-table.ts';
import type { SeenNames } from '../index/entry-table.ts';
import type { PendingRow } from './commit-writer.ts';
import type { FreshBlocks } from './messages.ts';
import { keyOf } from './partial-rows.ts';

/** What a commit will make true: rows for the archive, and what the index learns with them. */
export type Truths = {
  rows: PendingRow[];
  directories: IndexedDirectory[];
  seen: SeenNames[];
  links: IndexedLink[];
  blocks: FreshBlocks[];
  records: OwnedRecords[];
};

/** Nothing yet. */
export function emptyTruths(): Truths {
  return { rows: [], directories: [], seen: [], links: [], blocks: [], records: [] };
}

/** About what a row takes in a commit, in bytes. */
export function bytesOf({ row, name }: PendingRow): number {
  return row.length + name.length + 32;
}

/** One row a name: the last that was made. */
export function lastOfEach(rows: readonly PendingRow[]): PendingRow[] {
  const last = new Map<string, PendingRow>();
  for (const row of rows) last.set(keyOf(row), row);
  return [...last.values()];
}
