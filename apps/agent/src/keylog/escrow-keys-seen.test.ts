import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hearHead } from './hear-head.ts';
import {
  archiveId,
  codeOf,
  device,
  type Entry,
  escrowLeaf,
  leaf,
  newSigner,
  Scene,
  type Shown,
} from './key-log-scene.fixture.ts';

const [ours, theirs] = ['a'.repeat(64), 'b'.repeat(64)];
const given = { number: 2, sha256: ours };
const who = { device: { ...device, escrowKeys: given } };

/** Logs, and what they say of keys that this computer was given under the number 2. */
const logs: Readonly<Record<string, readonly [status: 'logged' | 'other' | 'none', entries: () => readonly Entry[]]>> =
  {
    'the leaf of the keys': ['logged', () => [leaf(), escrowLeaf(1, theirs), escrowLeaf(2, ours), leaf()]],
    'the leaf, and a later number': ['logged', () => [escrowLeaf(2, ours), leaf(), escrowLeaf(3, theirs)]],
    'no leaf of keys': ['none', () => [leaf(), leaf()]],
    'an empty log': ['none', () => []],
    'the keys under another number': ['none', () => [escrowLeaf(1, ours), escrowLeaf(3, ours)]],
    'other keys of the number': ['other', () => [escrowLeaf(2, theirs)]],
    'other keys of the number besides': ['other', () => [escrowLeaf(2, ours), leaf(), escrowLeaf(2, theirs)]],
    'other keys of the number before': ['other', () => [escrowLeaf(2, theirs), escrowLeaf(2, ours)]],
  };

for (const [what, [status, entries]] of Object.entries(logs))
  test(`a log with ${what} says of escrow keys: ${status}, read at once, in steps, and before there is an archive`, async (t) => {
    const whole = entries();
    const atOnce = await Scene.start(t);
    assert.equal((await atOnce.look({ entries: whole }, given)) !== undefined, status === 'logged');
    assert.equal(atOnce.book.escrowKeys(), undefined, 'nothing was kept');
    await atOnce.follow({ entries: whole }, who);
    assert.deepEqual(atOnce.book.escrowKeys(), { sha256: ours, status });
    const inSteps = await Scene.start(t);
    for (const [place] of whole.entries()) await inSteps.follow({ entries: whole.slice(0, place + 1) }, who);
    await inSteps.follow({ entries: [...whole, leaf()] }, who);
    assert.deepEqual(inSteps.book.escrowKeys(), { sha256: ours, status });
    assert.deepEqual(inSteps.reopen().book.escrowKeys(), { sha256: ours, status });
  });

const wrong: Readonly<Record<string, Shown>> = {
  'a head that another key signed': { entries: [escrowLeaf(2, ours)], by: newSigner() },
  'a leaf that the head is not signed for': { entries: [escrowLeaf(2, ours)], signed: [leaf()] },
  'a leaf that is not shown': { entries: [{ ...escrowLeaf(2, ours), body: undefined }] },
  'no leaves': { entries: [escrowLeaf(2, ours)], withheld: (reply) => void reply.writeHead(503).end() },
};
for (const [what, shown] of Object.entries(wrong))
  test(`by ${what} no escrow keys are seen`, async (t) => {
    const scene = await Scene.start(t);
    const seen = await scene.look(shown, given).catch(() => undefined);
    assert.equal(seen, undefined);
    assert.ok(await scene.look({ entries: [escrowLeaf(2, ours)] }, given));
  });

test('a server that shows a log for the look at it and another one afterwards is found out', async (t) => {
  const scene = await Scene.start(t);
  const note = await scene.look({ entries: [escrowLeaf(2, ours), leaf()] }, given);
  hearHead(scene.book, note!, scene.nowMs);
  const other = [escrowLeaf(2, theirs), leaf(), leaf(archiveId)];
  assert.equal(await codeOf(scene.follow({ entries: other }, who)), 'key_log.forked');
});

test('what was known before escrow keys were looked for is read anew', async (t) => {
  const scene = await Scene.start(t);
  const entries = [leaf(), escrowLeaf(2, ours), leaf()];
  await scene.follow({ entries });
  assert.equal(scene.book.escrowKeys(), undefined);
  await scene.follow({ entries }, who);
  assert.deepEqual(scene.book.escrowKeys(), { sha256: ours, status: 'logged' });
});
