import assert from 'node:assert/strict';
import { closeSync, fstatSync, lstatSync, openSync, readdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { encodeRow, RestorePlan, type Row } from '@holdfast/archive';
import { nameBytes, printableName } from '../filesystem/index.ts';
import { removeTree } from '../filesystem/remove-tree.ts';
import { RestoringDevice } from './testing.ts';

/** What no backup of this machine makes, but an archive may hold. */
function emptyPlan(t: TestContext): { device: RestoringDevice; plan: RestorePlan; target: string } {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const { plan } = RestorePlan.open(device.newPlanPath(), 'by hand');
  return { device, plan, target: device.newFolder('target') };
}

const types = ['file', 'directory', 'symlink', 'fifo'] as const;

function addEntry(
  plan: RestorePlan,
  at: readonly [directory: number, name: string],
  row: Row,
  linkGroup?: number,
): number {
  const [directory, name] = at;
  const link = linkGroup === undefined ? {} : { linkGroup, linkKey: Uint8Array.of(types.indexOf(row.type as 'file')) };
  const entry = {
    directory,
    name: nameBytes(name),
    type: types.indexOf(row.type as 'file'),
    row: encodeRow(row),
    xattrs: new Uint8Array(0),
    sizeBytes: 0,
    isFuzzy: false,
  };
  return plan.addEntry({ ...entry, ...link }).entry;
}

function addFolder(plan: RestorePlan, parent: number, name: string): number {
  const row = encodeRow({ type: 'directory', mode: 0o755 });
  return plan.addDirectory({ parent, name: nameBytes(name), row, xattrs: new Uint8Array(0) });
}

test('names of more than 255 bytes are cut and told, of files and of folders', async (t) => {
  const { device, plan, target } = emptyPlan(t);
  const folder = addFolder(plan, 0, 'f'.repeat(700));
  addEntry(plan, [folder, `${'n'.repeat(300)}1`], { type: 'file', mode: 0o600 });
  addEntry(plan, [folder, `${'n'.repeat(300)}2`], { type: 'symlink', target: nameBytes('there') });
  plan.complete();
  const report = await device.restore([], target, { plan, sync: 'batch' });
  assert.deepEqual([report.failedCount, report.restored, report.directories, report.renamedCount], [0, 2, 1, 3]);
  const cut = readdirSync(target)[0] ?? 'nothing';
  assert.match(cut, /^f+~[0-9a-f]{8}$/);
  const names = readdirSync(`${target}/${cut}`);
  assert.equal(names.length, 2);
  assert.ok(names.every((name) => /^n+~[0-9a-f]{8}$/.test(name) && name.length <= 255));
  assert.deepEqual(report.renamed.map(({ name }) => printableName(name)).toSorted(), [cut, ...names].toSorted());
});

test('links and FIFOs with several names come back as one', async (t) => {
  const { device, plan, target } = emptyPlan(t);
  const folder = addFolder(plan, 0, 'folder');
  for (const [group, row] of [
    [1, { type: 'symlink', target: nameBytes('there') }],
    [2, { type: 'fifo', mode: 0o640 }],
    [3, { type: 'file', mode: 0o640 }],
  ] as const) {
    addEntry(plan, [0, row.type], row, group);
    addEntry(plan, [folder, `${row.type} too`], row, group);
  }
  plan.complete();
  const report = await device.restore([], target, { plan });
  assert.deepEqual([report.failedCount, report.restored], [0, 6]);
  for (const name of ['symlink', 'fifo', 'file']) {
    assert.equal(lstatSync(`${target}/${name}`).ino, lstatSync(`${target}/folder/${name} too`).ino);
  }
});

test('names of one group with different contents become files of their own, and that is said', async (t) => {
  const { device, plan, target } = emptyPlan(t);
  addEntry(plan, [0, 'file'], { type: 'file', mode: 0o600 }, 1);
  addEntry(plan, [0, 'fifo'], { type: 'fifo', mode: 0o600 }, 1);
  plan.complete();
  const report = await device.restore([], target, { plan });
  assert.deepEqual([lstatSync(`${target}/file`).nlink, lstatSync(`${target}/fifo`).nlink], [1, 1]);
  assert.deepEqual(
    report.problems.map(({ path, code }) => `${printableName(path)} ${code}`),
    ['fifo restore.links_differ'],
  );
});

test('a further name is never a link to what somebody else put in the place of the first', async (t) => {
  const { device, plan, target } = emptyPlan(t);
  for (const name of ['first', 'second', 'third'])
    addEntry(plan, [0, name], { type: 'symlink', target: nameBytes('x') }, 1);
  plan.complete();
  symlinkSync('foreign', `${target}/first`);
  const report = await device.restore([], target, { plan, onConflict: 'skip' });
  assert.deepEqual([report.skipped, report.restored, report.failedCount], [1, 2, 0]);
  const inodes = ['first', 'second', 'third'].map((name) => lstatSync(`${target}/${name}`).ino);
  assert.notEqual(inodes[0], inodes[1]);
  assert.equal(inodes[1], inodes[2]);
});

test('a plan is refused where another restore was meant', async (t) => {
  const { device, plan } = emptyPlan(t);
  plan.close();
  const planPath = device.newPlanPath();
  RestorePlan.open(planPath, 'one').plan.close();
  assert.throws(() => RestorePlan.open(planPath, 'other'), { code: 'restore.other_plan' });
  const again = RestorePlan.open(planPath, 'one');
  assert.equal(again.isComplete, false);
  again.plan.close();
});

test('what an earlier run left whole of an empty file gets its name, and is not made a second time', async (t) => {
  const { device, plan, target } = emptyPlan(t);
  const entry = addEntry(plan, [0, 'empty'], { type: 'file', mode: 0o600 });
  plan.complete();
  plan.set('started', 1);
  const left = openSync(path.join(target, `.holdfast-${plan.get('token')}-${entry.toString(36)}`), 'wx');
  // Open to the end: no other file gets its inode number.
  t.after(() => closeSync(left));
  const report = await device.restore([], target, { plan, sync: 'batch' });
  assert.deepEqual([report.failedCount, report.restored], [0, 1]);
  assert.deepEqual(readdirSync(target), ['empty']);
  assert.equal(lstatSync(path.join(target, 'empty')).ino, fstatSync(left).ino);
});
