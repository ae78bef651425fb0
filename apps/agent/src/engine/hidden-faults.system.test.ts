import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Source } from '@holdfast/archive';
import { fileErrors } from '../filesystem/index.ts';
import { createLinuxSource } from './linux-source.ts';
import { newDevice } from './testing.ts';

/** The machine's files, but that looking at one name on the main thread ends in `failure`. */
function failingAt(name: string, failure: Error): { source: Source; failures: () => number } {
  const source = createLinuxSource();
  let failures = 0;
  const statAt: Source['statAt'] = (fd, asked, into) => {
    if (Buffer.from(asked).toString() !== name) return source.statAt(fd, asked, into);
    failures++;
    throw failure;
  };
  return { source: { ...source, statAt }, failures: () => failures };
}

const refusals = [fileErrors.permission_denied(), fileErrors.not_found()];
const bug = new TypeError('a bug');

test('where a folder was and cannot be looked at, it has moved; a bug in looking is no such thing', async (t) => {
  for (const failure of [...refusals, bug]) {
    const { device, tree } = newDevice(t);
    for (const name of ['a', 'b/moved']) fs.mkdirSync(path.join(tree, name), { recursive: true });
    fs.writeFileSync(path.join(tree, 'b/moved/file'), 'content');
    await device.backup(tree, { workers: 1 });
    // What is in `a` is looked at before what is in `b`: the folder is found in its new place before it is missed in the old.
    fs.renameSync(path.join(tree, 'b/moved'), path.join(tree, 'a/moved'));
    const { source, failures } = failingAt('moved', failure);
    const backup = device.backup(tree, { workers: 1, source });
    if (failure === bug) {
      await assert.rejects(backup, bug);
    } else {
      await backup;
      const listing = await device.listing();
      assert.ok(listing.has(path.join(tree, 'a/moved/file')));
      assert.ok(!listing.has(path.join(tree, 'b/moved/file')));
    }
    assert.ok(failures() > 0);
  }
});

/** Writes to a file every millisecond, whatever the main thread is busy with. */
const growth = `
  const { appendFileSync } = require('node:fs');
  const { workerData } = require('node:worker_threads');
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    appendFileSync(workerData, 'more');
    Atomics.wait(never, 0, 0, 1);
  }`;

test('a file that changed while it was read and cannot be looked at is a problem; a bug in looking ends the backup', async (t) => {
  for (const failure of [...refusals, bug]) {
    const { device, tree } = newDevice(t);
    const file = path.join(tree, 'grows');
    fs.writeFileSync(file, Buffer.alloc(8 * 1024 * 1024, 'x'));
    fs.linkSync(file, path.join(tree, 'second name'));
    const growing = new Worker(growth, { eval: true, workerData: file });
    try {
      await once(growing, 'online');
      const { source, failures } = failingAt('grows', failure);
      const backup = device.backup(tree, { workers: 1, source });
      if (failure === bug) await assert.rejects(backup, bug);
      else assert.ok((await backup).problems.some(({ code }) => code === 'backup.file_replaced'));
      assert.ok(failures() > 0);
    } finally {
      await growing.terminate();
    }
  }
});
