import assert from 'node:assert/strict';
import test from 'node:test';

import fc from 'fast-check';

import { padmeBytes } from './padme.ts';

const length = fc.oneof(
  fc.integer({ min: 0, max: 10_000 }),
  fc.integer({ min: 0, max: 8 * 1024 * 1024 }),
  fc.integer({ min: 0, max: 2 ** 50 }),
  // Just around powers of two, where logarithms go wrong.
  fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: -2, max: 2 })).map(([e, d]) => Math.max(0, 2 ** e + d)),
);
const floor = fc.constantFrom(0, 512, 4096);

test('padding costs at most 12 % above the floor and never shortens', () => {
  fc.assert(
    fc.property(length, floor, (bytes, floorBytes) => {
      const padded = padmeBytes(bytes, floorBytes);
      assert.ok(padded >= bytes && padded >= floorBytes);
      assert.ok(padded <= Math.max(bytes, floorBytes) * 1.12, `${bytes} to ${padded}`);
    }),
    { numRuns: 2000 },
  );
});

test('longer bytes are never padded to less', () => {
  fc.assert(
    fc.property(length, length, floor, (a, b, floorBytes) => {
      assert.ok(padmeBytes(Math.min(a, b), floorBytes) <= padmeBytes(Math.max(a, b), floorBytes));
    }),
    { numRuns: 2000 },
  );
});

test('a padded length stays as it is', () => {
  fc.assert(
    fc.property(length, floor, (bytes, floorBytes) => {
      const padded = padmeBytes(bytes, floorBytes);
      assert.equal(padmeBytes(padded, floorBytes), padded);
    }),
    { numRuns: 2000 },
  );
});

test('the rule of the format document, bit by bit, gives the same', () => {
  fc.assert(
    fc.property(length, (bytes) => {
      if (bytes < 2) return;
      // Lengths as binary text: E and S are how many digits follow the first.
      const e = bytes.toString(2).length - 1;
      const s = e.toString(2).length;
      const unit = 1n << BigInt(e - s);
      assert.equal(BigInt(padmeBytes(bytes, 0)), ((BigInt(bytes) + unit - 1n) / unit) * unit);
    }),
    { numRuns: 2000 },
  );
});

test('known lengths', () => {
  const known: [number, number, number][] = [
    [0, 0, 0],
    [1, 0, 1],
    [9, 0, 10],
    [0, 512, 512],
    [513, 512, 544],
    [41, 4096, 4096],
    [4097, 4096, 4352],
    [262_185, 4096, 270_336],
    [262_144, 4096, 262_144],
    [1_048_617, 4096, 1_081_344],
  ];
  for (const [bytes, floorBytes, padded] of known) assert.equal(padmeBytes(bytes, floorBytes), padded);
});

test('lengths of blocks fall into few sizes', () => {
  const sizes = new Set<number>();
  for (let bytes = 128 * 1024; bytes < 256 * 1024; bytes += 1) sizes.add(padmeBytes(bytes, 4096));
  assert.equal(sizes.size, 33);
});
