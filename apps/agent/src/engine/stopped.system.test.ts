import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { CodedError } from '@holdfast/base';
import { newDevice, type TestDevice } from './testing.ts';

/** How long a backup of the device takes once its files have changed, in milliseconds. */
async function durationOf(device: TestDevice, tree: string): Promise<number> {
  const begun = performance.now();
  await device.backup(tree, { workers: 1 });
  return performance.now() - begun;
}

test('a backup that is stopped at any moment has committed nothing whose records did not arrive', async (t) => {
  const { device, tree } = newDevice(t);
  const file = path.join(tree, 'file');
  fs.writeFileSync(file, 'first');
  await durationOf(device, tree);
  fs.writeFileSync(file, 'second');
  const wholeMs = await durationOf(device, tree);
  let stopped = 0;
  const steps = 60;
  for (let step = 0; step < steps; step++) {
    fs.writeFileSync(file, `content ${step}`);
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), (wholeMs * step) / steps);
    await device.backup(tree, { workers: 1, signal: stop.signal }).catch((error: unknown) => {
      if (!(error instanceof CodedError) || error.code !== 'backup.stopped') throw error;
      stopped++;
    });
    clearTimeout(timer);
    const row = (await device.listing()).get(file);
    assert.ok(row);
    const content = Buffer.from(await device.contentOf(row)).toString();
    assert.ok(content === 'second' || content.startsWith('content '), `step ${step}: ${content}`);
  }
  assert.ok(stopped > 0, 'some were stopped under way');
});
