import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { CodedError } from '@holdfast/base';
import { AgentDatabase } from '../state/agent-database.ts';
import { TestAgent } from '../testing.ts';
import { destinationErrors } from './errors.ts';
import { folderPlace, prepareFolder } from './folder-place.ts';

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

/** An agent with a backup at a folder and at a server, which does not say when it has gone. */
async function startWithServer(t: TestContext) {
  const server = { isAway: false };
  const agent: TestAgent = new TestAgent({
    makePlace: (config) => {
      if (config.kind === 'folder') return folderPlace(config);
      const folder = path.join(agent.folder, 'server');
      return {
        config,
        open: async (facts) => {
          if (server.isAway) throw destinationErrors.away({ folder });
          await prepareFolder(folder, facts.archiveId);
          const session = await folderPlace({ ...config, folder }).open(facts);
          return Object.defineProperty(session, 'expectInPlace', { value: undefined });
        },
      };
    },
  });
  t.after(() => agent.remove());
  for (const dir of [path.join(agent.folder, 'server'), agent.options.stateDir]) mkdirSync(dir, { mode: 0o700 });
  const database = new AgentDatabase(path.join(agent.options.stateDir, 'agent.db'));
  database.addDestination({ kind: 'cloud', name: 'server' });
  database.close();
  agent.write('first', randomBytes(50_000));
  await agent.start();
  const folder = await agent.addDestination('folder');
  await agent.ask('backup');
  await agent.untilProtected();
  return { agent, server, folder };
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

test('a server that has gone in silence is no reason to give up a folder, and one that is there is', async (t) => {
  const { agent, server, folder } = await startWithServer(t);
  server.isAway = true;
  await assert.rejects(agent.ask('destination.remove', { name: folder }), isOnlyCopy, 'the server is gone');
  server.isAway = false;
  await agent.ask('destination.remove', { name: folder });
  await assert.rejects(agent.ask('destination.remove', { name: 'server' }), isOnlyCopy, 'there is no other');
});

test('a server that has gone in silence may be given up for gone only with those words where it alone had something', async (t) => {
  const { agent, server, folder } = await startWithServer(t);
  const remove = (more: object = {}) => agent.ask('destination.remove', { name: 'server', ...more });
  renameSync(folder, `${folder} away`);
  await assert.rejects(remove({ isGone: true }), isOnlyCopy, 'one that is there is not gone');
  server.isAway = true;
  await assert.rejects(remove(), isOnlyCopy);
  await remove({ isGone: true });
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
