import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appendLeaves, emptyTree, outlineHash, rootOf, signCheckpoint } from '@holdfast/trust';
import { hearHead } from './hear-head.ts';
import { codeOf, type Entry, genuine, leaf, newSigner, origin, Scene, signer } from './key-log-scene.fixture.ts';

/** The head that a server signs over some leaves. */
function noteOf(entries: readonly Entry[], { name = origin, by = signer } = {}): string {
  const { state } = appendLeaves(
    emptyTree,
    entries.map(({ outline }) => outlineHash(outline)),
  );
  return signCheckpoint({ origin: name, treeSize: entries.length, root: rootOf(state) }, [by]);
}

const codesIn = ({ book }: Scene) => book.faults().map(({ code }) => code);

test('a head of the same log that was heard is no news, however old', async (t) => {
  const scene = await Scene.start(t);
  const entries = genuine();
  assert.equal(await codeOf(scene.follow({ entries })), 'grown');
  for (let size = 0; size <= entries.length; size++) hearHead(scene.book, noteOf(entries.slice(0, size)), scene.nowMs);
  assert.deepEqual([codesIn(scene), scene.book.shownHead()], [[], undefined]);
});

test('a heard head over other leaves is kept as proof of two logs', async (t) => {
  const scene = await Scene.start(t);
  const entries = genuine();
  await scene.follow({ entries });
  const heads = [noteOf(entries.with(1, leaf())), noteOf([leaf(), ...entries.slice(1, 3)])];
  for (const note of heads) hearHead(scene.book, note, scene.nowMs);
  assert.deepEqual(codesIn(scene), ['key_log.forked']);
  // Both came within one millisecond.
  const kept = [...scene.book.evidence()].map(({ note }) => note);
  assert.deepEqual(kept.toSorted(), heads.toSorted());
});

test('a longer head that was heard is missed until the server shows its leaves', async (t) => {
  const scene = await Scene.start(t);
  const entries = genuine();
  const more = [...entries, leaf(), leaf()];
  await scene.follow({ entries });
  hearHead(scene.book, noteOf(more), scene.nowMs);
  assert.deepEqual(scene.lateAfter(0), []);
  await scene.follow({ entries });
  assert.ok(scene.lateAfter(7_200_000).includes('key_log.withheld'), 'the server goes on to show the shorter one');
  await scene.follow({ entries: more });
  assert.deepEqual([codesIn(scene), scene.book.shownHead()], [[], undefined]);
});

test('a heard head of another log, or of no key that is known, says nothing', async (t) => {
  const scene = await Scene.start(t);
  const entries = genuine();
  await scene.follow({ entries });
  const other = [leaf(), ...entries.slice(1)];
  const strange = [noteOf(other, { by: newSigner() }), noteOf(other, { name: `${origin}x` }), 'no note', ''];
  for (const note of strange) hearHead(scene.book, note, scene.nowMs);
  assert.deepEqual([codesIn(scene), scene.book.shownHead()], [[], undefined]);
  hearHead(scene.book, noteOf(other), scene.nowMs);
  assert.deepEqual(codesIn(scene), ['key_log.forked'], 'with the right name and key the same leaves are a fault');
});
