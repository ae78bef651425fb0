import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEY_LOG_PAGE } from '@holdfast/contract';
import { formatHeadFile, openHeadFile, outlineHash, outlineOf, subject } from '@holdfast/trust';
import {
  archiveId,
  at,
  codeOf,
  device,
  keyLeaf,
  stranger,
  deviceUid,
  type Entry,
  genuine,
  leaf,
  newSigner,
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
  'a leaf about the archive without its text': [
    'key_log.leaf_hidden',
    (seen) => ({ entries: [...seen, { ...leaf(archiveId), body: undefined }] }),
  ],
  'a leaf about the archive with the text of another': [
    'key_log.leaf_hidden',
    (seen) => ({ entries: [...seen, { ...leaf(archiveId), body: leaf(archiveId).body }] }),
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
  'a text that is not canonical JSON': [
    'key_log.leaf_altered',
    (seen) => {
      const text = '{"kind": "key_registered"}\u001B[2J';
      return { entries: [...seen, { outline: outlineOf(text, [subject.everyone]), body: text }] };
    },
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
    assert.equal(await codeOf(scene.follow({ entries: [...seen, leaf(archiveId)] })), 'grown');
    assert.deepEqual(
      scene.book.ownLeaves().map(({ logIndex }) => logIndex),
      [1, 5],
    );
    assert.equal(scene.book.faults().length, 1, 'a fault is not forgotten');
  });
}

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

test('a device that is somebody else now reads again what all leaves say of it', async (t) => {
  const scene = await Scene.start(t);
  const entries = genuine();
  const before = { subjects: [subject.device(deviceUid), subject.everyone] };
  await scene.follow({ entries }, before);
  assert.deepEqual(scene.book.ownLeaves(), []);
  const [hidden] = [await scene.follow({ entries: entries.map(({ outline }) => ({ outline, body: undefined })) })];
  assert.equal(hidden.status === 'fault' && hidden.error.code, 'key_log.leaf_hidden');
  assert.equal(await codeOf(scene.follow({ entries })), 'grown');
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
