import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, readdirSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { removeTree } from '../filesystem/remove-tree.ts';
import { RestoringDevice } from './testing.ts';

const size = 10_100_000;

function change(file: string, bytes: string | Uint8Array, at: number): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.from(bytes), 0, bytes.length, at);
  closeSync(fd);
}

test('a file with something in what are holes of the archive is not taken for the same', async (t) => {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  const file = path.join(tree, 'sparse');
  closeSync(openSync(file, 'w'));
  change(file, randomBytes(100_000), 200_000);
  change(file, randomBytes(100_000), 6_000_000);
  change(file, Buffer.alloc(1), size - 1);
  await device.backup(tree);
  const content = readFileSync(file);
  // Zeros that are written are as good as a hole.
  change(file, Buffer.alloc(100_000), 1_000_000);
  const same = await device.restore(tree, tree, { onConflict: 'overwrite' });
  assert.equal(same.identical, 1);
  for (const at of [0, 3_000_000, size - 10]) {
    change(file, 'garbage', at);
    assert.equal((await device.restore(tree, tree, { onConflict: 'skip' })).skipped, 1);
    const report = await device.restore(tree, tree, { onConflict: 'overwrite' });
    assert.deepEqual([report.identical, report.restored, report.failedCount], [0, 1, 0]);
    assert.ok(content.equals(readFileSync(file)), `at ${at}`);
    assert.ok(statSync(file).blocks * 512 < size / 2, 'it is sparse again');
  }
  change(file, 'garbage', 3_000_000);
  await device.restore(tree, tree);
  assert.ok(content.equals(readFileSync(path.join(tree, 'sparse (restored)'))));
  assert.deepEqual(readdirSync(tree), ['sparse', 'sparse (restored)']);
});
