import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError, systemClock } from '@holdfast/base';
import { silentLog } from './log.ts';
import { translateDatabaseError } from './postgres-errors.ts';
import { freeBytesOf, saysNoRoom, watchRoom } from './room.ts';

const mib = 1024 * 1024;

test('what adds much waits from the moment a disk is nearly full until there is clearly more room, by the fullest disk', async () => {
  let [nowMs, looks] = [0, 0];
  const free = new Map([
    ['/a', 500 * mib],
    ['/b', 500 * mib],
  ]);
  const clock = { ...systemClock, monotonic: () => (nowMs += 1_000) };
  const freeBytes = async (folder: string) => {
    looks++;
    return free.get(folder)!;
  };
  const hasRoom = watchRoom(['/a', '/b'], { clock, log: silentLog, freeBytes });
  const steps = [
    [500, true],
    [64, true],
    [63, false],
    [70, false],
    [80, true],
    [70, true],
    [0, false],
  ] as const;
  for (const [mebibytes, expected] of steps) {
    free.set('/b', mebibytes * mib);
    assert.equal(await hasRoom(), expected, `${mebibytes} MiB`);
  }
  const before = looks;
  clock.monotonic = () => nowMs;
  await Promise.all([hasRoom(), hasRoom(), hasRoom()]);
  assert.ok(looks <= before + 2, 'a disk is not asked again at once');
});

test('a folder that is not there yet has room, one that is there what its disk has', async () => {
  assert.equal(await freeBytesOf('/no/such/folder'), Number.POSITIVE_INFINITY);
  const free = await freeBytesOf(import.meta.dirname);
  assert.ok(free > 0 && Number.isFinite(free));
});

test('a full disk is known by the words of the log, the database and the system, wherever they stand', () => {
  const of = (code: string) => Object.assign(new Error(code), { code });
  const poisoned = (cause: unknown) =>
    new CodedError({ code: 'log.poisoned', kind: 'unavailable', message: '' }, { cause });
  for (const error of [
    of('53100'),
    of('ENOSPC'),
    of('EDQUOT'),
    poisoned(of('53100')),
    poisoned(poisoned(of('ENOSPC'))),
  ])
    assert.ok(saysNoRoom(error));
  for (const error of [of('53300'), of('EIO'), poisoned(of('EIO')), undefined, 'ENOSPC', poisoned(undefined)])
    assert.ok(!saysNoRoom(error));
  const translated = translateDatabaseError(of('53100'));
  assert.ok(translated instanceof CodedError && translated.code === 'request.no_room');
});
