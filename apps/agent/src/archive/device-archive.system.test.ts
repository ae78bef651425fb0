import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openRecordSync, type Ordinal, parseRecordHeader, RecordKind } from '@holdfast/archive';
import { systemClock, systemRandom } from '@holdfast/base';
import { newDevice } from '../engine/testing.ts';
import { temporaryFolder } from '../filesystem/temporary-folder.ts';
import { DeviceArchive } from './device-archive.ts';

/** A destination that gives these bytes for any ordinal; none where it has nothing. */
function destinationWith(record: Uint8Array | undefined) {
  return {
    async *read(_ordinals: readonly Ordinal[]) {
      if (record) yield record;
    },
  };
}

/** A line that is cut before the first record. */
async function* failAtOnce(): AsyncGenerator<Uint8Array> {
  yield await Promise.reject(new Error('the line is cut'));
}

test('a record that one destination lost, damaged or fails to give is loaded from the next', async (t) => {
  const archive = DeviceArchive.open(temporaryFolder(t), { clock: systemClock, random: systemRandom });
  t.after(() => archive.close());
  const { device, tree } = newDevice(t);
  for (const name of ['one', 'two']) {
    writeFileSync(path.join(tree, name), name);
    await device.backup(tree);
  }
  archive.save({ ...archive.stored, keys: device.keys });
  const bundles = [...device.destination.records].filter(
    ([, bytes]) => parseRecordHeader(bytes).kind === RecordKind.bundle,
  );
  const [[ordinal, record], [, other]] = [bundles[0]!, bundles[1]!];
  const { sha256, raw } = openRecordSync(record, archive.openKeys);
  const reference = { ordinal, sha256 };
  const flipped = Uint8Array.from(record);
  flipped[flipped.length - 80]! ^= 1;
  const failing = { read: () => failAtOnce() };
  const whole = destinationWith(record);
  for (const bad of [destinationWith(undefined), destinationWith(flipped), destinationWith(other), failing]) {
    archive.readFrom(() => [bad, whole]);
    assert.deepEqual(await archive.load(reference), raw);
    archive.readFrom(() => [whole, bad]);
    assert.deepEqual(await archive.load(reference), raw);
  }
  archive.readFrom(() => []);
  await assert.rejects(archive.load(reference), { code: 'archive.record_missing' });
  archive.readFrom(() => [destinationWith(undefined), failing]);
  await assert.rejects(archive.load(reference), /the line is cut/);
});
