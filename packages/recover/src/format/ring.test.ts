import assert from 'node:assert/strict';
import { test } from 'node:test';
import { f, instant } from '../testing/write-structures.ts';
import { readRing } from './ring.ts';

const emptyField: Buffer = Buffer.alloc(0);
const epoch = (number: number, { suite = 1, key = Buffer.alloc(32, number), more = emptyField } = {}) =>
  f('1!', Buffer.concat([f('1!', number), f('2!', suite), f('3!', key), more]));
const wrapping = (slotId = Buffer.alloc(16), publicKey: Buffer | undefined = Buffer.alloc(32)) =>
  f('2!', Buffer.concat([f('1!', slotId), ...(publicKey === undefined ? [] : [f('2!', publicKey)])]));

test('a ring gives its epochs by rising number, those of unknown suites too', () => {
  const good: readonly (readonly [readonly Buffer[], readonly number[]])[] = [
    [[epoch(0)], [0]],
    [
      [epoch(0), epoch(7), epoch(65_535), wrapping(), wrapping(Buffer.alloc(16, 1))],
      [0, 7, 65_535],
    ],
    [
      [epoch(3, { more: f('4', instant(1)) }), epoch(4, { suite: 9 })],
      [3, 4],
    ],
  ];
  for (const [parts, numbers] of good)
    assert.deepEqual(
      readRing(Buffer.concat(parts)).map(({ number }) => number),
      numbers,
    );
  assert.deepEqual(
    readRing(epoch(4, { suite: 9 })).map(({ suite }) => suite),
    [9],
  );
});

test('a ring without an epoch, or with one out of its order or bounds, is corrupt', () => {
  const bad: readonly (readonly Buffer[])[] = [
    [],
    [wrapping()],
    [epoch(1), epoch(0)],
    [epoch(1), epoch(1)],
    [epoch(65_536)],
    [epoch(70_000)],
    [epoch(0, { key: Buffer.alloc(31) })],
    [epoch(0, { suite: 9, key: Buffer.alloc(33) })],
    [epoch(0, { more: f('4', Buffer.alloc(5)) })],
    [f('1!', Buffer.concat([f('1!', 0), f('3!', Buffer.alloc(32))]))],
    [epoch(0), wrapping(Buffer.alloc(16), Buffer.alloc(31))],
    [epoch(0), wrapping(Buffer.alloc(15))],
    [epoch(0), f('2!', f('1!', Buffer.alloc(16)))],
    [epoch(0), wrapping(), f('3!', 1)],
  ];
  for (const [index, parts] of bad.entries())
    assert.throws(() => readRing(Buffer.concat(parts)), { code: 'structure.corrupt' }, String(index));
});
