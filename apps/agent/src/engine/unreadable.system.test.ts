import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

test('a folder and a file that may not be read are seen once, with mode, and make no version at every look', (t) => {
  const tree = fs.mkdtempSync(path.join(tmpdir(), 'holdfast unreadable '));
  t.after(() => {
    fs.chmodSync(path.join(tree, 'closed'), 0o700);
    fs.rmSync(tree, { recursive: true });
  });
  fs.mkdirSync(path.join(tree, 'closed'));
  fs.writeFileSync(path.join(tree, 'closed file'), 'content', { mode: 0 });
  fs.writeFileSync(path.join(tree, 'open'), 'content');
  fs.chmodSync(path.join(tree, 'closed'), 0);
  // Root without the capabilities that pass modes by is like any other user.
  const asRoot = ['--inh-caps=-all', '--bounding-set=-dac_override,-dac_read_search'];
  const drop = process.getuid?.() === 0 ? ['setpriv', ...asRoot] : [];
  const [command, ...args] = [...drop, process.execPath, path.join(import.meta.dirname, 'unreadable-testing.ts'), tree];
  const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 60_000 });
  const { changed, listing } = JSON.parse(stdout || `{"error":${JSON.stringify(stderr)}}`) as {
    changed: number[];
    listing: [string, string, number][];
  };
  assert.ok(changed[0]! > 0);
  assert.deepEqual(changed.slice(1), [0, 0], stderr);
  const closed = listing.find(([file]) => file === path.join(tree, 'closed'));
  assert.deepEqual(closed?.slice(1), ['directory', 0]);
});
