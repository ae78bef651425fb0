import assert from 'node:assert/strict';
import { type ServerResponse } from 'node:http';
import { test } from 'node:test';
import { KEY_LOG_PAGE } from '@holdfast/contract';
import { formatHeadFile, openHeadFile, outlineHash, outlineOf, signCheckpoint, subject } from '@holdfast/trust';
import { hearHead } from './hear-head.ts';
import {
  archiveId,
  at,
  codeOf,
  device,
  keyLeaf,
  stranger,
  deviceUid,
  type Entry,
  escrowLeaf,
  genuine,
  leaf,
  newSigner,
  origin,
  Scene,
  type Shown,
  signer,
} from './key-log-scene.fixture.ts';

/** What a server may show after five genuine leaves, and what the device says of it. */
const lies: Readonly<Record<string, readonly [code: string, lie: (seen: readonly Entry[]) => Shown]>> = {
  'a log with another past': ['key_log.forked', (seen) => ({ entries: [leaf(), ...seen.slice(1), leaf()] })],
  'a log of the same size with another past': ['key_log.forked', (seen) => ({ entries: seen.with(3, leaf()) })],
  'a log with another past and a proof of nothing': [
    'key_log.forked',
    (seen) => ({ entries: [leaf(), ...seen.slice(1), leaf()], proof: [outlineHash(leaf().outline)] }),
  ],
  'two leaves exchanged': [
    'key_log.forked',
    (seen) => ({ entries: [...seen.with(2, seen[3]!).with(3, seen[2]!), leaf()] }),
  ],
  'a leaf removed and the gap closed': [
    'key_log.forked',
    (seen) => ({ entries: [...seen.toSpliced(2, 1), leaf(), leaf()] }),
  ],
  'a log that became shorter': ['key_log.shrunk', (seen) => ({ entries: seen.slice(0, 3) })],
  'an empty log': ['key_log.shrunk', () => ({ entries: [] })],
  'a shorter log with another past': ['key_log.forked', (seen) => ({ entries: [leaf(), ...seen.slice(1, 3)] })],
  'a new leaf that is not the one signed for': [
    'key_log.leaf_altered',
    (seen) => ({ entries: [...seen, leaf()], signed: [...seen, leaf()] }),
  ],
  'new leaves in another order': [
    'key_log.leaf_altered',
    (seen) => {
      const [one, two] = [leaf(), leaf()];
      return { entries: [...seen, two, one], signed: [...seen, one, two] };
    },
  ],
  'a new leaf left out': [
    'key_log.leaf_altered',
    (seen) => {
      const [one, two] = [leaf(), leaf()];
      return { entries: [...seen, two], signed: [...seen, one, two] };
    },
  ],
  'a head signed by another key of the name': [
    'key_log.head_unsigned',
    (seen) => ({ entries: [...seen, leaf()], by: newSigner() }),
  ],
  'a head of the audit log': [
    'key_log.head_unsigned',
    (seen) => ({ entries: [...seen, leaf()], name: signer.key.name }),
  ],
  'a log of more leaves than any has': [
    'key_log.too_long',
    (seen) => ({ entries: seen, size: Number.MAX_SAFE_INTEGER }),
  ],
  'a head with another number': [
    'key_log.head_unsigned',
    (seen) => ({ entries: [...seen, leaf()], note: (text) => text.replace('\n6\n', '\n7\n') }),
  ],
};

