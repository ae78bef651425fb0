import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { TestAgent } from '../testing.ts';
import { genuine, leaf, Scene, type Entry } from './key-log-scene.fixture.ts';

/** An agent whose archive has the head of a log of these leaves in its newest commits; it is stopped. */
async function archiveWithHead(t: TestContext, entries: readonly Entry[]) {
  const agent = new TestAgent();
  t.after(() => agent.remove());
  const seen = await knowing(t, entries);
  agent.write('file', 'content');
  await agent.start({ keyLog: () => seen.book });
  await agent.addDestination();
  await agent.untilProtected();
  await agent.stop();
  return { agent, note: seen.book.head()!.note };
}

/** Who followed a log of these leaves. */
async function knowing(t: TestContext, entries: readonly Entry[]): Promise<Scene> {
  const scene = await Scene.start(t);
  await scene.follow({ entries });
  return scene;
}

/** Starts the agent without its index, so that it goes on from the archive; what it knows of the log then. */
async function begunAnew(agent: TestAgent, scene: Scene) {
  rmSync(path.join(agent.options.stateDir, 'index.db'));
  await agent.start({ keyLog: () => scene.book });
  await agent.ask('backup');
  await agent.stop();
  return { shown: scene.book.shownHead()?.note, faults: scene.book.faults().map(({ code }) => code) };
}

test('a head in the commits of the archive is missed by a device that lost all it knew, until the server shows its leaves', async (t) => {
  const entries = genuine();
  const { agent, note } = await archiveWithHead(t, entries);
  const scene = await Scene.start(t);
  assert.deepEqual(await begunAnew(agent, scene), { shown: note, faults: [] });
  await scene.follow({ entries: entries.slice(0, 3) });
  assert.ok(scene.lateAfter(7_200_000).includes('key_log.withheld'), 'a server that was set back');
  await scene.follow({ entries });
  assert.equal(scene.book.shownHead(), undefined);
});

test('two views of one log meet in the archive, and one view of it is no fault', async (t) => {
  const entries = genuine();
  const { agent } = await archiveWithHead(t, entries);
  const same = await knowing(t, [...entries, leaf()]);
  assert.deepEqual(await begunAnew(agent, same), { shown: undefined, faults: [] });
  const other = await knowing(t, [leaf(), ...entries]);
  assert.deepEqual(await begunAnew(agent, other), { shown: undefined, faults: ['key_log.forked'] });
});

test('what lives before the last one were shown is compared, too', async (t) => {
  const entries = genuine();
  const { agent } = await archiveWithHead(t, entries);
  const second = await knowing(t, [leaf(), ...entries.slice(1)]);
  agent.write('another', 'content');
  assert.deepEqual((await begunAnew(agent, second)).faults, ['key_log.forked']);
  const third = await Scene.start(t);
  assert.deepEqual((await begunAnew(agent, third)).faults, ['key_log.forked']);
});
