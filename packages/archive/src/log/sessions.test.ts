import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSigningKey } from '../crypto/ed25519.node.ts';
import { ordinalOf } from '../format/ordinal.ts';
import { seededBytes } from './fixtures.ts';
import { LogWriter, nameOf, sha256Of } from './log-writer.fixture.ts';
import { checkRecords } from './record-checks.ts';
import {
  acknowledgeFragment,
  emptyLogState,
  fragmentWindow,
  judgeFragment,
  judgeSession,
  type LogState,
  openSession,
} from './sessions.ts';

const [a, b, c] = ['a', 'b', 'c'].map((letter) => letter.repeat(64)) as [string, string, string];

test('what a writer does after a session opened follows from heads alone', () => {
  const own = new Map([
    [1, a],
    [2, b],
    [3, c],
  ]);
  const ownCommit = (number: number) => own.get(number);
  const cases = [
    [undefined, undefined, { status: 'go_on' }],
    [undefined, { number: 2, sha256: b }, { status: 'send', fromCommit: 1 }],
    [{ number: 2, sha256: b }, { number: 2, sha256: b }, { status: 'go_on' }],
    [
      { number: 3, sha256: c },
      { number: 2, sha256: b },
      { status: 'take_up', head: { number: 3, sha256: c } },
    ],
    [{ number: 1, sha256: a }, undefined, { status: 'take_up', head: { number: 1, sha256: a } }],
    [
      { number: 1, sha256: a },
      { number: 3, sha256: c },
      { status: 'send', fromCommit: 2 },
    ],
    [
      { number: 4, sha256: a },
      { number: 3, sha256: c },
      { status: 'new_writer', head: { number: 4, sha256: a } },
    ],
    [
      { number: 2, sha256: a },
      { number: 2, sha256: b },
      { status: 'new_writer', head: { number: 2, sha256: a } },
    ],
    [
      { number: 1, sha256: b },
      { number: 3, sha256: c },
      { status: 'new_writer', head: { number: 1, sha256: b } },
    ],
  ] as const;
  for (const [head, known, verdict] of cases) assert.deepEqual(judgeSession(head, known, ownCommit), verdict);
});

test('the newest session wins, and its answer compares heads', () => {
  const state: LogState = { ...emptyLogState, head: { number: 5, sha256: a, checkpoint: 3 }, nextFragment: 9 };
  const expected = [
    [{ number: 5, sha256: a }, 'same'],
    [{ number: 5, sha256: b }, 'differs'],
    [{ number: 4, sha256: b }, 'ahead'],
    [undefined, 'ahead'],
    [{ number: 6, sha256: b }, 'behind'],
  ] as const;
  let now = state;
  for (const [known, comparison] of expected) {
    const { state: opened, answer } = openSession(now, known);
    assert.deepEqual(answer, {
      sessionEpoch: now.sessionEpoch + 1,
      nextFragment: 9,
      comparison,
      head: { number: 5, sha256: a },
    });
    now = opened;
  }
  const fragment = { sequence: 9, sha256: a };
  assert.deepEqual(judgeFragment(now, { ...fragment, sessionEpoch: 4 }), { status: 'refused', reason: 'fenced' });
  assert.deepEqual(judgeFragment(now, { ...fragment, sessionEpoch: 6 }), { status: 'refused', reason: 'fenced' });
  assert.deepEqual(judgeFragment(now, { ...fragment, sessionEpoch: 5 }), { status: 'accept' });
  assert.deepEqual(judgeFragment(emptyLogState, { ...fragment, sequence: 1, sessionEpoch: 0 }), {
    status: 'refused',
    reason: 'fenced',
  });
});

test('fragments come one by one: again with the same bytes is fine, early ones wait, all else is refused', () => {
  let state = openSession(emptyLogState, undefined).state;
  const name = (sequence: number, sha256 = sha256Of(seededBytes(sequence, 8))) => ({
    sessionEpoch: 1,
    sequence,
    sha256,
  });
  for (let sequence = 1; sequence <= 60; sequence++) {
    assert.deepEqual(judgeFragment(state, name(sequence)), { status: 'accept' });
    state = acknowledgeFragment(state, name(sequence));
  }
  const judged = (sequence: number, sha256?: string) => judgeFragment(state, name(sequence, sha256));
  for (const sequence of [60, 59, 60 - fragmentWindow]) assert.deepEqual(judged(sequence), { status: 'repeated' });
  for (const sequence of [62, 60 + fragmentWindow]) assert.deepEqual(judged(sequence), { status: 'early' });
  assert.deepEqual(judged(60, a), { status: 'refused', reason: 'fragment_differs' });
  for (const sequence of [61 + fragmentWindow, 1, 0, -5, 2 ** 40]) {
    assert.deepEqual(judged(sequence), { status: 'refused', reason: 'fragment_order' });
  }
});

/** The state after a header, a first keyring and three commits. */
function begun() {
  const writer = new LogWriter();
  const records = [writer.header, writer.makeKeyring()];
  const first = writer.makeCommit(10, undefined, { checkpoint: 1 });
  const second = writer.makeCommit(20, nameOf(1, first), { checkpoint: 1 });
  const third = writer.makeCommit(30, nameOf(2, second), { checkpoint: 1 });
  records.push(writer.makeBlock(5, 600), first, second, third);
  const verdict = checkRecords(
    emptyLogState,
    writer.archiveId,
    records.map((bytes) => ({ bytes, isKnown: false })),
  );
  assert.equal(verdict.status, 'fit');
  return { writer, state: verdict.status === 'fit' ? verdict.state : emptyLogState, commits: [first, second, third] };
}

