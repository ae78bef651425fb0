/** Folders of so many names that one look at them takes several jobs, and what becomes known of them several commits. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { newDevice, type TestDevice } from './testing.ts';

/** Long names, so that few make what a job looks at. */
const names = 6000;
const nameOf = (number: number) => String(number).padStart(5, '0').padEnd(220, 'n');

function fill(folder: string, from = 0, until = names): void {
  mkdirSync(folder, { recursive: true });
  for (let number = from; number < until; number++) {
    writeFileSync(path.join(folder, nameOf(number)), number % 10 === 0 ? `content ${number}` : '');
  }
}

async function listed(device: TestDevice, folder: string): Promise<string[]> {
  const rows = await device.listing();
  return [...rows.keys()].filter((name) => name.includes(`/${folder}/`)).map((name) => path.basename(name));
}

const wanted = (numbers: Iterable<number>) => [...numbers].map(nameOf);
const upTo = (count: number) => Array.from({ length: count }, (_, number) => number);

test('a large folder is backed up, and changes in it cost what changed', async (t) => {
  const { device, tree } = newDevice(t);
  device.aheadSeconds = 60;
  const folder = path.join(tree, 'large');
  fill(folder);
  for (const number of [10, 3000, 5999]) fill(path.join(folder, `${nameOf(number)} below`), 0, 2);
  const first = await device.backup(tree);
  assert.deepEqual(first.problems, []);
  const directories = first.directories;
  assert.ok(first.head > 2, `${first.head} commits`);
  // Three folders, and two files in each.
  assert.equal((await listed(device, 'large')).length, names + 3 + 3 * 2);
  const again = await device.backup(tree);
  assert.deepEqual([again.changedNames, again.readBytes, again.head], [0, 0, first.head]);
  assert.deepEqual([again.files, again.directories], [first.files, directories]);

  writeFileSync(path.join(folder, nameOf(2321)), 'another');
  unlinkSync(path.join(folder, nameOf(4000)));
  fill(folder, names, names + 1);
  symlinkSync('nowhere', path.join(folder, '!first of all'));
  const changed = await device.backup(tree);
  // The folder itself, and the four.
  assert.equal(changed.changedNames, 5);
  const rows = await device.listing();
  const at = [...rows.keys()].find((name) => name.endsWith(`/large/${nameOf(2321)}`))!;
  assert.equal(Buffer.from(await device.contentOf(rows.get(at)!)).toString(), 'another');

  for (let number = 1000; number < 5000; number++) rmSync(path.join(folder, nameOf(number)), { force: true });
  // One of them was gone before, and the folder itself has changed.
  assert.equal((await device.backup(tree)).changedNames, 4000);
  const left = (await listed(device, 'large')).filter((name) => /^\d+n+$/.test(name));
  const inside = 3 * 2;
  assert.equal(left.length, 1000 + 1000 + 1 + inside);
  assert.equal((await device.backup(tree)).changedNames, 0);
});

test('names that come between those that are known, more than a job looks at, are found, and those are kept', async (t) => {
  const { device, tree } = newDevice(t);
  device.aheadSeconds = 60;
  const folder = path.join(tree, 'between');
  mkdirSync(folder);
  for (const name of ['!', '~', '~~']) writeFileSync(path.join(folder, name), name);
  await device.backup(tree);
  fill(folder);
  unlinkSync(path.join(folder, '~'));
  const second = await device.backup(tree);
  assert.equal(second.changedNames, names + 2);
  assert.deepEqual((await listed(device, 'between')).toSorted(), ['!', ...wanted(upTo(names)), '~~']);
});

test('a backup that ends in the middle of a large folder is gone on with, and what is gone by then is missed', async (t) => {
  const { device, tree } = newDevice(t);
  device.aheadSeconds = 60;
  const folder = path.join(tree, 'stopped');
  fill(folder);
  const stop = new AbortController();
  const onProgress = () => {
    if (device.index.head().number >= 2) stop.abort();
  };
  await assert.rejects(device.backup(tree, { signal: stop.signal, onProgress }), { code: 'backup.stopped' });
  const stored = await listed(device, 'stopped');
  assert.ok(stored.length > 0 && stored.length < names, `${stored.length} names were committed`);
  for (const name of stored.slice(0, 100)) unlinkSync(path.join(folder, name));
  const gone = new Set(stored.slice(0, 100));
  await device.backup(tree);
  assert.deepEqual(
    (await listed(device, 'stopped')).toSorted(),
    wanted(upTo(names)).filter((name) => !gone.has(name)),
  );
});

test('a large folder that something else replaces while it is looked at is never taken for it', async (t) => {
  const { device, tree } = newDevice(t);
  device.aheadSeconds = 60;
  const folder = path.join(tree, 'replaced');
  fill(folder);
  const other = path.join(device.folder, 'other');
  mkdirSync(other);
  for (const name of wanted(upTo(names))) writeFileSync(path.join(other, name), 'of the other one');
  let isReplaced = false;
  const onProgress = ({ files }: { readonly files: number }) => {
    if (isReplaced || files < 1000) return;
    isReplaced = true;
    renameSync(folder, `${folder} before`);
    renameSync(other, folder);
  };
  const report = await device.backup(tree, { onProgress });
  assert.ok(isReplaced);
  assert.deepEqual(
    report.problems.map(({ code }) => code),
    ['backup.folder_replaced'],
  );
  await device.backup(tree);
  const rows = await device.listing();
  const bytes = [...rows].filter(([name, { type }]) => type === 'file' && name.includes('/replaced/'));
  assert.equal(bytes.length, names);
  for (const [, row] of bytes.slice(0, 50)) {
    assert.equal(Buffer.from(await device.contentOf(row)).toString(), 'of the other one');
  }
  assert.equal((await listed(device, 'replaced before')).length, names);
});

test('a folder of very many folders is gone through part by part', async (t) => {
  const { device, tree } = newDevice(t);
  const count = 1500;
  for (let number = 0; number < count; number++) {
    mkdirSync(path.join(tree, String(number)));
    writeFileSync(path.join(tree, String(number), 'file'), `in ${number}`);
  }
  const report = await device.backup(tree);
  assert.deepEqual(report.problems, []);
  assert.ok(report.directories > count);
  const files = [...(await device.listing()).keys()].filter((name) => name.endsWith('/file'));
  assert.equal(files.length, count);
  assert.equal((await device.backup(tree)).directories, report.directories);
});
