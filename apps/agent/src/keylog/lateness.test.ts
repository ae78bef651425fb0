import assert from 'node:assert/strict';
import { type ServerResponse } from 'node:http';
import { test } from 'node:test';
import { archiveId, codeOf, dayLeaf, genuine, leaf, Scene } from './key-log-scene.fixture.ts';

const refusals: Readonly<Record<string, (reply: ServerResponse) => void>> = {
  'with a refusal': (reply) => reply.writeHead(503).end(),
  'by cutting the connection': (reply) => reply.destroy(),
  'with something else': (reply) => reply.end('{"leaves":"later"}'),
  'with more than is read': (reply) => reply.end(JSON.stringify({ leaves: [], more: 'x'.repeat(17 * 1024 * 1024) })),
};

for (const [how, withheld] of Object.entries(refusals))
  test(`a server that shows a head and withholds its leaves ${how} is known to, until they come`, async (t) => {
    const scene = await Scene.start(t);
    const entries = genuine();
    await scene.follow({ entries });
    const grown = [...entries, leaf(archiveId)];
    await assert.rejects(scene.follow({ entries: grown, withheld }));
    const shown = scene.book.shownHead();
    assert.equal(shown?.treeSize, 6);
    assert.match(shown.note, /^holdfast\/.*\/keys\n6\n/);
    assert.deepEqual(scene.lateAfter(3_599_000), []);
    scene.nowMs += 3_601_000;
    const more = [...grown, leaf()];
    await assert.rejects(scene.follow({ entries: more, withheld }));
    assert.deepEqual([scene.book.shownHead()?.treeSize, scene.book.shownHead()?.sinceMs], [7, shown.sinceMs]);
    assert.deepEqual(scene.lateAfter(0), ['key_log.withheld', 'key_log.unchecked']);
    assert.equal(await codeOf(scene.follow({ entries })), 'unchanged', 'the old head is no answer to the new one');
    assert.deepEqual(scene.lateAfter(0), ['key_log.withheld']);
    assert.equal(await codeOf(scene.follow({ entries: [...more, leaf()] })), 'grown');
    assert.deepEqual([scene.lateAfter(0), scene.book.shownHead()], [[], undefined]);
  });

test('a log that is not checked for an hour is said to be, whatever the clock shows, and one that is checked is not', async (t) => {
  const scene = await Scene.start(t);
  assert.deepEqual(scene.lateAfter(0), []);
  assert.deepEqual(scene.lateAfter(3_601_000), ['key_log.unchecked'], 'nothing came since it was begun');
  const entries = genuine();
  await scene.follow({ entries });
  scene.nowMs += 7_200_000;
  assert.deepEqual(scene.lateAfter(0), ['key_log.unchecked']);
  assert.equal(await codeOf(scene.follow({ entries })), 'unchanged');
  assert.deepEqual(scene.lateAfter(0), []);
  assert.deepEqual(scene.lateAfter(-3_601_000), ['key_log.unchecked'], 'a clock that was set back');
});

test('the leaf of a day that does not come is missed where one came before', async (t) => {
  const scene = await Scene.start(t);
  const hours = (count: number) => count * 3_600_000;
  const none = genuine();
  await scene.follow({ entries: none });
  scene.nowMs += hours(100);
  await scene.follow({ entries: none });
  assert.deepEqual(scene.lateAfter(0), [], 'there was none before');
  const first = [...none, dayLeaf('2026-01-06')];
  await scene.follow({ entries: first });
  scene.nowMs += hours(47);
  await scene.follow({ entries: first });
  assert.deepEqual(scene.lateAfter(0), []);
  scene.nowMs += hours(2);
  const earlier = [...first, dayLeaf('2026-01-05')];
  await scene.follow({ entries: earlier });
  assert.deepEqual(scene.lateAfter(0), ['key_log.daily_missing'], 'one of an earlier day is not a new one');
  await scene.follow({ entries: [...earlier, dayLeaf('2026-01-08')] });
  assert.deepEqual(scene.lateAfter(0), []);
});

test('a log that shows its days more slowly than they come is missed after some of them, and one in step never', async (t) => {
  const scene = await Scene.start(t);
  const hour = 3_600_000;
  const [start, dayOf] = [scene.nowMs, (ms: number) => new Date(ms).toISOString().slice(0, 10)];
  let entries = genuine();
  const late = new Set<string>();
  const show = async (day: string) => {
    entries = [...entries, dayLeaf(day)];
    await scene.follow({ entries });
    for (const code of scene.lateAfter(0)) late.add(code);
  };
  for (let day = 0; day < 10; day++, scene.nowMs += 24 * hour) await show(dayOf(scene.nowMs));
  assert.deepEqual([...late], []);
  // One that is two days behind, after a server was off.
  scene.nowMs += 24 * hour;
  await show(dayOf(scene.nowMs - 48 * hour));
  assert.deepEqual([...late], []);
  for (let day = 10; late.size === 0 && day < 30; day++, scene.nowMs += 40 * hour)
    await show(dayOf(start + day * 24 * hour));
  assert.deepEqual([...late], ['key_log.daily_missing']);
  assert.ok(scene.nowMs - start < 22 * 24 * hour, dayOf(scene.nowMs));
});

test('a leaf of a day to come does not stand for the days until then', async (t) => {
  const scene = await Scene.start(t);
  const entries = [...genuine(), dayLeaf('2026-01-02')];
  for (const day of ['2026-01-04', '9999-12-31']) entries.push(dayLeaf(day));
  await scene.follow({ entries });
  assert.equal(scene.book.seenDay()?.day, '2026-01-02');
  await scene.follow({ entries: [...entries, dayLeaf('2026-01-03')] });
  assert.equal(scene.book.seenDay()?.day, '2026-01-03', 'one by the clock of a server that is ahead');
});
