import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { afterwards } from '@holdfast/testing';
import { ownFolder } from './state-folder.ts';

const notRoot = process.getuid?.() !== 0 && 'needs root: only root can give folders away';

function place(t: TestContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'holdfast state '));
  afterwards(t, () => rmSync(made, { recursive: true, force: true }));
  return made;
}

const modeOf = (folder: string) => statSync(folder).mode & 0o777;

test('a folder is made closed to others, and one that is there is closed', async (t) => {
  const folder = path.join(place(t), 'a', 'b');
  await ownFolder(folder);
  assert.equal(modeOf(folder), 0o700);
  chmodSync(folder, 0o755);
  await ownFolder(folder);
  assert.equal(modeOf(folder), 0o700);
  const link = path.join(place(t), 'link');
  symlinkSync(folder, link);
  await ownFolder(link);
  const file = path.join(place(t), 'file');
  writeFileSync(file, '');
  await assert.rejects(ownFolder(file), { code: 'EEXIST' });
});

test('a folder of somebody else is refused and left as it is', { skip: notRoot }, async (t) => {
  const folder = path.join(place(t), 'theirs');
  mkdirSync(folder, { mode: 0o755 });
  chownSync(folder, 65_534, 65_534);
  const link = path.join(place(t), 'link');
  symlinkSync(folder, link);
  for (const name of [folder, link])
    await assert.rejects(ownFolder(name), { code: 'state_folder.foreign', kind: 'forbidden' });
  assert.equal(modeOf(folder), 0o755);
  chownSync(folder, 0, 65_534);
  await ownFolder(link);
  assert.equal(modeOf(folder), 0o700);
});
