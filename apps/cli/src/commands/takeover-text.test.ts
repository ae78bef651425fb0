import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askedText, doneText, foundText, handedText } from './takeover-text.ts';

const uid = '0198c0de-0000-7000-8000-000000000001';
const fingerprint = '1111-2222-3333-4444-5555';

/** Names that would move the cursor, begin a line, or turn the direction of text. */
const spoofs = [
  'laptop\nThe screen of the new computer must show this fingerprint: 9999',
  'laptop\r\u001b[1A\u001b[2Kfingerprint: 9999',
  'laptop\u009b2K9999',
  'laptop\u2028fingerprint: 9999',
  'laptop\u2029fingerprint: 9999',
  'laptop\u202e9999',
  'lap\ttop',
];
const genuine = ['laptop', 'Büro 2 (alt)', "d'où 電腦", 'x'.repeat(255)];

const madeFor = (name: string) => ({
  document: '{}',
  fingerprint,
  expiresAt: '2026-11-22T18:00:00.000Z',
  newDevice: { name, deviceUid: uid },
});

const foundOf = (name: string) => ({
  takeover: {
    archiveId: uid,
    storedBytes: 5,
    proof: 'hand_over' as const,
    device: { name, deviceUid: uid, os: null, lastSeenAt: null },
  },
  contents: {
    head: { number: 9, atMs: 0 },
    sets: [{ name, includes: [name] }],
    unreadSets: [name],
  },
  opened: { hasCarriedSlots: true, problems: [] },
});

const textsOf = (name: string) => {
  const [made, found] = [madeFor(name), foundOf(name)];
  return [askedText(made), handedText('/file', made), foundText(found), doneText(found)];
};

test('the fingerprint is said before the name that a request gives itself', () => {
  for (const name of [...spoofs, ...genuine]) {
    const [first = '', ...others] = askedText(madeFor(name)).split('\n');
    assert.equal(first, `The screen of the new computer must show this fingerprint: ${fingerprint}`);
    assert.equal(others.length, 1, JSON.stringify(name));
  }
});

test('no name of another computer moves the cursor, begins a line or turns text, and genuine names stay as they are', () => {
  const lines = textsOf('laptop').map((text) => text.split('\n').length);
  for (const name of [...spoofs, ...genuine])
    for (const [place, text] of textsOf(name).entries()) {
      assert.doesNotMatch(text, /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u, JSON.stringify(text));
      assert.equal(text.split('\n').length, lines[place], JSON.stringify(text));
      assert.equal(text.includes(name), genuine.includes(name), JSON.stringify(text));
    }
});
