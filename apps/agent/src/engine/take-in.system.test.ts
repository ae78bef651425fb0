import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { type BranchContent, type BranchVersion, namesOfPath, type Row, volumeOf, volumesAt } from '@holdfast/archive';
import { newDevice, type TestDevice } from './testing.ts';

const nothing = { onlySets: [], directories: [], workers: 0 };

/** A version that a branch has: a path below the tree, and what it held. */
type Wanted = { readonly at: string; readonly content: string };

/** A device with a tree in which some of the paths are, some were, and some never. */
async function startDevice(t: TestContext) {
  const { device, tree } = newDevice(t);
  device.aheadSeconds = 60;
  mkdirSync(path.join(tree, 'there'));
  writeFileSync(path.join(tree, 'there', 'file'), 'present');
  writeFileSync(path.join(tree, 'file'), 'present, too');
  await device.backup(tree);
  const state = device.state();
  const volumes = await volumesAt(state, state.head);
  const held = volumeOf(volumes, namesOfPath(Buffer.from(tree)))!;
  const names = [held.volume.identifier, ...held.below];
  return { device, tree, names };
}

/** A branch of handmade versions, whose records are text under ordinals that the line has for something else. */
async function branchOf(
  device: TestDevice,
  names: readonly Uint8Array[],
  wanted: readonly Wanted[],
  altered: ReadonlySet<string> = new Set(),
): Promise<BranchContent> {
  const state = device.state();
  const contents = [...new Set(wanted.map(({ content }) => content))];
  const own: Row = { type: 'directory', mode: 0o755, uid: 1, gid: 1, directoryNumber: 77, since: 1 };
  const versions = wanted.map(({ at, content }, place): BranchVersion => {
    const steps = at.split('/').map((step) => Buffer.from(step));
    const [name = Buffer.from('')] = steps.slice(-1);
    const folders = [...names, ...steps.slice(0, -1)].map((step) => ({ name: step, own }));
    const bytes = Buffer.from(content);
    const ordinal = 2 + contents.indexOf(content);
    const extents = [{ ordinal, offset: 0, length: bytes.length, sha256: hash('sha256', bytes, 'buffer') }];
    const streams = [{ kind: 'content', size: bytes.length, extents } as const];
    const modifiedAt = { seconds: 1_000_000 + contents.indexOf(content), nanoseconds: 0 };
    return { folders, name, row: { type: 'file', mode: 0o600, modifiedAt, streams }, commit: place + 1 };
  });
  return {
    state,
    async *versions() {
      yield* versions;
    },
    load: device.load,
    rawOf: async (ordinal) => {
      const content = contents[ordinal - 2]!;
      return Buffer.from(altered.has(content) ? content.toUpperCase() : content);
    },
    since: state.head,
  };
}

/** What a path was, oldest version first, as text. */
async function historyOf(device: TestDevice, names: readonly Uint8Array[], at: string): Promise<string[]> {
  const history = await device.state().history([...names, ...at.split('/').map((step) => Buffer.from(step))]);
  const contents: string[] = [];
  // In a folder that is no more a version shows whenever something else is taken into that.
  const rows = new Map(history.map((version) => [`${version.commit} ${version.directoryNumber}`, version.row]));
  for (const row of rows.values()) {
    contents.push(row.type === 'file' ? Buffer.from(await device.contentOf(row)).toString() : row.type);
  }
  return contents;
}

const paths = ['file', 'there/file', 'there/new', 'gone/file', 'gone/deep/file', 'gone/deep'];

test('whatever versions a branch has, each comes in once and in order, and no older moment and nothing that is there changes', async (t) => {
  const wantedVersions = fc.array(
    fc.record({ at: fc.constantFrom(...paths), content: fc.constantFrom('one', 'two', 'three', 'four') }),
    { minLength: 1, maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(wantedVersions, fc.nat({ max: 6 }), async (wanted, cutAfter) => {
      const { device, tree, names } = await startDevice(t);
      const before = device.index.head().number;
      const known = new Map(
        await Promise.all(paths.map(async (at) => [at, await historyOf(device, names, at)] as const)),
      );
      const moments = await Promise.all(Array.from({ length: before }, (_, place) => device.listing(place + 1)));
      const branch = await branchOf(device, names, wanted);
      device.destination.failFrom = device.destination.fragments + cutAfter;
      const cut = await device.backup(tree, { ...nothing, branch }).catch(() => undefined);
      device.destination.failFrom = Number.POSITIVE_INFINITY;
      if (device.index.unacknowledgedCommit()) device.index.dropUnacknowledged();
      assert.deepEqual(await device.listing(), moments.at(-1), 'what is there after it was cut off');
      const { takenIn } =
        cut ?? (await device.backup(tree, { ...nothing, branch: { ...branch, state: device.state() } }));
      assert.deepEqual([takenIn?.leftCount, takenIn?.left], [0, []]);

      assert.deepEqual(await device.listing(), moments.at(-1), 'what is there now');
      for (const [place, moment] of moments.entries()) assert.deepEqual(await device.listing(place + 1), moment);
      for (const at of paths) {
        const own = known.get(at)!;
        const news = [...new Set(wanted.filter((each) => each.at === at).map(({ content }) => content))];
        const found = (await historyOf(device, names, at)).filter((each) => each !== 'directory');
        // What was a file and a folder by turns comes in several commits, and what is there now comes with each.
        assert.deepEqual(found.slice(0, own.length), own, at);
        assert.deepEqual(
          found.filter((each) => !own.includes(each)),
          news,
          at,
        );
        assert.deepEqual(found.slice(-1), news.length > 0 && own.length === 0 ? news.slice(-1) : own.slice(-1), at);
      }
      const again = await device.backup(tree, { ...nothing, branch: { ...branch, state: device.state() } });
      assert.deepEqual([again.takenIn?.versions, again.takenIn?.storedBytes], [0, 0]);
    }),
    { numRuns: 4, endOnFailure: true },
  );
});

test('what a branch has of a record that is altered is left, named, and everything else comes in', async (t) => {
  const { device, tree, names } = await startDevice(t);
  const wanted = [
    { at: 'file', content: 'whole' },
    { at: 'file', content: 'altered' },
    { at: 'there/new', content: 'altered' },
    { at: 'gone/file', content: 'whole, too' },
  ];
  const branch = await branchOf(device, names, wanted, new Set(['altered']));
  const { takenIn } = await device.backup(tree, { ...nothing, branch });
  assert.equal(takenIn?.versions, 2);
  assert.deepEqual(
    takenIn?.left.map(({ names: left, commit, code }) => [Buffer.from(left.at(-1)!).toString(), commit, code]),
    [
      ['file', 2, 'archive.record_missing'],
      ['new', 3, 'archive.record_missing'],
    ],
  );
  assert.deepEqual(await historyOf(device, names, 'file'), ['present, too', 'whole', 'present, too']);
  assert.deepEqual(await historyOf(device, names, 'gone/file'), ['whole, too']);

  // From a whole copy the rest comes in, too.
  const mended = await device.backup(tree, { ...nothing, branch: await branchOf(device, names, wanted) });
  assert.deepEqual([mended.takenIn?.versions, mended.takenIn?.knownVersions], [2, 2]);
});
