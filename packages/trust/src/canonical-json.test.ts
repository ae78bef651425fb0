import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson, canonicalJsonBytes, parseCanonicalJson, type Json } from './canonical-json.ts';

/** IEEE 754 bits and their text: RFC 8785, appendix B, its finite rows. */
const publishedNumbers: readonly (readonly [string, string])[] = [
  ['0000000000000000', '0'],
  ['8000000000000000', '0'],
  ['0000000000000001', '5e-324'],
  ['8000000000000001', '-5e-324'],
  ['7fefffffffffffff', '1.7976931348623157e+308'],
  ['ffefffffffffffff', '-1.7976931348623157e+308'],
  ['4340000000000000', '9007199254740992'],
  ['c340000000000000', '-9007199254740992'],
  ['4430000000000000', '295147905179352830000'],
  ['44b52d02c7e14af5', '9.999999999999997e+22'],
  ['44b52d02c7e14af6', '1e+23'],
  ['44b52d02c7e14af7', '1.0000000000000001e+23'],
  ['444b1ae4d6e2ef4e', '999999999999999700000'],
  ['444b1ae4d6e2ef4f', '999999999999999900000'],
  ['444b1ae4d6e2ef50', '1e+21'],
  ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
  ['3eb0c6f7a0b5ed8d', '0.000001'],
  ['41b3de4355555553', '333333333.3333332'],
  ['41b3de4355555554', '333333333.33333325'],
  ['41b3de4355555555', '333333333.3333333'],
  ['41b3de4355555556', '333333333.3333334'],
  ['41b3de4355555557', '333333333.33333343'],
  ['becbf647612f3696', '-0.0000033333333333333333'],
  ['43143ff3c1cb0959', '1424953923781206.2'],
];

function doubleOf(bits: string): number {
  return new DataView(Uint8Array.fromHex(bits).buffer).getFloat64(0);
}

test('numbers are written as RFC 8785 publishes them, and NaN and the infinities are refused', () => {
  for (const [bits, text] of publishedNumbers) assert.equal(canonicalJson(doubleOf(bits)), text, bits);
  for (const bits of ['7fffffffffffffff', '7ff0000000000000', 'fff0000000000000'])
    assert.throws(() => canonicalJson([doubleOf(bits)]), { code: 'canonical_json.not_representable' }, bits);
});

test('members are sorted by UTF-16 code units, so a surrogate pair comes before U+FB33', () => {
  // RFC 8785, section 3.2.3.
  const members = ['\u20ac', '\r', '\ufb33', '1', '\ud83d\ude00', '\u0080', '\u00f6'];
  const written = canonicalJson(Object.fromEntries(members.map((name) => [name, 0])));
  const sorted = ['\r', '1', '\u0080', '\u00f6', '\u20ac', '\ud83d\ude00', '\ufb33'];
  assert.deepEqual(Object.keys(JSON.parse(written) as object).toSorted(), sorted.toSorted());
  assert.equal(
    written,
    `{"1":0,`.replace('{', '{"\\r":0,') +
      sorted
        .slice(2)
        .map((n) => `"${n}":0`)
        .join(',') +
      '}',
  );
});

test('the example of RFC 8785 section 3.2 has the published form', () => {
  const value: Json = {
    numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
    string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
    literals: [null, true, false],
  };
  const published =
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
    '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}';
  assert.equal(canonicalJson(value), published);
  assert.deepEqual(canonicalJsonBytes(value), new TextEncoder().encode(published));
});

test('what JSON would silently drop or change is refused by its place, and its plain neighbours are written', () => {
  const hole: unknown[] = [];
  hole[1] = 2;
  const refused: readonly (readonly [unknown, string])[] = [
    [{ a: undefined }, '/a'],
    [[1, undefined], '/1'],
    [hole, '/0'],
    [{ a: { 'b/c': () => 1 } }, '/a/b~1c'],
    [[10n], '/0'],
    [{ at: new Date(0) }, '/at'],
    [[new Map()], '/0'],
    [{ a: '\ud800' }, '/a'],
    [{ '\udc00': 1 }, '/\udc00'],
    [[Symbol('s')], '/0'],
  ];
  for (const [value, at] of refused)
    assert.throws(
      () => canonicalJson(value as Json),
      (error: { code: string; details: { at: string } }) =>
        error.code === 'canonical_json.not_representable' && error.details.at === at,
    );
  const written: readonly (readonly [Json, string])[] = [
    [{ a: null }, '{"a":null}'],
    [[1, null], '[1,null]'],
    [[], '[]'],
    [{ a: { 'b/c': 1 } }, '{"a":{"b/c":1}}'],
    [[10], '[10]'],
    [{ at: '1970-01-01T00:00:00.000Z' }, '{"at":"1970-01-01T00:00:00.000Z"}'],
    [Object.create(null) as Json, '{}'],
    [{ a: '\ud800\udc00' }, '{"a":"\ud800\udc00"}'],
    [{ ['__proto__']: 1 }, '{"__proto__":1}'],
    ['', '""'],
  ];
  for (const [value, text] of written) assert.equal(canonicalJson(value), text);
});

test('nesting ends at 64, far from the end of the stack', () => {
  const nested = (levels: number): Json => (levels === 0 ? 0 : [nested(levels - 1)]);
  assert.equal(canonicalJson(nested(64)), `${'['.repeat(64)}0${']'.repeat(64)}`);
  assert.throws(() => canonicalJson(nested(65)), { code: 'canonical_json.too_deep' });
  const cycle: Record<string, unknown> = {};
  cycle['again'] = cycle;
  assert.throws(() => canonicalJson(cycle as Json), { code: 'canonical_json.too_deep' });
});

test('any JSON value reads back equal, whatever order its members were made in', () => {
  // All characters, as the unit `binary` has them, which takes seconds to list them all.
  const character = fc.oneof(fc.integer({ min: 0, max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff })).map(
    (code) => String.fromCodePoint(code),
    // It lets names like `__proto__` be tried, which fast-check prefers.
    (text) => String(text).codePointAt(0) ?? -1,
  );
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: character }), (value) => {
      const normal = JSON.parse(JSON.stringify(value)) as Json;
      const text = canonicalJson(normal);
      assert.deepEqual(parseCanonicalJson(text), normal);
      assert.equal(canonicalJson(reversed(normal)), text);
    }),
    { numRuns: 300 },
  );
});

test('text with another spelling of the same value is refused, the canonical spelling accepted', () => {
  for (const text of ['{"a":1,"a":1}', '{"b":1,"a":2}', '{"a": 1}', '1.0', '"\\u0041"', '-0', '[1,]', '', '1 '])
    assert.throws(() => parseCanonicalJson(text), { code: 'canonical_json.not_canonical' }, text);
  for (const text of ['{"a":1}', '{"a":2,"b":1}', '{"a":"1 "}', '1', '"A"', '0', '[1]', '""', 'null'])
    assert.equal(canonicalJson(parseCanonicalJson(text)), text);
});

function reversed(value: Json): Json {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(reversed);
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, member]) => [name, reversed(member)]),
  );
}
