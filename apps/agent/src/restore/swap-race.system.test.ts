import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { lstat, writeFile } from 'node:fs/promises';

import type { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import type { Destination } from '@holdfast/archive';
import { removeTree } from '../filesystem/remove-tree.ts';
import { RestoringDevice } from './testing.ts';

const full = process.env.HOLDFAST_TEST_FULL === '1';
/** Folders below the swapped one that are opened to write into, over all restores. */
const tries = full ? 200_000 : 8000;
const foldersAtOnce = 2000;
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

/** Goes on until there was a leak, so that a slow machine cannot make the test prove nothing. */
async function countByPath(
  seen: { leaksByPath: number; triesByPath: number },
  target: string,
  outside: string,
): Promise<void> {
  for (let i = 0; i < 500 || (seen.leaksByPath === 0 && i < mostTriesByPath); i++) {
    seen.triesByPath++;
    if (await writeByPath(target, outside, `by path ${i}`)) seen.leaksByPath++;
  }
}

/** Another process that swaps the folder and the link, once started. */
function createSwapper(target: string) {
  let child: ChildProcessByStdio<Writable, Readable, null> | undefined;
  return {
    async start() {
      child = spawn(process.execPath, [script, target, 'box', 'trap'], { stdio: ['pipe', 'pipe', 'inherit'] });
      await once(child.stdout, 'data');
    },
    async stop() {
      child?.stdin.end();
      if (child?.exitCode === null) await once(child, 'exit');
    },
  };
}

/** Records of the device; calls `begin` once all folders are made and before the first record is handed out. */
function afterFolders(device: RestoringDevice, begin: () => Promise<void>): Destination {
  let begun: Promise<void> | undefined;
  return {
    name: 'hooked',
    append: () => Promise.reject(new Error('a restore does not append')),
    async *read(ordinals) {
      await (begun ??= begin());
      yield* device.destination.read(ordinals);
    },
  };
}

test(`a restore into ${tries} folders never lands outside while the one above is swapped for a link, writing by path does`, async (t) => {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  for (let folder = 0; folder < foldersAtOnce; folder++) {
    mkdirSync(`${tree}/box/${folder}`, { recursive: true });
    writeFileSync(`${tree}/box/${folder}/file`, `content ${folder}`);
  }
  await device.backup(tree);
  const outside = device.newFolder('outside');
  for (let folder = 0; folder < foldersAtOnce; folder++) mkdirSync(`${outside}/${folder}`);
  const untouched = readdirSync(outside, { recursive: true, encoding: 'utf8' }).toSorted();
  const seen = { restored: 0, refused: 0, leaksByPath: 0, triesByPath: 0 };
  for (let round = 0; round * foldersAtOnce < tries; round++) {
    const target = device.newFolder(`target ${round}`);
    symlinkSync(outside, `${target}/trap`);
    const swapper = createSwapper(target);
    try {
      const sync = round % 2 === 0 ? 'end' : 'batch';
      const report = await device.restore(tree, target, {
        sync,
        destinations: [afterFolders(device, () => swapper.start())],
      });
      seen.restored += report.restored;
      seen.refused += foldersAtOnce - report.restored;
      await countByPath(seen, target, outside);
    } finally {
      await swapper.stop();
    }
    assert.deepEqual(readdirSync(outside, { recursive: true, encoding: 'utf8' }).toSorted(), untouched);
  }
  t.diagnostic(JSON.stringify(seen));
  assert.ok(seen.restored > 0 && seen.refused > 0, 'some came before the swap and some after it');
  assert.ok(seen.leaksByPath > 0, `no leak by path in ${seen.triesByPath} tries: this run proves nothing`);
});
