import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { renameSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { CodedError } from '@holdfast/base';
import { TestAgent } from '../testing.ts';

type Failed = readonly { readonly path: string; readonly code: string; readonly message: string }[];

function newAgent(t: TestContext): TestAgent {
  const agent = new TestAgent();
  t.after(() => agent.remove());
  agent.write('large', randomBytes(300_000));
  agent.write('small', 'small');
  return agent;
}

/** What a restore of everything could not give: of each file, or of all of it. */
async function failuresOf(agent: TestAgent, to: string): Promise<Failed> {
  const asked = agent.ask('restore', { paths: [agent.tree], to: path.join(agent.folder, to) });
  return asked.then(
    ({ failed, problems }) => [...(failed as Failed), ...(problems as Failed)],
    (error: unknown) => {
      assert.ok(error instanceof CodedError, String(error));
      return [
        { path: agent.tree, code: error.code, message: `${error.message}: ${String(error.details['destinations'])}` },
      ];
    },
  );
}

test('what only a destination has that is away is said to be there, and is restored once it is back', async (t) => {
  const agent = newAgent(t);
  await agent.start();
  const folder = await agent.addDestination();
  await agent.ask('backup');
  await agent.untilProtected();
  await agent.stop();
  renameSync(folder, `${folder} away`);
  await agent.start();
  await agent.until(async () => (await agent.standings())[0]?.state === 'behind', 'it is known to be away');
  const failed = await failuresOf(agent, 'nothing');
  assert.ok(failed.length > 0);
  for (const { path: name, code, message } of failed) {
    assert.equal(code, 'destinations.holder_away', `${name}: ${message}`);
    assert.ok(message.includes(folder) && /is away/.test(message), message);
  }
  renameSync(`${folder} away`, folder);
  await agent.ask('backup');
  assert.deepEqual(await failuresOf(agent, 'out'), []);
});

test('of several destinations the one is named that is away', async (t) => {
  const agent = newAgent(t);
  await agent.start();
  const first = await agent.addDestination('first');
  await agent.ask('set.change', { name: 'home', set: { destinations: [first] } });
  await agent.ask('backup');
  await agent.addDestination('second');
  await agent.untilProtected();
  renameSync(first, `${first} away`);
  const isAway = async () => (await agent.standings()).some(({ state }) => state === 'behind');
  await agent.until(isAway, 'the first is known to be away', 30_000);
  const failed = await failuresOf(agent, 'nothing');
  assert.ok(failed.length > 0);
  for (const { code, message } of failed) {
    assert.equal(code, 'destinations.holder_away', message);
    assert.ok(message.includes(first) && !message.includes('second'), message);
  }
});
