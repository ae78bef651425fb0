import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareNames, nameBytes, printableName } from './file-name.ts';
import { sortedOrder } from './sort-names.ts';

function pack(names: readonly Uint8Array[]) {
  const starts = new Uint32Array(names.length);
  const lengths = new Uint16Array(names.length);
  let used = 0;
  for (const [i, name] of names.entries()) {
    starts[i] = used;
    lengths[i] = name.length;
    used += name.length;
  }
  return { bytes: new Uint8Array(Buffer.concat(names)), starts, lengths, count: names.length };
}

function assertSorted(names: readonly Uint8Array[]): void {
  const order = sortedOrder(pack(names));
  const sorted = Array.from(order, (place) => Buffer.from(names[place] as Uint8Array).toString('hex'));
  const wanted = names.map((name) => Buffer.from(name)).toSorted((a, b) => Buffer.compare(a, b));
  assert.deepEqual(
    sorted,
    wanted.map((name) => name.toString('hex')),
  );
}

test('names of few different bytes and long common beginnings come out in bytewise order', () => {
  const byte = fc.constantFrom(0, 1, 0x61, 0x62, 0x7f, 0x80, 0xff);
  const name = fc.array(byte, { maxLength: 12 }).map((bytes) => Uint8Array.from(bytes));
  fc.assert(fc.property(fc.array(name, { maxLength: 300 }), assertSorted));
});

test('any names come out in bytewise order', () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 255 }), { maxLength: 100 }), assertSorted));
});

test('sorted, reversed, equal and 255-byte names with one difference at the end come out in bytewise order', () => {
  const numbered = Array.from({ length: 3000 }, (_, i) => nameBytes(`file-${String(i).padStart(6, '0')}`));
  const long = Array.from({ length: 500 }, (_, i) => nameBytes('x'.repeat(252) + String(i).padStart(3, '0')));
  assertSorted(numbered);
  assertSorted(numbered.toReversed());
  assertSorted(long.toReversed());
  assertSorted(Array.from({ length: 1000 }, () => nameBytes('same')));
});

test('comparing two names agrees with Buffer.compare', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 8 }), fc.uint8Array({ maxLength: 8 }), (a, b) => {
      assert.equal(Math.sign(compareNames(a, b)), Buffer.compare(a, b));
    }),
  );
});

test('a name is printed as its text, and where it is not UTF-8 with its bytes', () => {
  assert.equal(printableName(nameBytes('café \u{1f600}\n')), 'café \u{1f600}\n');
  assert.equal(printableName(nameBytes('\ufeffmark')), '\ufeffmark');
  assert.equal(printableName(Uint8Array.of(0x63, 0xe9)), 'c\\xe9');
});
