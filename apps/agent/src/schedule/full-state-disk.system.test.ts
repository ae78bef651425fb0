import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { CodedError } from '@holdfast/base';
import { AgentDatabase } from '../state/agent-database.ts';
import { writePrivateFile } from '../state/write-private.ts';
import { TestAgent } from '../testing.ts';

const skip = process.getuid?.() !== 0 && 'needs root';

function fill(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const bytes of [65_536, 4096]) {
    try {
      for (let number = 0; ; number++) writeFileSync(path.join(folder, `${bytes} ${number}`), new Uint8Array(bytes));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    }
  }
}

function agentOnSmallDisk(t: TestContext) {
  const agent = new TestAgent();
  const { stateDir } = agent.options;
  mkdirSync(stateDir, { mode: 0o700 });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', stateDir]);
  t.after(async () => {
    await agent.stop().catch(() => undefined);
    execFileSync('umount', ['-l', stateDir]);
    await agent.remove();
  });
  return { agent, stateDir };
}

test(
  'an agent whose state has no room says so, with what to do, and goes on once there is room',
  { skip },
  async (t) => {
    const { agent, stateDir } = agentOnSmallDisk(t);
    agent.write('before', 'content');
    await agent.start();
    await agent.addDestination();
    await agent.untilProtected();
    const filling = path.join(stateDir, 'filling');
    fill(filling);
    for (let number = 0; number < 2000; number++) agent.write(`${'many '.repeat(20)}${number}`, `content ${number}`);
    await assert.rejects(agent.ask('backup'), (error) => {
      assert.ok(error instanceof CodedError, String(error));
      assert.deepEqual([error.code, error.kind], ['state.disk_full', 'exhausted']);
      return true;
    });
    const [standing] = (await agent.ask('status'))['standings'] as { state: string; reason: string; remedy: string }[];
    assert.deepEqual([standing!.state, standing!.reason], ['failed', "The disk of the agent's state is full"]);
    assert.match(standing!.remedy, /make room on the disk of the agent's state/);
    // Whoever needs a file now gets it.
    const restore = { paths: [path.join(agent.tree, 'before')], to: path.join(agent.folder, 'out') };
    assert.deepEqual((await agent.ask('restore', restore))['failed'], []);
    rmSync(filling, { recursive: true });
    await agent.untilProtected();
    assert.equal(await agent.versions(path.join(agent.tree, `${'many '.repeat(20)}7`)), 1);
  },
);

test('the small files of a state without room are as they were', { skip }, (t) => {
  const { stateDir } = agentOnSmallDisk(t);
  const database = new AgentDatabase(path.join(stateDir, 'agent.db'));
  const file = path.join(stateDir, 'small');
  writePrivateFile(file, 'old');
  database.setFact('fact', 'old');
  fill(path.join(stateDir, 'filling'));
  assert.throws(() => database.setFact('fact', 'new'.repeat(100_000)), { code: 'state.disk_full' });
  assert.throws(() => writePrivateFile(file, 'new'.repeat(100_000)), { code: 'state.disk_full' });
  assert.deepEqual([database.fact('fact'), readFileSync(file, 'utf8')], ['old', 'old']);
  rmSync(path.join(stateDir, 'filling'), { recursive: true });
  database.setFact('fact', 'new');
  writePrivateFile(file, 'new');
  assert.deepEqual([database.fact('fact'), readFileSync(file, 'utf8')], ['new', 'new']);
  database.close();
});
