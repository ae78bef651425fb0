import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { CodedError } from '@holdfast/base';
import { TestAgent } from '../testing.ts';

/** An agent with a backup at two folders. */
async function startWithTwo(t: TestContext) {
  const agent = new TestAgent();
  t.after(() => agent.remove());
  agent.write('first', randomBytes(50_000));
  await agent.start();
  const [one, other] = [await agent.addDestination('one'), await agent.addDestination('other')];
  await agent.ask('backup');
  await agent.untilProtected();
  return { agent, one, other };
}

function isOnlyCopy(error: unknown): boolean {
  return error instanceof CodedError && error.code === 'destinations.only_copy';
}

test('whether a destination may be removed is judged by what is there now, not by what was', async (t) => {
  const { agent, one, other } = await startWithTwo(t);
  renameSync(other, `${other} away`);
  await assert.rejects(agent.ask('destination.remove', { name: one }), isOnlyCopy, 'the other one went away');
  await agent.ask('backup');
  renameSync(`${other} away`, other);
  await agent.ask('destination.remove', { name: one });
  assert.deepEqual(
    (await agent.standings()).map(({ destination }) => destination),
    [other],
  );
  await assert.rejects(agent.ask('destination.remove', { name: other }), isOnlyCopy);
});

test('a destination that lags behind one that is gone for good waits, says so, and goes on once that one is given up', async (t) => {
  const { agent, one, other } = await startWithTwo(t);
  renameSync(other, `${other} away`);
  agent.write('second', randomBytes(50_000));
  await agent.ask('backup');
  await agent.stop();
  renameSync(`${other} away`, other);
  rmSync(one, { recursive: true });
  await agent.start();
  await assert.rejects(agent.ask('backup'));
  const ofOther = async () => (await agent.standings()).find(({ destination }) => destination === other);
  const waiting = await ofOther();
  assert.equal(waiting?.state, 'behind');
  assert.match(waiting.reason, /lacks records that only destinations have that are away/);
  assert.match(
    String((waiting as { remedy?: string }).remedy),
    /gone for good: holdfast destination remove NAME --gone/,
  );
  const remove = (more: object) => agent.ask('destination.remove', { name: one, ...more });
  await assert.rejects(remove({}), (error) => isOnlyCopy(error) && /--gone/.test(remedyOf(error)));
  await assert.rejects(agent.ask('destination.remove', { name: path.join(agent.folder, 'none'), isGone: true }), {
    code: 'destinations.not_found',
  });
  await remove({ isGone: true });
  await agent.ask('backup');
  await agent.untilProtected();
  for (const name of ['first', 'second']) assert.ok(await agent.has(path.join(agent.tree, name)), name);
  const stillThere = agent.ask('destination.remove', { name: other, isGone: true });
  await assert.rejects(stillThere, isOnlyCopy, 'one that is there is not gone');
});

function remedyOf(error: unknown): string {
  return error instanceof CodedError ? String(error.details['remedy']) : '';
}
