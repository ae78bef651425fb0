/** Archives for tests of what a user may see: rows alone, commit by commit. */
import {
  ArchiveState,
  encodeRow,
  fileKey,
  type MapEntry,
  NodeCache,
  type RestoreReader,
  type Row,
} from '@holdfast/archive';

/** One name at one commit: in which directory, and what it is. */
export type TestRow = readonly [directory: number, name: string, row: Row];

/** A state whose commit number n puts the n-th list of rows. */
export function stateOf(...commits: readonly (readonly TestRow[])[]): ArchiveState {
  const load = () => Promise.reject(new Error('the archive has no tree yet'));
  const state = new ArchiveState(new NodeCache(load));
  for (const [index, rows] of commits.entries()) {
    const number = index + 1;
    const puts = rows
      .map(([directory, name, row]): MapEntry => ({
        key: fileKey(directory, Buffer.from(name), number),
        value: encodeRow(row),
      }))
      .toSorted((a, b) => Buffer.compare(a.key, b.key));
    const time = { seconds: number * 60, nanoseconds: 0 };
    state.apply({ number, sha256: new Uint8Array(32), time, corrections: [], puts });
  }
  return state;
}

/** Who owns a row, and its mode. */
export type TestOwner = Pick<Row, 'mode' | 'uid' | 'gid' | 'userName' | 'groupName' | 'mountPoint'>;

/** A directory with its own row; `mountPoint` makes it a volume of the root. */
export function folder(parent: number, name: string, number: number, owner: TestOwner & { since?: number }): TestRow[] {
  const { since = 1, ...own } = owner;
  const parentName = { directoryNumber: parent, name: Buffer.from(name) };
  return [
    [parent, name, { type: 'directory', directoryNumber: number, since }],
    [number, '', { type: 'directory', directoryNumber: number, since, parent: parentName, ...own }],
  ];
}

/** An empty file. */
export function file(directory: number, name: string, owner: TestOwner): TestRow {
  return [directory, name, { type: 'file', ...owner }];
}

/** What a listing gives, by rising path. */
export async function pathsOf(
  entries: AsyncIterable<{ path: string }> | Iterable<{ path: string }>,
): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path } of entries) paths.push(path);
  return paths.toSorted();
}

/** Everything at its newest commit, as somebody may see it. */
export function newest(reader: RestoreReader): { commit: number; deleted: boolean; signal: AbortSignal } {
  return { commit: reader.head, deleted: false, signal: new AbortController().signal };
}
