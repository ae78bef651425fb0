import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { CodedError } from '@holdfast/base';
import { confinedTo } from './confined-disk.ts';
import type { Disk, Reach } from './disk.ts';
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
async function fill(dir: string, disk: Disk, reach: Reach = 'any'): Promise<number> {
  const writer = new LogWriter();
  let acknowledged = 0;
  try {
    const destination = await open(writer, disk, { dir, reach });
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

/** The machine's disk; before the call of that number, `swap` has its turn. */
function swappingAt(call: number, swap: () => void): Disk {
  let calls = 0;
  const hooked = (disk: Disk): Disk => {
    const counted = Object.entries(disk).map(([name, method]) => [
      name,
      (...args: unknown[]) => {
        if (name !== 'below' && ++calls === call) swap();
        return (method as (...args: unknown[]) => unknown)(...args);
      },
    ]);
    return Object.fromEntries(counted) as Disk;
  };
  return { ...hooked(nodeDisk), below: (top, reach) => hooked(confinedTo(top, nodeDisk, reach)) };
}

/** Fills an archive folder that is there, and swaps the folder above it for a link. Returns what came in where that leads. */
async function ledElsewhere(t: TestContext, call: number, reach: Reach): Promise<readonly string[]> {
  const folder = folderOf(t);
  const [above, elsewhere] = [path.join(folder, 'above'), path.join(folder, 'elsewhere')];
  for (const name of [above, path.join(above, 'archive'), elsewhere]) mkdirSync(name);
  const swap = () => {
    renameSync(above, path.join(folder, 'aside'));
    symlinkSync(elsewhere, above);
  };
  const acknowledged = await fill(path.join(above, 'archive'), swappingAt(call, swap), reach);
  assert.ok(lstatSync(above).isSymbolicLink() || acknowledged === 13, 'it was swapped or came too late');
  return readdirSync(elsewhere);
}

test(
  'a folder above an archive that is swapped for a link leads nowhere, before whatever call',
  { skip },
  async (t) => {
    for (let call = 1; call <= 60; call += call < 12 ? 1 : 6)
      assert.deepEqual(await ledElsewhere(t, call, 'real'), [], `call ${call}`);
    assert.deepEqual(await ledElsewhere(t, 1, 'any'), ['archive'], 'reached by any way it is followed');
  },
);

test('a folder that has to be there is not made, and is reached through no link', { skip }, async (t) => {
  const folder = folderOf(t);
  mkdirSync(path.join(folder, 'real', 'archive'), { recursive: true });
  symlinkSync(path.join(folder, 'real'), path.join(folder, 'link'));
  for (const dir of ['real/none', 'none/archive', 'link/archive', 'link', '../archive']) {
    assert.equal(await fill(`${folder}/${dir}`, nodeDisk, 'real'), 0, dir);
  }
  assert.deepEqual(readdirSync(path.join(folder, 'real')), ['archive']);
  assert.deepEqual(readdirSync(path.join(folder, 'real', 'archive')), []);
  assert.equal(await fill(path.join(folder, 'real', 'archive'), nodeDisk, 'real'), 13);
});

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
