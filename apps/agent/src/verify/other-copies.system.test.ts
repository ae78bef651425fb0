import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openRecordSync, parseRecordHeader, RecordKind } from '@holdfast/archive';
import { destinationErrors } from '../destinations/errors.ts';
import { newDevice } from '../engine/testing.ts';
import { rawsFrom } from './other-copies.ts';

const signal = new AbortController().signal;

test('a destination that gives another record, an altered one, none, or fails hides nothing of what the next one has', async (t) => {
  const { device, tree } = newDevice(t);
  for (const name of ['one', 'two']) writeFileSync(path.join(tree, name), randomBytes(100_000));
  await device.backup(tree);
  const { records } = device.destination;
  const [wanted, other] = [...records].filter(([, record]) => parseRecordHeader(record).kind === RecordKind.block);
  assert.ok(wanted && other);
  const [ordinal, genuine] = wanted;
  const altered = genuine.slice();
  altered[altered.length - 1]! ^= 1;
  let failures = 0;
  const giving = (...given: readonly Uint8Array[]) => ({
    read: async function* () {
      yield* given;
    },
  });
  const failing = {
    // oxlint-disable-next-line require-yield
    read: async function* (): AsyncGenerator<Uint8Array> {
      failures++;
      throw destinationErrors.away({ folder: 'nowhere' });
    },
  };
  const rawOf = (record: Uint8Array) => Buffer.from(openRecordSync(record, device.openKeys).raw);
  const sessions = [failing, giving(other[1]), giving(altered), giving(), giving(other[1], genuine), giving(genuine)];
  const rawsOf = rawsFrom(sessions, device.openKeys, signal);
  const raws = await Array.fromAsync(rawsOf(ordinal), (raw) => Buffer.from(raw));
  assert.deepEqual(raws, [rawOf(genuine), rawOf(genuine)]);
  assert.deepEqual(await Array.fromAsync(rawsOf(other[0]), (raw) => Buffer.from(raw)), [
    rawOf(other[1]),
    rawOf(other[1]),
  ]);
  assert.equal(failures, 1, 'one whose reading failed is asked again');
  const stopped = rawsFrom([failing, giving(genuine)], device.openKeys, AbortSignal.abort());
  await assert.rejects(Array.fromAsync(stopped(ordinal)), { name: 'AbortError' });
});
