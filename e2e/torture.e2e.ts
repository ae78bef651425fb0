import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { afterwards } from '@holdfast/testing';
import { compareTrees, makeTortureTree, removeTree } from '@holdfast/agent/filesystem/testing';
import { RestoringDevice } from '@holdfast/agent/restore/testing';

const isRoot = process.getuid?.() === 0;
const isFull = process.env['HOLDFAST_TEST_FULL'] === '1';
const hasRsync = spawnSync('rsync', ['--version']).status === 0;

/** What a program says of two trees; both are named without their own path. */
function output(program: string, args: readonly string[], cwd?: string): string {
  const run = spawnSync(program, args, { cwd, maxBuffer: 256 * 1024 * 1024, env: { ...process.env, LC_ALL: 'C' } });
  assert.equal(run.status, 0, run.stderr.toString('latin1'));
  return run.stdout.toString('latin1');
}

function listed(folder: string, format: string): string[] {
  return output('find', ['.', '-mindepth', '1', '-printf', format], folder).split('\0').toSorted();
}

test(
  'a tree of every type and of 20,000 real files comes back so that rsync and find see no difference',
  { skip: (!isRoot && 'needs root') || (!hasRsync && 'needs rsync') },
  async (t) => {
    const device = new RestoringDevice();
    afterwards(t, () => removeTree(device.folder));
    const tree = device.newFolder('tree');
    // rsync cannot walk paths over 4,096 bytes; our own walker looks at those below.
    mkdirSync(path.join(tree, 'torture'));
    makeTortureTree(path.join(tree, 'torture'), { sparseBytes: (isFull ? 3 * 1024 : 64) * 1024 * 1024 });
    const real = path.join(tree, 'real');
    mkdirSync(real);
    output('cp', [
      '-a',
      ...['/usr/include', '/usr/share'].filter((folder) => spawnSync('test', ['-d', folder]).status === 0),
      real,
    ]);
    symlinkSync('/usr/share', path.join(real, 'absolute'));
    device.aheadSeconds = 60;
    await device.backup(tree);
    const target = device.newFolder('target');
    const report = await device.restore(tree, target, { setuid: true });
    assert.deepEqual([report.failed, report.problems], [[], []]);
    assert.deepEqual(compareTrees(tree, target), []);
    assert.deepEqual(listed(tree, '%P %T@ %y %m %U %G %l\\0'), listed(target, '%P %T@ %y %m %U %G %l\\0'));
    const short = (folder: string) => [
      '-aHAXSnc',
      '--delete',
      '--itemize-changes',
      '--exclude=/torture/deep',
      `${folder}/`,
    ];
    assert.equal(output('rsync', [...short(tree), `${target}/`]), '');
  },
);
