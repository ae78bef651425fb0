import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headText, keyLogLines, leafText } from './key-log-lines.ts';

const at = '2026-01-02T03:04:05.678Z';

test('no text of a leaf moves the cursor or turns the direction, and what is plain is shown as it is', () => {
  const plain = '{"kind":"key_registered","name":"Zo\u00EB \u65E5\u672C"}';
  assert.ok(leafText({ logIndex: 3, at, kind: 'key_registered', text: plain }).endsWith(`\n  ${plain}`));
  for (const evil of ['\u001B[2J', '\u009B2J', '\u007F', '\u202E', '\u2066', '\r', '\b']) {
    const shown = leafText({ logIndex: 3, kind: 'unknown', text: `{"a":"${evil}"}` });
    assert.doesNotMatch(shown, /(?!\n)[\p{Cc}\p{Cf}]/u, JSON.stringify(evil));
  }
});

test('what is wrong and what is late is said with when and what to do, and nothing where nothing is', () => {
  assert.deepEqual(keyLogLines({ faults: [], late: [] }), []);
  const fault = { message: 'It forked', at, lastAt: at, remedy: 'compare' };
  const late = [{ message: 'It was not checked', since: at }];
  const lines = keyLogLines(
    {
      faults: [
        { ...fault, count: 1 },
        { ...fault, count: 7 },
      ],
      late,
    },
    (text) => `*${text}*`,
  );
  assert.equal(lines.length, 5);
  assert.match(lines[0]!, /^\*key log\*  It forked \(\S+ \S+\)$/);
  assert.match(lines[1]!, /What to do: compare/);
  assert.match(lines[2]!, /, 7 times until /);
  assert.match(lines[4]!, /It was not checked \(since /);
});

test('a head that is written after something was wrong says so', () => {
  const written = { file: 'head', treeSize: 5 };
  assert.doesNotMatch(headText({ ...written, faults: 0 }), /wrong/);
  assert.match(headText({ ...written, faults: 1 }), /the last that was checked/);
});
