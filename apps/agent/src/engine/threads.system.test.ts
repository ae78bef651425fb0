import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { StartWorker } from '@holdfast/archive';
import { startBackupWorker } from './start-worker.ts';
import { newDevice } from './testing.ts';

test('a look that finds little is one thread of work, and one that finds much is all of them', async (t) => {
  const { device, tree } = newDevice(t);
  device.aheadSeconds = 60;
  const write = (folder: string, files: number) => {
    mkdirSync(path.join(tree, folder), { recursive: true });
    for (let number = 0; number < files; number++)
      writeFileSync(path.join(tree, folder, `${number}`), `${folder} ${number}`);
  };
  const startedBy = async () => {
    let started = 0;
    const startWorker: StartWorker = (data, transfer) => {
      started++;
      return startBackupWorker(data, transfer);
    };
    const report = await device.backup(tree, { startWorker, workers: 3 });
    assert.deepEqual(report.problems, []);
    const names = [...(await device.listing()).keys()].filter((name) => name.startsWith(`${tree}/`)).length;
    return { started, names };
  };
  write('a', 1);
  assert.deepEqual(await startedBy(), { started: 3, names: 2 });
  assert.deepEqual(await startedBy(), { started: 1, names: 2 });
  write('a', 5);
  assert.deepEqual(await startedBy(), { started: 1, names: 6 });
  for (let number = 0; number < 200; number++) write(`many/${number}`, 10);
  assert.deepEqual(await startedBy(), { started: 3, names: 2207 });
});
