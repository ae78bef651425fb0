import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TryPool } from './try-pool.ts';

const greatest = 10_485_760;
const takes = (pool: TryPool, cost: number, times: number): number =>
  Array.from({ length: times }, () => pool.take(cost)).filter(Boolean).length;

test('a run has sixteen tries, or as many as it is told, and they cost no more than so much together', () => {
  for (const tries of [1, 16, 21, 10_000]) assert.equal(takes(TryPool.of(tries), 19_456, 20_000), tries);
  for (const [tries, most] of [
    [1, 1],
    [16, 4],
    [32, 8],
    [40, 10],
    [64, 16],
  ] as const)
    assert.equal(takes(TryPool.of(tries), greatest, 100), most);
  const mixed = TryPool.of(16);
  assert.deepEqual([takes(mixed, greatest - 1, 9), takes(mixed, 5, 9), takes(mixed, 4, 9)], [4, 0, 1]);
});

test('a number of tries that none can have is refused', () => {
  for (const tries of [0, -1, 1.5, 10_001, Number.NaN])
    assert.throws(() => TryPool.of(tries), { code: 'request.invalid' });
  for (const tries of [1, 10_000]) assert.ok(TryPool.of(tries).take(1));
});

test('archives share one pool: each has an equal part of what is left, in tries and in cost', () => {
  for (const archives of [2, 5, 16]) {
    const pool = TryPool.of(16);
    let taken = 0;
    for (let left = archives; left > 1; left -= 1) taken += takes(pool.part(left), 19_456, 100);
    assert.ok(taken <= 15, String(taken));
    assert.equal(takes(pool.part(1), 19_456, 100), 16 - taken);
  }
  const pool = TryPool.of(16);
  assert.equal(takes(pool.part(2), greatest, 100), 2);
  assert.equal(takes(pool.part(1), greatest, 100), 2);
  const many = TryPool.of(16);
  const each = Array.from({ length: 64 }, (_, index) => takes(many.part(64 - index), 19_456, 100));
  assert.equal(
    each.reduce((sum, one) => sum + one, 0),
    16,
  );
});
