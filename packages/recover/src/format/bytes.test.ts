import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RecoverError } from '../errors.ts';
import { f, instant, varint } from '../testing/write-structures.ts';
import { type Cursor, formatInstant, readWhole } from './bytes.ts';
import { field, readFields } from './fields.ts';

const read = (bytes: Buffer) => readWhole(bytes, 'test', (cursor: Cursor) => cursor.varint());

test('every number below 2^53 is read back from its shortest varint', () => {
  fc.assert(fc.property(fc.maxSafeNat(), (value) => assert.equal(read(varint(value)), value)));
});

test('a varint that is too long, too great or cut short is refused', () => {
  for (const hex of ['8000', 'ff00', '80', '', '808080808080808001', 'ffffffffffffff7f', '8080808080808010']) {
    assert.throws(() => read(Buffer.from(hex, 'hex')), RecoverError, hex);
  }
  for (const [hex, value] of [
    ['00', 0],
    ['7f', 127],
    ['8001', 128],
    ['ffffffffffffff0f', Number.MAX_SAFE_INTEGER],
  ] as const) {
    assert.equal(read(Buffer.from(hex, 'hex')), value);
  }
});

const rules = { 1: field('a', '!+'), 2: field('b', '*'), 4: field('c', '!') };

test('fields are refused for each rule they break and read where they keep them', () => {
  const [a, b, c] = [f('1!', 7), f('2', 8), f('4!', 9)];
  const bad = [
    [b], // a required field is missing
    [b, a], // tags decrease
    [a, a], // comes twice and may not
    [f('1', 7)], // the wrong c
    [a, f('3!', 1)], // must be understood and is not
    [a.subarray(0, 2)],
    [a, Buffer.of(5, 200)],
  ];
  for (const parts of bad) assert.throws(() => readFields(Buffer.concat(parts), 'test', rules), RecoverError);
  for (const parts of [[a], [a, b], [a, b, b, c], [a, f('3', 1), f('3', 1), c], [a, f('9', 1)]]) {
    assert.equal(readFields(Buffer.concat(parts), 'test', rules).number(1), 7);
  }
  assert.throws(() => readFields(f('1!', Buffer.of(1, 2)), 'test', rules).number(1), RecoverError);
});

test('times before 1970 keep their seconds and nanoseconds', () => {
  const at = readWhole(instant(-1, 500_000_000), 'test', (cursor) => cursor.instant());
  assert.deepEqual(at, { seconds: -1, nanoseconds: 500_000_000 });
  assert.equal(formatInstant(at), '1969-12-31T23:59:59.5Z');
  assert.throws(() => readWhole(instant(0, 1_000_000_000), 'test', (cursor) => cursor.instant()), RecoverError);
});
