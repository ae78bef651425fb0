import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { formsOfSecret, NeedleSearch } from './memory-search.ts';

const secrets = Array.from({ length: 12 }, () => randomBytes(32));
const needles = secrets.flatMap((secret, nth) => formsOfSecret(`secret ${nth}`, secret));
const search = new NeedleSearch(needles);

function foundIn(bytes: Buffer): readonly string[] {
  const found = new Set<string>();
  search.find(bytes, found);
  return [...found];
}

test('a form of a secret is found wherever it begins and ends, and not where one byte of it differs', () => {
  for (const { name, bytes } of needles) {
    for (let at = 0; at < 25; at++) {
      for (const after of [0, 1, 40]) {
        const memory = Buffer.alloc(at + bytes.length + after);
        bytes.copy(memory, at);
        assert.ok(foundIn(memory).includes(name), `${name} at ${at}, ${after} bytes before the end`);
      }
    }
    const other = Buffer.concat([Buffer.alloc(7), bytes, Buffer.alloc(40)]);
    for (const at of [7, 7 + bytes.length - 1]) {
      other[at]! ^= 1;
      assert.ok(!foundIn(other).includes(name), name);
      other[at]! ^= 1;
    }
    assert.ok(foundIn(other).includes(name));
  }
});

test('secrets beside one another are all found, and nothing in memory that has none', () => {
  const names = new Set(needles.filter(({ name }) => name.endsWith('half, raw')).map(({ name }) => name));
  assert.deepEqual(new Set(foundIn(Buffer.concat(secrets))), names);
  assert.deepEqual(foundIn(Buffer.concat(Array.from({ length: 200 }, () => randomBytes(997)))), []);
});

test('what is too short to be found everywhere is refused', () => {
  assert.throws(() => new NeedleSearch([{ name: 'short', bytes: randomBytes(14) }]), /too short/);
  assert.ok(new NeedleSearch([{ name: 'long enough', bytes: randomBytes(15) }]));
});
