import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';

import { fileKey } from '../format/map-key.ts';
import { encodeRow, type Row } from '../format/row.ts';
import { ArchiveState } from '../tree/state.ts';
import { NodeCache } from '../tree/tree-reader.ts';
import type { PlannedDirectory, PlanSink } from './archive-reader.ts';
import { planRestore } from './plan-restore.ts';

type NamedRow = readonly [directory: number, name: string, row: Row];

const directory = (directoryNumber: number): Row => ({ type: 'directory', directoryNumber, since: 1 });
const gone: Row = { type: 'absent', absence: 'gone' };

/** An archive with a volume at `/` whose directory is number 1, and these rows in commits 1, 2, … */
function stateOf(...commits: readonly (readonly NamedRow[])[]): ArchiveState {
  const state = new ArchiveState(new NodeCache(() => Promise.reject(new Error('there is no tree'))));
  const own = {
    ...directory(1),
    parent: { directoryNumber: 0, name: Buffer.from('disk') },
    mountPoint: Buffer.from('/'),
  };
  const volume: NamedRow[] = [
    [0, 'disk', directory(1)],
    [1, '', own],
  ];
  for (const [index, rows] of commits.entries()) {
    const number = index + 1;
    const puts = [...(index === 0 ? volume : []), ...rows]
      .map(([at, name, row]) => ({ key: fileKey(at, Buffer.from(name), number), value: encodeRow(row) }))
      .toSorted((a, b) => Buffer.compare(a.key, b.key));
    state.apply({
      number,
      sha256: new Uint8Array(32),
      time: { seconds: number, nanoseconds: 0 },
      corrections: [],
      puts,
    });
  }
  return state;
}

/** The paths of what is planned, and what is reported; ends a planning that does not end by itself. */
async function planned(state: ArchiveState, options: { deleted?: boolean; paths?: string[] } = {}) {
  const directories = [''];
  const entries: string[] = [];
  const problems: string[] = [];
  const stop = new AbortController();
  const pathOf = ({ parent, name }: Pick<PlannedDirectory, 'parent' | 'name'>) =>
    `${directories[parent]}/${Buffer.from(name).toString()}`;
  const sink: PlanSink = {
    addDirectory(planned) {
      if (directories.length > 1000) stop.abort();
      return directories.push(pathOf(planned)) - 1;
    },
    describeRoot: () => undefined,
    addEntry: ({ directory, name }) => ({ entry: entries.push(pathOf({ parent: directory, name })), isLink: false }),
    addPiece: () => undefined,
    fail: (_, { code }) => void problems.push(code),
    report: ({ directory, name }, { code }) => void problems.push(`${pathOf({ parent: directory, name })} ${code}`),
  };
  const loader = {
    list: () => Promise.reject(new Error('no list')),
    piece: () => Promise.reject(new Error('no piece')),
  };
  const tools = { reader: state, loader, createSha256: () => createHash('sha256') };
  const { deleted = false, paths = ['/'] } = options;
  const request = {
    paths: paths.map((path) => Buffer.from(path)),
    commit: state.head,
    deleted,
    layout: 'names',
  } as const;
  await planRestore(tools, request, sink, stop.signal);
  return { directories: directories.slice(1).toSorted(), entries: entries.toSorted(), problems: problems.toSorted() };
}

test('a directory that holds itself, or one above it, is entered once and reported', async () => {
  const state = stateOf([
    [1, 'again', directory(1)],
    [1, 'below', directory(2)],
    [2, 'up', directory(1)],
    [2, 'file', { type: 'file' }],
    [1, 'file', { type: 'file' }],
  ]);
  for (const deleted of [false, true]) {
    assert.deepEqual(await planned(state, { deleted }), {
      directories: ['/below'],
      entries: ['/below/file', '/file'],
      problems: ['/again restore.directory_twice', '/below/up restore.directory_twice'],
    });
  }
});

test('directories that hold the next one twice are planned once each, not as often as there are ways to them', async () => {
  const rows = Array.from({ length: 40 }, (_, depth): NamedRow[] => [
    [depth + 1, 'a', directory(depth + 2)],
    [depth + 1, 'b', directory(depth + 2)],
  ]);
  const { directories, problems } = await planned(stateOf(rows.flat()));
  assert.deepEqual([directories.length, problems.length], [40, 40]);
});

test('a directory that was renamed is planned in both places where deleted things are asked for', async () => {
  const state = stateOf(
    [
      [1, 'old', directory(2)],
      [2, 'inside', { type: 'file' }],
    ],
    [
      [1, 'old', gone],
      [1, 'new', directory(2)],
    ],
  );
  const both = await planned(state, { deleted: true });
  assert.deepEqual(both, { directories: ['/new', '/old'], entries: ['/new/inside', '/old/inside'], problems: [] });
  assert.deepEqual((await planned(state)).directories, ['/new']);
});

test('a directory that is asked for by itself and within another is planned for each', async () => {
  const state = stateOf([
    [1, 'outer', directory(2)],
    [2, 'inner', directory(3)],
    [3, 'file', { type: 'file' }],
  ]);
  const { entries, problems } = await planned(state, { paths: ['/outer', '/outer/inner'] });
  assert.deepEqual(entries, ['/inner/file', '/outer/inner/file']);
  assert.deepEqual(problems, []);
});
