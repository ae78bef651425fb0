import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareTrees } from '../filesystem/compare-trees.ts';
import { removeTree } from '../filesystem/remove-tree.ts';
import { makeTortureTree } from '../filesystem/torture-tree.ts';
import type { SyncPolicy } from '@holdfast/archive';
import { RestoringDevice } from './testing.ts';

const isRoot = process.getuid?.() === 0;

for (const sync of ['batch', 'file', 'end'] satisfies SyncPolicy[]) {
  test(`a tree of every type and name comes back the same with sync by ${sync}`, async (t) => {
    const device = new RestoringDevice();
    t.after(() => removeTree(device.folder));
    const tree = device.newFolder('tree');
    makeTortureTree(tree);
    await device.backup(tree);
    const target = device.newFolder('target');
    const report = await device.restore(tree, target, { sync });
    assert.deepEqual(report.failed, []);
    assert.deepEqual(report.problems, []);
    assert.deepEqual(compareTrees(tree, target, isRoot ? {} : { except: ['owner'] }), []);
    assert.equal(report.renamedCount + report.skipped + report.identical, 0);
  });
}
