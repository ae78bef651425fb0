/** The entries of a directory with those that were deleted, each as it was last. */
import { equalBytes } from '../format/cursor.ts';
import { directoryStart, parseFileKey } from '../format/map-key.ts';
import { parseRow, type Row } from '../format/row.ts';
import type { DirectoryPlace } from '../tree/state.ts';
import type { RestoreReader } from './archive-reader.ts';

/** An entry, or what it was. A deleted directory is to be read as it was at `commit`. */
export type LastEntry = {
  readonly name: Uint8Array;
  readonly row: Row;
  readonly commit: number;
  readonly isDeleted: boolean;
};

/**
 * What has or had a name in a directory at a commit, by rising name: of a name that is gone, the last row before that.
 * What an earlier directory of the same number held, before it was deleted and came back, counts as deleted.
 */
export async function* listWithDeleted(
  reader: RestoreReader,
  place: DirectoryPlace,
  commit: number,
): AsyncGenerator<LastEntry> {
  let open: NameHistory | undefined;
  const { directoryNumber } = place;
  const rows = reader.range(directoryStart(directoryNumber), directoryStart(directoryNumber + 1));
  for await (const { key, value } of rows) {
    const found = parseFileKey(key);
    if (found.name.length === 0 || found.commit > commit) continue;
    if (open === undefined || !equalBytes(open.name, found.name)) {
      if (open) yield* entryOf(open, place, commit);
      open = { name: found.name, isGone: false };
    }
    takeRow(open, parseRow(value), found.commit);
  }
  if (open) yield* entryOf(open, place, commit);
}

type NameHistory = {
  readonly name: Uint8Array;
  /** The last row that said what it is. */
  last?: { readonly row: Row; readonly commit: number };
  /** The row after that says that it is gone, since this commit. */
  isGone: boolean;
  goneAt?: number;
};

function takeRow(open: NameHistory, row: Row, commit: number): void {
  if (row.type === 'partial') return;
  if (row.type !== 'absent') {
    open.last = { row, commit };
    open.isGone = false;
    return;
  }
  if (!open.isGone) open.goneAt = commit;
  open.isGone = true;
}

function* entryOf({ name, last, isGone, goneAt }: NameHistory, place: DirectoryPlace, commit: number) {
  if (last === undefined) return;
  const isThere = !isGone && last.commit >= place.since;
  if (isThere) yield { name, row: last.row, commit, isDeleted: false };
  // Of a directory that went with an older one above it, only the moment it was last written is known.
  else yield { name, row: last.row, commit: isGone ? goneAt! - 1 : place.since - 1, isDeleted: true };
}
