import assert from 'node:assert/strict';
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { SyncPolicy } from '@holdfast/archive';
import { compareTrees } from '../filesystem/compare-trees.ts';
import { removeTree } from '../filesystem/remove-tree.ts';
import { makeTortureTree } from '../filesystem/torture-tree.ts';
import { noise, readTree } from './fixtures.ts';
import { RestoringDevice } from './testing.ts';

const isRoot = process.getuid?.() === 0;

for (const sync of ['batch', 'file', 'end'] satisfies SyncPolicy[]) {
  test(`a tree of every type and name comes back the same with sync by ${sync}`, async (t) => {
    const device = new RestoringDevice();
    t.after(() => removeTree(device.folder));
    const tree = device.newFolder('tree');
    makeTortureTree(tree, { sparseBytes: 16 * 1024 * 1024 });
    await device.backup(tree);
    const target = device.newFolder('target');
    const report = await device.restore(tree, target, { sync });
    assert.deepEqual([report.failed, report.problems], [[], []]);
    const differences = compareTrees(tree, target, isRoot ? {} : { except: ['owner'] });
    assert.deepEqual(differences, []);
    assert.equal(report.renamedCount + report.skipped + report.identical, 0);
    assert.equal(report.notes.ownersNotSet + report.notes.modesNotSet + report.notes.timesNotSet, 0);
  });
}

test('a restore into a tree that is whole fetches nothing and changes nothing', async (t) => {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  makeTortureTree(tree, { sparseBytes: 4 * 1024 * 1024 });
  await device.backup(tree);
  const target = device.newFolder('target');
  await device.restore(tree, target);
  const before = compareTrees(tree, target);
  const fetched: number[] = [];
  const counting = {
    name: 'counting',
    append: () => Promise.reject(new Error('a restore does not append')),
    read: (ordinals: readonly number[]) => {
      fetched.push(...ordinals);
      return device.destination.read(ordinals);
    },
  };
  const plan = await device.plan(tree);
  const report = await device.restore(tree, target, { plan, destinations: [counting] });
  assert.deepEqual([report.failed, report.skipped], [[], 0]);
  assert.deepEqual(report.renamed, []);
  assert.deepEqual(fetched, []);
  assert.deepEqual(compareTrees(tree, target), before);
});

test('each commit gives what was there then, and what was deleted comes back on request', async (t) => {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  mkdirSync(`${tree}/kept`);
  mkdirSync(`${tree}/gone`);
  writeFileSync(`${tree}/kept/file`, 'first');
  writeFileSync(`${tree}/kept/lost`, 'lost');
  writeFileSync(`${tree}/gone/inner`, 'inner');
  const first = (await device.backup(tree)).head;
  writeFileSync(`${tree}/kept/file`, 'second');
  rmSync(`${tree}/kept/lost`);
  rmSync(`${tree}/gone`, { recursive: true });
  const second = (await device.backup(tree)).head;
  const restored = async (name: string, more: object) => {
    const target = device.newFolder(name);
    await device.restore(tree, target, more);
    return readTree(target);
  };
  const asFirst = { 'gone/inner': 'inner', 'kept/file': 'first', 'kept/lost': 'lost' };
  assert.deepEqual(await restored('at first', { commit: first }), asFirst);
  assert.deepEqual(await restored('at second', { commit: second }), { 'kept/file': 'second' });
  assert.deepEqual(await restored('deleted', { deleted: true }), { ...asFirst, 'kept/file': 'second' });
  const target = device.newFolder('one deleted');
  await device.restore(`${tree}/gone/inner`, target, { deleted: true, layout: 'names' });
  assert.deepEqual(readTree(target), { inner: 'inner' });
  await assert.rejects(device.plan(`${tree}/gone/inner`), { code: 'restore.not_found' });
});

test('paths keep their last names or their whole paths, and two of one name do not meet', async (t) => {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  for (const name of ['a', 'b']) {
    mkdirSync(`${tree}/${name}/same`, { recursive: true });
    writeFileSync(`${tree}/${name}/same/file`, name);
  }
  await device.backup(tree);
  const paths = [`${tree}/a/same`, `${tree}/b/same`];
  const target = device.newFolder('names');
  await device.restore(paths, target, { layout: 'names' });
  assert.deepEqual(readTree(target), { 'same/file': 'a', 'same (restored)/file': 'b' });
  const whole = device.newFolder('paths');
  await device.restore([...paths, tree], whole, { layout: 'paths' });
  const below = tree.slice(1);
  assert.deepEqual(readTree(whole), { [`${below}/a/same/file`]: 'a', [`${below}/b/same/file`]: 'b' });
  assert.equal(statSync(`${whole}/${below}/a`).mode, statSync(`${tree}/a`).mode);
  for (const path of ['relative', `${tree}/../x`, `${tree}//a`, `${tree}/./a`]) {
    await assert.rejects(device.plan(path), { code: 'restore.invalid_path' });
  }
  await assert.rejects(device.plan('/', { commit: 9999 }), { code: 'restore.invalid_commit' });
});

test('a plan says what it comes to before anything is written', async (t) => {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  mkdirSync(`${tree}/folder`);
  writeFileSync(`${tree}/folder/small`, 'small');
  writeFileSync(`${tree}/large`, noise(3_000_000, 1));
  linkSync(`${tree}/large`, `${tree}/folder/large too`);
  await device.backup(tree);
  const plan = await device.plan(tree);
  t.after(() => plan.close());
  const summary = plan.summary();
  assert.deepEqual(
    [summary.directories, summary.files, summary.links, summary.totalBytes, summary.damaged],
    [1, 3, 1, 3_000_005, 0],
  );
  const lines = [...plan.lines()].map(
    ({ path, type, sizeBytes }) => `${type} ${Buffer.from(path).toString()} ${sizeBytes}`,
  );
  assert.deepEqual(lines.toSorted(), [
    'directory folder 0',
    'file folder/large too 3000000',
    'file folder/small 5',
    'file large 3000000',
  ]);
  assert.equal(readFileSync(`${tree}/folder/small`, 'utf8'), 'small');
});
