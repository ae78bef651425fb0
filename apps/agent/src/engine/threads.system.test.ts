import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { StartWorker } from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
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

test('a backup that is stopped while its threads begin leaves no descriptor open, and the process lives', async (t) => {
  const { device, tree } = newDevice(t);
  for (const folder of ['a', 'b', 'c', 'd']) {
    mkdirSync(path.join(tree, folder));
    for (let number = 0; number < 8; number++)
      writeFileSync(path.join(tree, folder, `${number}`), randomBytes(300_000));
  }
  const descriptors = () => readdirSync('/proc/self/fd').length;
  let [stopped, before] = [0, 0];
  const steps = 12;
  for (let step = 0; step < steps; step++) {
    const stop = new AbortController();
    const startWorker: StartWorker = (data, transfer) => {
      setTimeout(() => stop.abort(), (step * 250) / steps);
      return startBackupWorker(data, transfer);
    };
    await device.backup(tree, { startWorker, workers: 3, signal: stop.signal }).catch((error: unknown) => {
      if (!(error instanceof CodedError) || error.code !== 'backup.stopped') throw error;
      stopped++;
    });
    if (step === 5) before = descriptors();
  }
  assert.ok(stopped > steps / 4, `${stopped}`);
  assert.ok(descriptors() <= before + 2, `${before} and ${descriptors()} descriptors`);
  const { problems } = await device.backup(tree);
  assert.deepEqual(problems, []);
});
