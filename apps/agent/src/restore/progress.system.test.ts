import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { RestoreProgress } from '@holdfast/archive';
import { removeTree } from '../filesystem/remove-tree.ts';
import { RestoringDevice } from './testing.ts';

const dataBytes = 3 * 100_000 + 5;

test('the progress of a backup and of a restore counts what is in files, and not their holes', async (t) => {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  writeFileSync(path.join(tree, 'small'), '12345');
  const sparse = openSync(path.join(tree, 'sparse'), 'w');
  for (const gibibytes of [0, 1, 3]) writeSync(sparse, randomBytes(100_000), 0, 100_000, gibibytes * 2 ** 30);
  closeSync(sparse);
  const { readBytes } = await device.backup(tree);
  // What a file system gives as data is whole blocks of it.
  assert.ok(readBytes >= dataBytes && readBytes < dataBytes + 3 * 65_536, String(readBytes));
  const target = device.newFolder('target');
  for (const kind of ['restoredBytes', 'keptBytes'] as const) {
    let last: RestoreProgress | undefined;
    await device.restore(tree, target, { onProgress: (progress) => void (last = { ...progress }) });
    assert.ok(last);
    assert.ok(last.totalBytes >= dataBytes && last.totalBytes < dataBytes + 3 * 65_536, String(last.totalBytes));
    assert.equal(last[kind], last.totalBytes, kind);
    assert.equal(last.restoredBytes + last.keptBytes, last.totalBytes);
  }
});
