import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { CodedError } from '@holdfast/base';
import { confinedTo } from './confined-disk.ts';
import type { Disk } from './disk.ts';
import { fragmentsOf, open } from './local-destination.fixture.ts';
import { LogWriter } from './log-writer.fixture.ts';
import { nodeDisk } from './node-disk.ts';

const skip = !existsSync('/proc/self/fd') && 'needs names that begin at a descriptor';

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast confined '));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The machine's disk; right after this folder was made and looked at, `swap` has its turn. */
function swapping(folder: string, swap: () => void): Disk {
  const hooked = (disk: Disk): Disk => ({
    ...disk,
    makeDirectory: async (name) => {
      const isNew = !existsSync(folder);
      await disk.makeDirectory(name);
      if (isNew && name === folder) swap();
    },
  });
  return { ...hooked(nodeDisk), below: (top) => hooked(confinedTo(top, nodeDisk)) };
}

/** Opens a new archive folder, adds some fragments and seals. Returns how many were acknowledged. */
async function fill(dir: string, disk: Disk): Promise<number> {
  const writer = new LogWriter();
  let acknowledged = 0;
  try {
    const destination = await open(writer, disk, { dir });
    try {
      const { sessionEpoch } = await destination.openSession(undefined);
      for (const [place, { bytes }] of fragmentsOf(writer, 12).entries()) {
        await destination.append(sessionEpoch, place + 1, bytes);
        acknowledged++;
      }
      await destination.folder.seal();
    } finally {
      await destination.close().catch(() => undefined);
    }
  } catch (error) {
    assert.ok(error instanceof CodedError || (error as NodeJS.ErrnoException).syscall, String(error));
  }
  return acknowledged;
}

test(
  'a folder of an archive that is swapped for a link after it was looked at leads nowhere',
  { skip, timeout: 60_000 },
  async (t) => {
    for (const name of ['segments', 'copies', 'keys', 'index', '']) {
      const folder = folderOf(t);
      const [dir, elsewhere] = [path.join(folder, 'archive'), path.join(folder, 'elsewhere')];
      mkdirSync(elsewhere);
      const swapped = path.join(dir, name).replace(/\/$/, '');
      const disk = swapping(swapped, () => {
        rmdirSync(swapped);
        symlinkSync(elsewhere, swapped);
      });
      const acknowledged = await fill(dir, disk);
      assert.ok(lstatSync(swapped).isSymbolicLink(), 'it was swapped');
      assert.deepEqual(readdirSync(elsewhere), [], `${name || 'the archive folder'} was followed`);
      assert.equal(acknowledged, 0);
    }
  },
);

test('what is not swapped is written to, by whatever way the folder is reached', { skip }, async (t) => {
  const folder = folderOf(t);
  mkdirSync(path.join(folder, 'real', 'archive'), { recursive: true });
  symlinkSync(path.join(folder, 'real'), path.join(folder, 'link'));
  for (const dir of ['real/archive', 'link/archive', 'real/new']) {
    assert.equal(await fill(path.join(folder, dir), nodeDisk), 13, dir);
    rmSync(path.join(folder, dir), { recursive: true });
  }
});

test('names below a folder do what they do elsewhere, and none leads out of it', { skip }, async (t) => {
  const folder = folderOf(t);
  const top = path.join(folder, 'top');
  mkdirSync(top);
  writeFileSync(path.join(folder, 'outside'), 'outside');
  const disk = confinedTo(top, nodeDisk);
  await disk.makeDirectory(`${top}/a/b`);
  await disk.makeDirectory(`${top}/a/b`);
  const file = await disk.open(`${top}/a/b/one`, 'create');
  await file.write(Buffer.from('one'), 0);
  await file.close();
  await assert.rejects(disk.open(`${top}/a/b/one`, 'create'), { code: 'EEXIST' });
  await disk.rename(`${top}/a/b/one`, `${top}/two`);
  assert.equal(await disk.link(`${top}/two`, `${top}/a/three`), true);
  await disk.syncDirectory(`${top}/a`);
  await disk.syncDirectory(top);
  assert.deepEqual(
    [await disk.list(top), await disk.list(`${top}/a`)],
    [
      ['a', 'two'],
      ['b', 'three'],
    ],
  );
  assert.equal((await disk.stat(`${top}/a/three`))?.sizeBytes, 3);
  await disk.remove(`${top}/two`);
  assert.deepEqual(
    [await disk.stat(`${top}/two`), await disk.stat(`${top}/none/one`), await disk.list(`${top}/none`)],
    [undefined, undefined, []],
  );
  await disk.remove(`${top}/none/one`);
  await assert.rejects(disk.open(`${top}/none/one`, 'read'), { code: 'ENOENT' });
  for (const outside of [path.join(folder, 'outside'), `${top}/../outside`, `${top}/a/../../outside`]) {
    await assert.rejects(disk.open(outside, 'read'), { code: 'log.not_a_file' });
  }
  symlinkSync(folder, path.join(top, 'link'));
  for (const name of ['link', 'a/three']) {
    await assert.rejects(disk.open(`${top}/${name}/outside`, 'read'), { code: 'log.not_a_file' });
    await assert.rejects(disk.makeDirectory(`${top}/${name}`), { code: 'log.not_a_file' });
    await assert.rejects(disk.list(`${top}/${name}`), { code: 'log.not_a_file' });
  }
});
