import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ownFolder, ownFolderIn } from './own-folder.ts';

const skip = process.platform === 'win32' && 'folders have no such modes there';

test('nobody else can write into a folder of state, one that was open to others included', { skip }, (t) => {
  const root = mkdtempSync(path.join(tmpdir(), 'holdfast own '));
  t.after(() => rmSync(root, { recursive: true }));
  const modeOf = (folder: string) => (statSync(folder).mode & 0o7777).toString(8);
  for (const [before, after] of [
    [0o777, '755'],
    [0o770, '750'],
    [0o1777, '1755'],
    [0o755, '755'],
    [0o711, '711'],
    [0o700, '700'],
  ] as const) {
    const folder = path.join(root, before.toString(8));
    mkdirSync(folder);
    chmodSync(folder, before);
    ownFolder(folder);
    assert.equal(modeOf(folder), after);
    ownFolderIn(folder, path.join(folder, 'agent'));
    assert.equal(modeOf(path.join(folder, 'agent')), '700');
  }
});
