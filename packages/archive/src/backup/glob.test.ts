import assert from 'node:assert/strict';
import test from 'node:test';

import fc from 'fast-check';

import { compileGlob } from './glob.ts';

/** The rules as they are written down, tried one way after the other: plain, and far too slow for long names. */
function fits(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  const tails = Array.from({ length: text.length + 1 }, (_, at) => at);
  if (pattern.startsWith('**/')) {
    const rest = pattern.slice(3);
    return fits(rest, text) || tails.some((at) => text[at] === '/' && fits(rest, text.slice(at + 1)));
  }
  if (pattern.startsWith('**')) return tails.some((at) => fits(pattern.slice(2), text.slice(at)));
  if (pattern.startsWith('*')) {
    return tails.some((at) => !text.slice(0, at).includes('/') && fits(pattern.slice(1), text.slice(at)));
  }
  if (text === '') return false;
  const isSame = pattern[0] === '?' ? text[0] !== '/' : pattern[0] === text[0];
  return isSame && fits(pattern.slice(1), text.slice(1));
}

const pieces = ['a', 'b', 'ab', '/', '?', '*', '**', '**/', '/**', '.', '[', 'é'];
const patterns = fc.array(fc.constantFrom(...pieces), { maxLength: 7 }).map((parts) => parts.join(''));
const texts = fc
  .array(fc.constantFrom('a', 'b', '/', '.', '[', 'é', '\n'), { maxLength: 9 })
  .map((parts) => parts.join(''));
const bytes = (text: string) => Buffer.from(text);
const latin1 = (text: string) => bytes(text).toString('latin1');

test('a glob matches what its rules say, for any pattern and any text', () => {
  fc.assert(
    fc.property(patterns, texts, (pattern, text) => {
      assert.equal(compileGlob(pattern)(bytes(text)), fits(latin1(pattern), latin1(text)));
    }),
    { numRuns: 3000 },
  );
});

test('a text made from a pattern matches it, and one byte more at its end does not where the pattern ends in a letter', () => {
  const filled = fc.array(
    fc.oneof(
      fc.constantFrom('a', 'b', '/').map((letter) => [letter, letter] as const),
      fc.constantFrom('x', 'yy').map((run) => ['*', run] as const),
      fc.constantFrom('x', 'y/z').map((run) => ['**', run] as const),
      fc.constant(['?', 'q'] as const),
    ),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(filled, (parts) => {
      const pattern = `${parts.map(([token]) => token).join('')}/end`;
      const text = `${parts.map(([, text]) => text).join('')}/end`;
      const matches = compileGlob(pattern);
      assert.ok(matches(bytes(text)));
      assert.ok(!matches(bytes(`${text}d.`)));
    }),
  );
});

test('bytes that are no text are matched, and a question mark is one of them', () => {
  const name = Buffer.from([0x61, 0xff, 0xfe, 0x0a, 0x62]);
  for (const pattern of ['a*b', 'a???b', '*', '?????', 'a**b']) assert.ok(compileGlob(pattern)(name), pattern);
  for (const pattern of ['a??b', 'a????b', 'a*c', '????']) assert.ok(!compileGlob(pattern)(name), pattern);
});

test('thirty stars against 4,000 bytes take milliseconds', { timeout: 20_000 }, () => {
  const text = bytes('a'.repeat(4000));
  const deep = bytes('a/'.repeat(2000));
  const hard = [
    [`${'*a'.repeat(30)}b`, text],
    [`${'*a'.repeat(30)}b*`, text],
    [`${'**a'.repeat(30)}b`, deep],
    [`${'**/a'.repeat(30)}b*c`, deep],
    [`${'**/'.repeat(30)}b?`, deep],
  ] as const;
  for (const [pattern, subject] of hard) {
    const startedAt = performance.now();
    assert.equal(compileGlob(pattern)(subject), false, pattern);
    const tookMs = performance.now() - startedAt;
    assert.ok(tookMs < 1000, `${pattern} took ${tookMs} ms`);
  }
  assert.ok(compileGlob('*a'.repeat(30))(text));
  assert.ok(compileGlob('**a'.repeat(30).concat('/'))(deep));
});
