import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFileName } from '../format/map-key.ts';
import { escapedName, restoredName } from './restored-name.ts';

const text = (name: Uint8Array) => Buffer.from(name).toString();
const bytes = (name: string) => new TextEncoder().encode(name);
const name = fc.uint8Array({ minLength: 1, maxLength: 600 }).filter(isFileName);

test('the suffix stands before the extension and counts', () => {
  const cases = {
    'notes.txt': ['notes (restored).txt', 'notes (restored 2).txt'],
    '.profile': ['.profile (restored)', '.profile (restored 2)'],
    'no extension': ['no extension (restored)', 'no extension (restored 2)'],
    'archive.tar.gz': ['archive.tar (restored).gz', 'archive.tar (restored 2).gz'],
    'v1.a name that goes on for long': [
      'v1.a name that goes on for long (restored)',
      'v1.a name that goes on for long (restored 2)',
    ],
  };
  for (const [from, [first, second]] of Object.entries(cases)) {
    assert.equal(text(restoredName(bytes(from), 1)), first);
    assert.equal(text(restoredName(bytes(from), 2)), second);
  }
});

test('every restored name is one that a file can have, and differs from the name and from the next', () => {
  fc.assert(
    fc.property(name, fc.integer({ min: 1, max: 9999 }), (from, attempt) => {
      const made = restoredName(from, attempt);
      assert.ok(isFileName(made) && made.length <= 255);
      assert.notDeepEqual(Buffer.from(made), Buffer.from(from));
      assert.notDeepEqual(Buffer.from(made), Buffer.from(restoredName(from, attempt + 1)));
    }),
  );
});

test('a cut name does not end within a character', () => {
  const made = text(restoredName(bytes('ä'.repeat(127)), 1));
  assert.match(made, /^ä+ \(restored\)$/);
});

test('every escaped name is plain ASCII that a file can have on any file system', () => {
  fc.assert(
    fc.property(name, (from) => {
      const made = escapedName(from);
      assert.ok(isFileName(made) && made.length <= 255);
      assert.match(text(made), /^[ -~]+$/);
      assert.doesNotMatch(text(made), /["*/:<>?\\|]/);
    }),
  );
  assert.equal(text(escapedName(bytes('plain name.txt'))), 'plain name.txt');
  assert.equal(text(escapedName(bytes('a:b%c'))), 'a%3Ab%25c');
});

test('two long names that differ at their ends only are escaped differently', () => {
  const [one, other] = ['1', '2'].map((end) => escapedName(bytes(`${'x'.repeat(400)}${end}`)));
  assert.notDeepEqual(one, other);
});
