import assert from 'node:assert/strict';
import test from 'node:test';

import { isZeroSpan } from './zero-span.node.ts';

const lengths = [0, 1, 2, 15, 4096, 65_535, 65_536, 65_537, 200_001, 1_048_576];

test('zeros of any length and alignment are a zero span', () => {
  for (const length of lengths) {
    for (const shift of [0, 1, 7]) assert.ok(isZeroSpan(new Uint8Array(length + 8).subarray(shift, shift + length)));
  }
});

test('one bit anywhere makes a span not zero', () => {
  for (const length of lengths.slice(1)) {
    for (const at of new Set([0, length >> 1, Math.min(65_536, length - 1), length - 1])) {
      const bytes = new Uint8Array(length);
      bytes[at] = 1;
      assert.equal(isZeroSpan(bytes), false, `bit at ${at} of ${length}`);
    }
  }
});

test('bytes around a span do not count', () => {
  const bytes = new Uint8Array(70_000).fill(255);
  bytes.fill(0, 100, 69_900);
  assert.ok(isZeroSpan(bytes.subarray(100, 69_900)));
  assert.equal(isZeroSpan(bytes.subarray(100, 69_901)), false);
});
