import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CodedError } from '@holdfast/base';
import { parseTimeSpan } from './parse-time.ts';
import { pathToText, textToPath } from './path-text.ts';

test('every path is shown as text without control characters that leads back to its bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (path) => {
      const text = pathToText(path);
      assert.doesNotMatch(text, /\p{C}/u);
      assert.deepEqual(Buffer.from(textToPath(text)), Buffer.from(path));
    }),
    { numRuns: 2000 },
  );
  const shown: readonly (readonly [Uint8Array, string])[] = [
    [Buffer.from('/home/Änne/ü 😀'), '/home/Änne/ü 😀'],
    [Buffer.from('/a\nb\u001b[31m'), '/a\\x0ab\\x1b[31m'],
    [Buffer.from('/back\\slash'), '/back\\\\slash'],
    [Uint8Array.of(0x2f, 0xff, 0xc3, 0x28), '/\\xff\\xc3('],
    [Buffer.from('/\u202egnp.exe'), '/\\xe2\\x80\\xaegnp.exe'],
  ];
  for (const [path, text] of shown) assert.equal(pathToText(path), text);
  assert.deepEqual(Buffer.from(textToPath('/plain\\name')), Buffer.from('/plain\\name'));
});

test('times are understood as people write them, and what is none is refused', () => {
  const now = new Date(2026, 2, 15, 12, 30, 45).getTime();
  const at = (...parts: [number, number, number, number, number, number, number?]) => {
    const [year, month, day, hours, minutes, seconds, ms = 0] = parts;
    return new Date(year, month - 1, day, hours, minutes, seconds, ms).getTime();
  };
  const understood: readonly (readonly [string, number])[] = [
    ['now', now],
    ['2 days ago', now - 2 * 86_400_000],
    ['an hour ago', now - 3_600_000],
    ['90  Minutes ago', now - 90 * 60_000],
    ['1 month ago', at(2026, 2, 15, 12, 30, 45)],
    ['yesterday 14:00', at(2026, 3, 14, 14, 0, 59, 999)],
    ['yesterday at 14:00:05', at(2026, 3, 14, 14, 0, 5, 999)],
    ['yesterday', at(2026, 3, 14, 23, 59, 59, 999)],
    ['today 8:05', at(2026, 3, 15, 8, 5, 59, 999)],
    ['8:05', at(2026, 3, 15, 8, 5, 59, 999)],
    ['14:00:07', at(2026, 3, 15, 14, 0, 7, 999)],
    ['2026-03-01', at(2026, 3, 1, 23, 59, 59, 999)],
    ['2026-03-01 14:00', at(2026, 3, 1, 14, 0, 59, 999)],
    ['2026-03-01T14:00:30', at(2026, 3, 1, 14, 0, 30, 999)],
    ['2026-03-01T14:00:00Z', Date.UTC(2026, 2, 1, 14)],
    ['2026-03-01T14:00:00.5+02:00', Date.UTC(2026, 2, 1, 12, 0, 0, 500)],
    ['1999-12-31', at(1999, 12, 31, 23, 59, 59, 999)],
  ];
  for (const [text, expected] of understood) assert.equal(parseTimeSpan(text, now).untilMs, expected, text);
  const refused = [
    '',
    'soon',
    '2 days',
    'ago',
    '2026-02-30',
    '2026-13-01',
    '2026-03-01 24:00',
    '2026-03-01 12:60',
    'yesterday 25:00',
    '25:00',
    '14:00 tomorrow',
    'tomorrow',
    '03/01/2026',
    '1e9 days ago',
    '-1 days ago',
    '2026-03-01T14:00:00+99:99',
  ];
  for (const text of refused) {
    assert.throws(
      () => parseTimeSpan(text, now),
      (error) => error instanceof CodedError && error.code === 'time.invalid',
      text,
    );
  }
});
