import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError } from '@holdfast/base';
import fc from 'fast-check';
import { MAX_DEPTH, readForm, readJson, refuseUnstorableText } from './reading.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;

test('JSON that a database can store is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5, noUnicodeString: false }), (value) => {
      const text = JSON.stringify(value);
      if (text.includes('\\u0000') || text.includes('__proto__')) return;
      assert.deepEqual(readJson(bytes(text)), JSON.parse(text));
    }),
  );
});

test('any bytes at all are read or refused with a declared code', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.string({ unit: 'binary' }).map(bytes)), (body) => {
      for (const read of [readJson, readForm]) {
        try {
          read(body);
        } catch (error) {
          assert.ok(error instanceof CodedError && error.kind === 'invalid', String(error));
        }
      }
    }),
  );
});

test('depth is counted outside strings, up to the limit', () => {
  assert.doesNotThrow(() => readJson(bytes(nested(MAX_DEPTH))));
  assert.doesNotThrow(() => readJson(bytes(JSON.stringify({ a: '['.repeat(5_000), b: '\\"[[[' }))));
  for (const text of [nested(MAX_DEPTH + 1), nested(1_000_000), '['.repeat(500_000), '{"a":'.repeat(100_000)])
    assert.throws(() => readJson(bytes(text)), { code: 'request.too_deep' });
});

test('a string that is never closed takes no longer to refuse than to read', () => {
  // Scanned again from each of its quotes, this would take a quarter of a minute.
  for (const tail of ['', '\\', '[', '\\"]']) {
    const body = bytes(`"${'\\"'.repeat(65_536)}${tail}`);
    const began = performance.now();
    assert.throws(() => readJson(body), { code: 'request.invalid_json' });
    assert.ok(performance.now() - began < 1_000, `with ${JSON.stringify(tail)} at its end`);
  }
  assert.equal(readJson(bytes(`"${'\\"'.repeat(65_536)}"`)), '"'.repeat(65_536));
  assert.throws(() => readJson(bytes(`["${nested(99)}\\\\",${nested(MAX_DEPTH)}]`)), { code: 'request.too_deep' });
});

test('NUL, lone surrogates and prototypes are refused with their place, and their look-alikes are read', () => {
  for (const text of ['{"a":["x\\u0000"]}', '{"a":["\\ud800"]}', '{"a":[{"__proto__":1}]}', '{"a":[{"\\u0000":1}]}'])
    assert.throws(() => readJson(bytes(text)), { code: 'request.invalid_text' });
  for (const text of ['{"a":["x\\\\u0000"]}', '{"a":["\\ud83d\\ude00"]}', '{"a":[{"proto":1}]}', '{"constructor":1}'])
    assert.doesNotThrow(() => readJson(bytes(text)));
  assert.throws(
    () => refuseUnstorableText({ a: [1, 'b\u0000'] }),
    (error: CodedError) => error.details['at'] === '/a/1',
  );
});

test('a form is read field by field', () => {
  assert.deepEqual(readForm(bytes('a=1&b=x%20y&a=2&c=')), { a: ['1', '2'], b: 'x y', c: '' });
  assert.throws(() => readForm(bytes('a=%00')), { code: 'request.invalid_text' });
});
