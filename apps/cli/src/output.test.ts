import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOutput } from './output.ts';

test('JSON has nothing in it that a terminal acts on, and is the same value for programs', () => {
  const written: string[] = [];
  const stdout = { write: (text: string) => written.push(text) };
  const output = createOutput(true, { stdout, stderr: stdout } as unknown as Parameters<typeof createOutput>[1]);
  const value = { text: 'Zo\u00EB \u65E5 \u{1F600} \u001B[2J \u009B2J \u007F \u202E \u{E0001} \n' };
  output.result(value, '');
  const text = written.join('');
  assert.ok(text.endsWith('}\n'));
  assert.doesNotMatch(text.trimEnd(), /[\p{Cc}\p{Cf}]/u);
  assert.match(text, /Zo\u00EB \u65E5 \u{1F600}/u, 'what is plain stays as it is');
  assert.deepEqual(JSON.parse(text), value);
});
