import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPaused, nextDue, type Pending } from './due.ts';

const quiet: Pending = {
  changedAtMs: undefined,
  committedAtMs: 0,
  commitIntervalMs: 15_000,
  isWholeWanted: false,
  notBeforeMs: 0,
  dailyAtMs: 86_400_000,
  coldAtMs: undefined,
  retryAtMs: undefined,
};

test('the first change after a quiet spell is looked at within two seconds, later ones every 15 s at most', () => {
  const first = nextDue({ ...quiet, changedAtMs: 100_000, committedAtMs: 50_000 });
  assert.equal(first.what, 'changes');
  assert.ok(first.atMs - 100_000 <= 2000);
  assert.deepEqual(nextDue({ ...quiet, changedAtMs: 101_000, committedAtMs: 100_000 }), {
    what: 'changes',
    atMs: 115_000,
  });
});

test('a whole pass that is wanted comes first, and the daily one at its time', () => {
  assert.equal(nextDue({ ...quiet, isWholeWanted: true, changedAtMs: 1 }).what, 'whole');
  assert.deepEqual(nextDue(quiet), { what: 'whole', atMs: 86_400_000 });
});

test('after a failure nothing is looked at before its time, but destinations are tried', () => {
  const failed = { ...quiet, isWholeWanted: true, changedAtMs: 1, coldAtMs: 2, notBeforeMs: 9000 };
  assert.equal(nextDue(failed).atMs, 9000);
  assert.deepEqual(nextDue({ ...failed, retryAtMs: 4000 }), { what: 'connect', atMs: 4000 });
});

test('a pause covers its minutes, past midnight too', () => {
  const at = (fromMinute: number, toMinute: number) => ({ pausedBetween: { fromMinute, toMinute } });
  const paused: readonly (readonly [number, number, number])[] = [
    [540, 600, 540],
    [540, 600, 599],
    [1320, 360, 1439],
    [1320, 360, 0],
    [1320, 360, 359],
  ];
  const running: readonly (readonly [number, number, number])[] = [
    [540, 600, 539],
    [540, 600, 600],
    [1320, 360, 360],
    [1320, 360, 1319],
    [600, 600, 600],
  ];
  for (const [from, to, minute] of paused) assert.equal(isPaused(at(from, to), minute), true);
  for (const [from, to, minute] of running) assert.equal(isPaused(at(from, to), minute), false);
  assert.equal(isPaused({}, 5), false);
});
