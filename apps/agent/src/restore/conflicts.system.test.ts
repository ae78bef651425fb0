import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { test, type TestContext } from 'node:test';
import { printableName } from '../filesystem/index.ts';
import { removeTree } from '../filesystem/remove-tree.ts';
import { noise, readTree } from './fixtures.ts';
import { RestoringDevice } from './testing.ts';

/** A backed-up tree with a file, a long file, a link and a folder, and a target where others have the names. */
async function conflictScene(t: TestContext) {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  writeFileSync(`${tree}/same.txt`, 'the same');
  writeFileSync(`${tree}/other.txt`, 'recorded');
  symlinkSync('recorded', `${tree}/link`);
  mkdirSync(`${tree}/folder`);
  writeFileSync(`${tree}/folder/inner`, 'inner');
  await device.backup(tree);
  const target = device.newFolder('target');
  writeFileSync(`${target}/same.txt`, 'the same');
  writeFileSync(`${target}/other.txt`, 'mine');
  symlinkSync('mine', `${target}/link`);
  writeFileSync(`${target}/folder`, 'a file in the place of a folder');
  return { device, tree, target };
}

test('renaming keeps what is there and puts what is restored beside it', async (t) => {
  const { device, tree, target } = await conflictScene(t);
  const report = await device.restore(tree, target, { onConflict: 'rename' });
  assert.deepEqual(readTree(target), {
    'same.txt': 'the same',
    'other.txt': 'mine',
    'other (restored).txt': 'recorded',
    link: 'not a file',
    'link (restored)': 'not a file',
    folder: 'a file in the place of a folder',
    'folder (restored)/inner': 'inner',
  });
  assert.equal(readlinkSync(`${target}/link (restored)`), 'recorded');
  const renamed = report.renamed.map(({ path, name }) => `${printableName(path)} → ${printableName(name)}`).toSorted();
  assert.deepEqual(renamed, [
    'folder → folder (restored)',
    'link → link (restored)',
    'other.txt → other (restored).txt',
  ]);
  assert.deepEqual([report.identical, report.renamedCount, report.failedCount], [1, 3, 0]);
  const again = await device.restore(tree, target, { onConflict: 'rename' });
  assert.deepEqual([again.identical, again.restored], [4, 4]);
});

test('overwriting replaces files and links themselves, never what a link leads to', async (t) => {
  const { device, tree, target } = await conflictScene(t);
  writeFileSync(`${target}/mine`, 'where the link leads');
  const report = await device.restore(tree, target, { onConflict: 'overwrite' });
  assert.deepEqual(readTree(target), {
    'same.txt': 'the same',
    'other.txt': 'recorded',
    link: 'not a file',
    mine: 'where the link leads',
    'folder/inner': 'inner',
  });
  assert.equal(readlinkSync(`${target}/link`), 'recorded');
  assert.equal(statSync(`${target}/same.txt`).mtimeMs, statSync(`${tree}/same.txt`).mtimeMs);
  assert.deepEqual([report.renamedCount, report.skipped, report.failedCount], [0, 0, 0]);
});

test('overwriting never removes a folder: the file that has its name fails, and is said', async (t) => {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  writeFileSync(`${tree}/name`, 'a file');
  writeFileSync(`${tree}/next`, 'another');
  await device.backup(tree);
  for (const sync of ['batch', 'end'] as const) {
    const target = device.newFolder(`target ${sync}`);
    mkdirSync(`${target}/name`);
    writeFileSync(`${target}/name/precious`, 'precious');
    const report = await device.restore(tree, target, { onConflict: 'overwrite', sync });
    assert.deepEqual(readTree(target), { 'name/precious': 'precious', next: 'another' });
    assert.deepEqual(
      report.failed.map(({ path, code }) => `${printableName(path)} ${code}`),
      ['name restore.folder_in_the_way'],
    );
  }
});

test('skipping leaves everything that is there, folders of other types with all that was to go into them', async (t) => {
  const { device, tree, target } = await conflictScene(t);
  const before = readTree(target);
  const report = await device.restore(tree, target, { onConflict: 'skip' });
  assert.deepEqual(readTree(target), before);
  assert.deepEqual([report.skipped, report.identical, report.restored, report.failedCount], [3, 1, 1, 0]);
});

test('a long file that changed in the middle is fetched in the middle only', async (t) => {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  const content = noise(16 * 1024 * 1024, 5);
  writeFileSync(`${tree}/long`, content);
  await device.backup(tree);
  const target = device.newFolder('target');
  const changed = Buffer.from(content);
  changed.fill(0, 8_000_000, 8_000_100);
  writeFileSync(`${target}/long`, changed);
  let fetched = 0;
  const counting = {
    name: 'counting',
    append: () => Promise.reject(new Error('a restore does not append')),
    async *read(ordinals: readonly number[]) {
      for await (const record of device.destination.read(ordinals)) {
        fetched += record.length;
        yield record;
      }
    },
  };
  const report = await device.restore(tree, target, { onConflict: 'overwrite', destinations: [counting] });
  assert.equal(report.failedCount, 0);
  assert.ok(readFileSync(`${target}/long`).equals(content));
  assert.ok(fetched > 0 && fetched <= 1_200_000, `${fetched} bytes were fetched`);
});

test('a link planted in the place of a folder is not followed, whatever the policy', async (t) => {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  mkdirSync(`${tree}/folder/deep`, { recursive: true });
  writeFileSync(`${tree}/folder/deep/file`, 'restored');
  await device.backup(tree);
  const outside = device.newFolder('outside');
  for (const [onConflict, landsAt] of [
    ['rename', 'folder (restored)/deep/file'],
    ['overwrite', 'folder/deep/file'],
    ['skip', undefined],
  ] as const) {
    const target = device.newFolder(`target ${onConflict}`);
    symlinkSync(outside, `${target}/folder`);
    const report = await device.restore(tree, target, { onConflict });
    assert.deepEqual(readTree(outside), {});
    assert.equal(report.failedCount, 0);
    assert.equal(existsSync(`${target}/${landsAt ?? 'nothing'}`), landsAt !== undefined);
    assert.equal(lstatSync(`${target}/folder`).isSymbolicLink(), onConflict !== 'overwrite');
  }
});

test('a name the target cannot hold is escaped and told, and the content is there', async (t) => {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  // A name of 255 bytes has no room for a suffix: it is cut, not lost.
  const name = `${'x'.repeat(251)}.txt`;
  writeFileSync(`${tree}/${name}`, 'recorded');
  await device.backup(tree);
  const target = device.newFolder('target');
  writeFileSync(`${target}/${name}`, 'mine');
  const report = await device.restore(tree, target);
  const cut = `${'x'.repeat(240)} (restored).txt`;
  assert.deepEqual(readTree(target), { [name]: 'mine', [cut]: 'recorded' });
  assert.deepEqual(
    report.renamed.map((each) => Buffer.from(each.name).toString()),
    [cut],
  );
});
