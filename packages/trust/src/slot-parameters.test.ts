import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError } from '@holdfast/base';
import fc from 'fast-check';
import { encodeParameters, parameterBytes, parameterNumber, parseParameters } from './slot-parameters.ts';

const refused = { code: 'slot.bad_parameters' };
const bytes = (...values: number[]) => new Uint8Array(values);
const anyNumber: readonly [number, number] = [0, Number.MAX_SAFE_INTEGER];

test('parameters are the fields of the format document, byte for byte', () => {
  // Key 2 × tag + 1, length, value; 300 is ac 02 as a varint.
  assert.deepEqual(encodeParameters([bytes(7, 8), 300, bytes()]), bytes(3, 2, 7, 8, 5, 2, 0xac, 2, 7, 0));
  assert.deepEqual(encodeParameters([]), bytes());
});

test('parameters read back as they were written, numbers included', () => {
  const value = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.maxSafeNat());
  fc.assert(
    fc.property(fc.array(value, { maxLength: 12 }), (values) => {
      const read = parseParameters(encodeParameters(values), values.length);
      const back = read.map((field, index) =>
        typeof values[index] === 'number' ? parameterNumber(field, anyNumber) : new Uint8Array(field),
      );
      assert.deepEqual(
        back,
        values.map((one) => (typeof one === 'number' ? one : new Uint8Array(one))),
      );
    }),
  );
});

test('whatever bytes there are, they are read or refused, and what is read holds them all', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), fc.integer({ min: 0, max: 4 }), (noise, count) => {
      try {
        const values = parseParameters(noise, count);
        assert.equal(values.length, count);
      } catch (error) {
        assert.ok(error instanceof CodedError && error.code === refused.code, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

test('malformed parameters are refused, each beside one that is well formed', () => {
  const pairs: readonly (readonly [bad: Uint8Array | undefined, good: Uint8Array])[] = [
    [undefined, bytes(3, 1, 9, 5, 0)],
    [bytes(), bytes(3, 0, 5, 0)],
    [bytes(3, 1, 9), bytes(3, 1, 9, 5, 1, 9)],
    [bytes(5, 0, 3, 1, 9), bytes(3, 1, 9, 5, 0)],
    [bytes(3, 0, 3, 0, 5, 0), bytes(3, 0, 5, 0, 6 + 2, 0)],
    [bytes(2, 1, 9, 5, 0), bytes(3, 1, 9, 5, 0, 8, 1, 1)],
    [bytes(3, 0, 5, 0, 7, 0), bytes(3, 0, 5, 0, 8, 0)],
    [bytes(3, 0, 5, 1), bytes(3, 0, 5, 1, 0)],
    [bytes(3, 0, 5), bytes(3, 1, 0, 5, 0)],
    [bytes(3, 0x80, 0, 5, 0), bytes(3, 1, 0x80, 5, 0)],
    [bytes(0x83), bytes(3, 0, 5, 1, 0x83)],
    [bytes(3, 0, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), bytes(3, 0, 5, 2, 0xff, 0xff)],
    [bytes(3, 0, 5, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0), bytes(3, 0, 5, 0, 0x80, 1, 0)],
    [bytes(1, 0, 3, 0, 5, 0), bytes(0, 0, 3, 0, 5, 0)],
  ];
  for (const [bad, good] of pairs) {
    assert.throws(() => parseParameters(bad, 2), refused, bad?.toHex());
    assert.equal(parseParameters(good, 2).length, 2, good.toHex());
  }
});

test('a number counts within its bounds, in its shortest form and without anything behind it', () => {
  const bounds: readonly [number, number] = [10, 300];
  for (const [bad, good] of [
    [bytes(9), bytes(10)],
    [bytes(0xad, 2), bytes(0xac, 2)],
    [bytes(10, 0), bytes(11)],
    [bytes(0x8a, 0), bytes(0x8a, 1)],
    [bytes(), bytes(12)],
    [bytes(0x80), bytes(0x80, 1)],
  ] as const) {
    assert.throws(() => parameterNumber(bad, bounds), refused, bad.toHex());
    assert.ok(parameterNumber(good, bounds) >= 10, good.toHex());
  }
  assert.throws(() => parameterBytes(bytes(1, 2), 3), refused);
  assert.deepEqual(parameterBytes(bytes(1, 2, 3), 3), bytes(1, 2, 3));
});
