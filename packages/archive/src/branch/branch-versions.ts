/** What a branch has of files: every version that its commits put, with the folders on the way to it. */
import { keySpaces, parseFileKey } from '../format/map-key.ts';
import { parseRow, type Row, rowTypeOf } from '../format/row.ts';
import type { ArchiveState, CommitFacts } from '../tree/state.ts';

/** A folder on the way to a version; the first is a volume. */
export type BranchFolder = { readonly name: Uint8Array; readonly own: Row };

/** A version of a file, as a commit of a branch put it. */
export type BranchVersion = {
  /** From the root; undefined where the branch does not say where its folder hangs. */
  readonly folders: readonly BranchFolder[] | undefined;
  readonly name: Uint8Array;
  readonly row: Row;
  /** The commit from which it holds. */
  readonly commit: number;
};

const noName = new Uint8Array(0);
/** A path is no deeper than names of a byte each in 16 MiB; a ring of folders has no end. */
const mostFolders = 8192;
const passedOver: readonly string[] = ['directory', 'absent', 'partial'];

/**
 * The versions that commits put, in their order; deletions are none, and folders come with what is in them. `state` is
 * that of the branch's head.
 */
export async function* branchVersions(
  state: ArchiveState,
  commits: AsyncIterable<Pick<CommitFacts, 'number' | 'puts'>>,
): AsyncGenerator<BranchVersion> {
  for await (const { puts } of commits) {
    // A folder may be renamed by the next commit.
    const known = new Map<string, readonly BranchFolder[] | undefined>();
    for (const { key, value } of puts) {
      if (key[0] !== keySpaces.files) continue;
      const { directoryNumber, name, commit } = parseFileKey(key);
      if (name.length === 0 || passedOver.includes(rowTypeOf(value))) continue;
      const place = `${directoryNumber} ${commit}`;
      if (!known.has(place)) known.set(place, await foldersTo(state, directoryNumber, commit));
      yield { folders: known.get(place), name: name.slice(), row: parseRow(value.slice()), commit };
    }
  }
}

/** The folders from the root to a directory, as its own row and those above said at a commit. */
async function foldersTo(
  state: ArchiveState,
  directoryNumber: number,
  commit: number,
): Promise<readonly BranchFolder[] | undefined> {
  const folders: BranchFolder[] = [];
  for (let number = directoryNumber; number !== 0;) {
    const own = await state.rowAt({ directoryNumber: number, since: 0 }, noName, commit);
    const parent = own?.row.parent;
    if (!parent || folders.length >= mostFolders) return undefined;
    folders.push({ name: parent.name.slice(), own: own.row });
    number = parent.directoryNumber;
  }
  return folders.length === 0 ? undefined : folders.toReversed();
}