for (const [what, [code, lie]] of Object.entries(lies)) {
  test(`${what} is noticed and kept, the genuine log is accepted before and after`, async (t) => {
    const scene = await Scene.start(t);
    const seen = genuine();
    assert.equal(await codeOf(scene.follow({ entries: seen })), 'grown');
    assert.equal(await codeOf(scene.follow({ entries: seen })), 'unchanged');
    const head = scene.book.head();
    assert.deepEqual(scene.book.faults(), []);
    assert.equal(await codeOf(scene.follow(lie(seen))), code);
    assert.deepEqual(scene.book.head(), head, 'what was checked stays');
    const [fault, ...more] = scene.book.faults();
    assert.deepEqual([fault?.code, fault?.count, more.length], [code, 1, 0]);
    const [evidence] = scene.book.evidence();
    assert.match(evidence?.note ?? '', /^holdfast\//);
    assert.equal(evidence?.knownNote, head?.note);
    const again = await scene.follow(scene.shown);
    assert.ok(again.status === 'fault' && !again.isFirst);
    assert.deepEqual([scene.book.faults()[0]?.count, scene.book.faults().length], [2, 1]);
    const entries = [...seen, leaf(archiveId)];
    // What was signed for leaves that nobody showed, and as many as these, is another log.
    if (scene.book.shownHead()?.treeSize === 6) assert.equal(await codeOf(scene.follow({ entries })), 'key_log.forked');
    assert.equal(await codeOf(scene.follow({ entries })), 'grown');
    assert.deepEqual(
      scene.book.ownLeaves().map(({ logIndex }) => logIndex),
      [1, 5],
    );
    assert.ok(
      scene.book.faults().some((kept) => kept.code === code),
      'a fault is not forgotten',
    );
  });
}

/** Leaves that are wrong in themselves, and what the device says of them. */
const wrongLeaves: Readonly<Record<string, readonly [code: string, leaf: () => Entry]>> = {
  'a leaf about the archive without its text': ['key_log.leaf_hidden', () => ({ ...leaf(archiveId), body: undefined })],
  'a leaf about the archive with the text of another': [
    'key_log.leaf_hidden',
    () => ({ ...leaf(archiveId), body: leaf(archiveId).body }),
  ],
  'a text that is not canonical JSON': [
    'key_log.leaf_altered',
    () => {
      const text = '{"kind": "key_registered"}\u001B[2J';
      return { outline: outlineOf(text, [subject.everyone]), body: text };
    },
  ],
};

for (const [what, [code, make]] of Object.entries(wrongLeaves))
  test(`${what} is noticed and kept, and blinds nobody to what comes after it`, async (t) => {
    const scene = await Scene.start(t);
    const seen = genuine();
    await scene.follow({ entries: seen });
    const before = scene.book.head()?.note;
    const wrong = [...seen, make(), leaf()];
    const followed = await scene.follow({ entries: wrong });
    assert.ok(followed.status === 'fault' && followed.isFirst && followed.error.code === code);
    const [evidence] = scene.book.evidence();
    assert.deepEqual([evidence?.note, evidence?.knownNote], [scene.book.head()?.note, before]);
    assert.equal(await codeOf(scene.follow({ entries: wrong })), 'unchanged');
    assert.equal(await codeOf(scene.follow({ entries: [...wrong, leaf(archiveId)] })), 'grown');
    assert.deepEqual(
      scene.book.ownLeaves().map(({ logIndex }) => logIndex),
      [1, 7],
    );
    const faults = scene.book.faults().map(({ code: kept, details, count }) => [kept, details['logIndex'], count]);
    assert.deepEqual(faults, [[code, 5, 1]], 'it is not forgotten');
  });

test('a log is followed from nothing over many pages, and then only by what is new', async (t) => {
  const scene = await Scene.start(t);
  assert.equal(await codeOf(scene.follow({ entries: [] })), 'grown', 'an empty log has a head, too');
  assert.equal(await codeOf(scene.follow({ entries: [] })), 'unchanged');
  const many = Array.from({ length: KEY_LOG_PAGE * 2 + 3 }, (_, index) =>
    index % 1_000 === 7 ? leaf(archiveId) : leaf(),
  );
  const followed = await scene.follow({ entries: many });
  assert.deepEqual(followed, { status: 'grown', leaves: many.length });
  const own = many.flatMap(({ body }, logIndex) => (body === undefined ? [] : [{ logIndex, text: body }]));
  assert.deepEqual(scene.book.ownLeaves(), own);
  scene.asked.length = 0;
  await scene.follow({ entries: [...many, leaf()] });
  const asked = scene.asked.filter((url) => url.includes('/leaves'));
  assert.deepEqual(asked, [`/v1/key-log/own/leaves?from=${many.length}&limit=1&archiveId=${archiveId}`]);
});

test('a second key of this computer in the log is noticed, and its own and those of others are not', async (t) => {
  const own = keyLeaf(device.publicKey);
  const foreign = `${'A'.repeat(42)}E`;
  for (const second of [keyLeaf(foreign), keyLeaf(device.publicKey)]) {
    const scene = await Scene.start(t);
    const genuine = [own, keyLeaf(foreign, stranger), leaf(archiveId)];
    assert.equal(await codeOf(scene.follow({ entries: genuine })), 'grown');
    const entries = [...genuine, second, leaf()];
    assert.equal(await codeOf(scene.follow({ entries })), 'key_log.foreign_key');
    assert.equal(await codeOf(scene.follow({ entries })), 'unchanged', 'the log itself is followed');
    assert.deepEqual(
      scene.book.faults().map(({ code, details }) => [code, details['logIndex']]),
      [['key_log.foreign_key', 3]],
    );
  }
  const scene = await Scene.start(t);
  assert.equal(await codeOf(scene.follow({ entries: [keyLeaf(foreign)] })), 'key_log.foreign_key');
});

test('escrow keys that this computer was given and the log has not, or has otherwise, are noticed', async (t) => {
  const [given, other] = ['a'.repeat(64), 'b'.repeat(64)];
  const who = { device: { ...device, escrowKeys: { number: 2, sha256: given } } };
  const own = [escrowLeaf(1, other), escrowLeaf(2, given), leaf(archiveId)];
  const genuine = await Scene.start(t);
  assert.equal(await codeOf(genuine.follow({ entries: own }, who)), 'grown');
  const rotated = [...own, escrowLeaf(3, other)];
  assert.equal(await codeOf(genuine.follow({ entries: rotated }, who)), 'grown');
  assert.deepEqual(genuine.book.faults(), []);
  const later = [...rotated, escrowLeaf(2, other)];
  assert.equal(await codeOf(genuine.follow({ entries: later }, who)), 'key_log.foreign_escrow_keys');
  for (const entries of [[escrowLeaf(1, other), leaf()], [leaf()], [escrowLeaf(2, other)], [escrowLeaf(1, given)]]) {
    const scene = await Scene.start(t);
    assert.equal(await codeOf(scene.follow({ entries }, who)), 'key_log.foreign_escrow_keys');
    assert.equal(await codeOf(scene.follow({ entries }, who)), 'unchanged', 'it is said once, and the log is followed');
  }
});

test('a leaf of a kind that this version does not know is kept as it is', async (t) => {
  const scene = await Scene.start(t);
  const text = JSON.stringify({ archiveId, at, kind: 'from_the_future', nonce: 'x' });
  const unknown = { outline: outlineOf(text, [subject.archive(archiveId)]), body: text };
  assert.equal(await codeOf(scene.follow({ entries: [leaf(), unknown] })), 'grown');
  assert.deepEqual(scene.book.ownLeaves(), [{ logIndex: 1, text }]);
});

test('of a log that is longer than any no leaf is asked for, and of texts no more is kept than there can be', async (t) => {
  const scene = await Scene.start(t);
  const entries = genuine();
  assert.equal(await codeOf(scene.follow({ entries, size: 1_000_001 })), 'key_log.too_long');
  assert.deepEqual(
    scene.asked.filter((url) => url.includes('/leaves')),
    [],
  );
  const own = Array.from({ length: 20 }, () => leaf(archiveId));
  const length = own.reduce((sum, { body = '' }) => sum + body.length, 0);
  assert.equal(await codeOf(scene.follow({ entries: own }, { mostText: length - 1 })), 'key_log.too_long');
  assert.equal(await codeOf(scene.follow({ entries: own }, { mostText: length })), 'grown');
});

test('a server cannot fill the disk step by step: texts and leaves are counted over all steps', async (t) => {
  const scene = await Scene.start(t);
  const own = Array.from({ length: 6 }, () => leaf(archiveId));
  const lengthOf = (entries: readonly Entry[]) => entries.reduce((sum, { body = '' }) => sum + body.length, 0);
  const mostText = lengthOf(own.slice(0, 5));
  for (const size of [2, 3, 5])
    assert.equal(await codeOf(scene.follow({ entries: own.slice(0, size) }, { mostText })), 'grown', `${size}`);
  assert.equal(await codeOf(scene.follow({ entries: own }, { mostText })), 'key_log.too_long');
  const others = { subjects: [subject.archive(archiveId), subject.everyone], mostText };
  assert.equal(await codeOf(scene.follow({ entries: own.slice(0, 5) }, others)), 'grown', 'who reads anew counts anew');
  const { tree, note } = scene.book.head()!;
  const hashes = new Uint8Array(32 * 3_999_990);
  const full = { size: 3_999_995, peaks: tree.peaks };
  scene.book.advance({ note, tree: full, verifiedAtMs: 0 }, [{ before: tree, hashes, own: [] }], others);
  for (const size of [4_000_001, 4_500_000])
    assert.equal(await codeOf(scene.follow({ entries: own, size }, others)), 'key_log.too_long', `${size}`);
  assert.equal(scene.book.shownHead(), undefined, 'a head that no log can have is not missed for ever');
  hearHead(scene.book, signCheckpoint({ origin, treeSize: 4_000_000, root: new Uint8Array(32) }, [signer]), 0);
  assert.equal(scene.book.shownHead()?.treeSize, 4_000_000);
});

const withheld = (reply: ServerResponse) => void reply.destroy();

for (const [how, more] of Object.entries({ 'of the same size': 0, 'that is longer': 2 }))
  test(`a head whose leaves never came is compared with one ${how}, and both are kept where they are of two logs`, async (t) => {
    const scene = await Scene.start(t);
    const seen = genuine();
    await scene.follow({ entries: seen });
    await assert.rejects(scene.follow({ entries: [...seen, leaf(archiveId), leaf(), leaf()], withheld }));
    const first = scene.book.shownHead()!.note;
    const entries = [...seen, ...Array.from({ length: 3 + more }, () => leaf())];
    assert.equal(await codeOf(scene.follow({ entries })), 'key_log.forked');
    assert.equal(scene.book.head()?.tree.size, seen.length, 'what was checked stays');
    const kept = [...scene.book.evidence()].map(({ note, knownNote }) => [note.split('\n')[1], knownNote]);
    assert.deepEqual(kept, [[`${entries.length}`, first]]);
    assert.equal(await codeOf(scene.follow({ entries })), 'grown', 'it is said for ever, and the log is followed');
    assert.equal(scene.book.faults().length, 1);
  });

test('heads of one log whose leaves come late are no fault, in whichever order they were shown', async (t) => {
  const scene = await Scene.start(t);
  const entries = Array.from({ length: 8 }, () => leaf());
  for (const size of [6, 8, 7])
    await assert.rejects(scene.follow({ entries: entries.slice(0, size), withheld }), `${size}`);
  assert.deepEqual(
    scene.book.shownHeads().map(({ treeSize }) => treeSize),
    [6, 7, 8],
  );
  assert.equal(await codeOf(scene.follow({ entries: entries.slice(0, 7) })), 'grown');
  assert.equal(scene.book.shownHead()?.treeSize, 8);
  assert.equal(await codeOf(scene.follow({ entries })), 'grown');
  assert.deepEqual([scene.book.shownHeads(), scene.book.faults()], [[], []]);
});

test('a second head of the same size is compared at once, also where the leaves of neither come', async (t) => {
  const scene = await Scene.start(t);
  const seen = genuine();
  await scene.follow({ entries: seen });
  const entries = [...seen, leaf(), leaf()];
  for (let times = 0; times < 2; times++) await assert.rejects(scene.follow({ entries, withheld }));
  assert.deepEqual(scene.book.faults(), []);
  assert.equal(await codeOf(scene.follow({ entries: entries.with(5, leaf()), withheld })), 'key_log.forked');
});

test('a longer head without its leaves does not put the one before it out of mind', async (t) => {
  const scene = await Scene.start(t);
  const seen = genuine();
  await scene.follow({ entries: seen });
  await assert.rejects(scene.follow({ entries: [...seen, leaf()], withheld }));
  const other = [...seen, leaf(), leaf()];
  await assert.rejects(scene.follow({ entries: other, withheld }));
  assert.equal(await codeOf(scene.follow({ entries: other })), 'key_log.forked');
});

test('a device that is somebody else now reads again what all leaves say of it', async (t) => {
  const scene = await Scene.start(t);
  const entries = genuine();
  const before = { subjects: [subject.device(deviceUid), subject.everyone] };
  await scene.follow({ entries }, before);
  assert.deepEqual(scene.book.ownLeaves(), []);
  const hashes = scene.book.hashes(0, 9);
  assert.equal(await codeOf(scene.follow({ entries })), 'grown');
  assert.deepEqual(scene.book.hashes(0, 9), hashes);
  assert.deepEqual(
    scene.book.ownLeaves().map(({ logIndex }) => logIndex),
    [1],
  );
  assert.equal(await codeOf(scene.follow({ entries })), 'unchanged');
  const asked = scene.asked.filter((url) => url.includes('/leaves'));
  assert.ok(asked.every((url) => url.includes(`archiveId=${archiveId}`)));
});

test('the head that was checked is written with its leaves, and opens', async (t) => {
  const scene = await Scene.start(t);
  const entries = genuine();
  await scene.follow({ entries });
  const { note, tree, verifiedAtMs } = scene.book.head() ?? assert.fail();
  const leaves = scene.book.hashes(0, tree.size);
  const verifiedAt = new Date(verifiedAtMs).toISOString();
  const file = formatHeadFile({ ...scene.book.pinned, note, verifiedAt, leaves });
  assert.equal(openHeadFile(file).head.treeSize, entries.length);
});
