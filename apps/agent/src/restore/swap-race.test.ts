import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { lstat, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { removeTree } from '../filesystem/remove-tree.ts';
import { RestoringDevice } from './testing.ts';

const full = process.env.HOLDFAST_FULL === '1';
/** Files that go into the swapped folder, over all restores. */
const tries = full ? 200_000 : 20_000;
const filesAtOnce = 5000;
const mostTriesByPath = 100_000;
const script = decodeURIComponent(new URL('../filesystem/swap-entries.ts', import.meta.url).pathname);

/** As careless code does: look, then write. True where it landed outside. */
async function writeByPath(target: string, outside: string, name: string): Promise<boolean> {
  try {
    if (!(await lstat(`${target}/box`)).isDirectory()) return false;
    await writeFile(`${target}/box/${name}`, 'restored', { flag: 'wx' });
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ENOTDIR', 'EEXIST'].includes(code)) return false;
    throw error;
  }
  if (!existsSync(`${outside}/${name}`)) return false;
  unlinkSync(`${outside}/${name}`);
  return true;
}

test(`a restore of ${tries} files never lands outside while their folder is swapped for a link, writing by path does`, async (t) => {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  mkdirSync(`${tree}/box/deep`, { recursive: true });
  for (let file = 0; file < filesAtOnce; file++) {
    writeFileSync(`${tree}/box/${file % 2 ? 'deep/' : ''}file ${file}`, `content ${file}`);
  }
  await device.backup(tree);
  const outside = device.newFolder('outside');
  mkdirSync(`${outside}/deep`);
  let restored = 0;
  let refused = 0;
  let leaksByPath = 0;
  let triesByPath = 0;
  for (let round = 0; round * filesAtOnce < tries; round++) {
    const target = device.newFolder(`target ${round}`);
    mkdirSync(`${target}/box`);
    symlinkSync(outside, `${target}/trap`);
    const child = spawn(process.execPath, [script, target, 'box', 'trap'], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    try {
      const report = await device.restore(tree, target, {
        onConflict: round % 2 === 0 ? 'rename' : 'overwrite',
        sync: round % 4 < 2 ? 'end' : 'batch',
      });
      restored += report.restored;
      refused += report.failedCount;
      for (let i = 0; i < 500 || (leaksByPath === 0 && i < mostTriesByPath); i++) {
        triesByPath++;
        if (await writeByPath(target, outside, `by path ${i}`)) leaksByPath++;
      }
    } finally {
      child.stdin.end();
      if (child.exitCode === null) await once(child, 'exit');
    }
    assert.deepEqual(readdirSync(outside, { recursive: true }), ['deep']);
  }
  t.diagnostic(
    `by descriptor ${restored} restored, ${refused} refused; by path ${leaksByPath} leaks in ${triesByPath} tries`,
  );
  assert.ok(restored > 0);
  assert.ok(leaksByPath > 0, `no leak by path in ${triesByPath} tries: this run proves nothing`);
});