test('header, keyring and commits make up the state of an archive', () => {
  const { writer, state, commits } = begun();
  assert.deepEqual(state.head, { ...nameOf(3, commits[2]!), checkpoint: 1 });
  assert.deepEqual(state.keyring, { number: 1, sha256: writer.keyring.sha256.toHex() });
  assert.deepEqual(state.writers, [{ number: 0, publicKey: writer.keys[0]!.publicKey.toHex(), firstCommit: 1 }]);
});

test('a record that does not fit is refused with its ordinal, one that fits is taken', () => {
  const { writer, state, commits } = begun();
  const head = nameOf(3, commits[2]!);
  const fits = (bytes: Uint8Array, isKnown = false) => checkRecords(state, writer.archiveId, [{ bytes, isKnown }]);
  const stranger = createSigningKey(seededBytes(77, 32));
  const flipped = (record: Uint8Array) => {
    const copy = Uint8Array.from(record);
    copy[copy.length - 1]! ^= 1;
    return copy;
  };
  const other = new LogWriter();
  other.makeKeyring();
  const accepted: Record<string, Uint8Array> = {
    'the next commit': writer.makeCommit(40, head),
    'a later checkpoint': writer.makeCommit(40, nameOf(8, commits[0]!), { checkpoint: 9, number: 9 }),
    'a block of a listed writer': writer.makeBlock(41, 100),
    'a live set of the head': writer.makeLive(42, 1, head),
    'a live set of an earlier commit': writer.makeLive(42, 1, nameOf(2, commits[1]!)),
    'the next keyring': other.makeKeyring(),
    'the header again': writer.header,
  };
  const refused: Record<string, Uint8Array> = {
    'a commit with a gap': writer.makeCommit(40, nameOf(4, commits[2]!)),
    'a commit after another one': writer.makeCommit(40, { ...head, sha256: a }),
    'a commit number again': writer.makeCommit(40, nameOf(2, commits[1]!)),
    'an older checkpoint': writer.makeCommit(40, nameOf(1, commits[0]!), { checkpoint: 2 }),
    'a commit of a stranger': writer.makeCommit(40, head, { key: stranger }),
    'a commit with a broken signature': flipped(writer.makeCommit(40, head)),
    'a commit under a number of a writer that is not listed': writer.makeCommit(ordinalOf(1, 5), head, {
      key: writer.keys[0]!,
    }),
    'a block of a writer that is not listed': writer.makeBlock(ordinalOf(1, 5), 100),
    'a block in the place of a keyring': writer.makeBlock(1, 100),
    'a live set of a commit to come': writer.makeLive(42, 1, { number: 9, sha256: a }),
    'a live set of another head': writer.makeLive(42, 1, { number: 3, sha256: a }),
    'a live set with a broken signature': flipped(writer.makeLive(42, 1, head)),
    'a header of another archive': flipped(writer.header),
    'a keyring with a broken signature': flipped(new LogWriter().makeKeyring()),
    'a first keyring again': new LogWriter().makeKeyring(),
  };
  for (const [what, bytes] of Object.entries(accepted)) assert.equal(fits(bytes).status, 'fit', what);
  for (const [what, bytes] of Object.entries(refused)) assert.equal(fits(bytes).status, 'refused', what);
  for (const bytes of commits) assert.deepEqual(fits(bytes, true), { status: 'fit', state });
});

test('a new writer comes in with a keyring of its own, and from then on only it signs commits', () => {
  const { writer, state, commits } = begun();
  const check = (at: LogState, bytes: Uint8Array) => checkRecords(at, writer.archiveId, [{ bytes, isKnown: false }]);
  const early = begun().writer.makeKeyring({ firstCommit: 3 });
  assert.equal(check(state, early).status, 'refused');
  const takeover = check(state, writer.makeKeyring({ firstCommit: 4 }));
  assert.equal(takeover.status, 'fit');
  const after = takeover.status === 'fit' ? takeover.state : state;
  const head = nameOf(3, commits[2]!);
  assert.equal(check(after, writer.makeCommit(50, head, { key: writer.keys[0]! })).status, 'refused');
  assert.equal(check(after, writer.makeCommit(ordinalOf(1, 7), head, { key: writer.keys[0]! })).status, 'refused');
  assert.equal(check(after, writer.makeCommit(ordinalOf(1, 7), head)).status, 'fit');
  assert.equal(check(after, writer.makeBlock(51, 100)).status, 'fit');
  const removed = new LogWriter();
  removed.keyring = writer.keyring;
  assert.equal(check(after, removed.makeKeyring()).status, 'refused');
  const two = begun().writer;
  two.makeKeyring({ firstCommit: 4 });
  two.keyring = { number: 1, sha256: Uint8Array.fromHex(state.keyring!.sha256) };
  assert.equal(check(state, two.makeKeyring({ firstCommit: 5 })).status, 'refused');
});
