import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock } from '@holdfast/base';
import { afterwards } from '@holdfast/testing';
import { silentLog } from './log.ts';
import { SpareRoom } from './spare-room.ts';

const wholeBytes = 48 * 1024 * 1024;

function newRoom(t: TestContext) {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast room '));
  afterwards(t, () => rmSync(folder, { recursive: true, force: true }));
  const stopping = new AbortController();
  const clock = { ...systemClock, sleep: () => new Promise<void>((resolve) => setImmediate(resolve)) };
  const room = new SpareRoom(folder, { clock, log: silentLog });
  const untilThere = async (name: string) => {
    const until = performance.now() + 20_000;
    while (!existsSync(path.join(folder, name))) {
      assert.ok(performance.now() < until, `in vain waited for ${name}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const left = () => readdirSync(folder).map((name) => [name, statSync(path.join(folder, name)).size]);
  return { stopping, keeping: room.keep(stopping.signal), untilThere, left };
}

test('room is kept back whole', async (t) => {
  const { stopping, keeping, untilThere, left } = newRoom(t);
  await untilThere('spare-room');
  stopping.abort();
  await keeping;
  assert.deepEqual(left(), [['spare-room', wholeBytes]]);
});

test('a stop while room is taken leaves no part of it, which would be kept for the whole from then on', async (t) => {
  const { stopping, keeping, untilThere, left } = newRoom(t);
  await untilThere('spare-room.new');
  stopping.abort();
  await keeping;
  // All of it may just have been there.
  if (left().length > 0) assert.deepEqual(left(), [['spare-room', wholeBytes]]);
});
