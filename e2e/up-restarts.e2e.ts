import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { askAgent } from '@holdfast/agent';
import { makeClone } from '@holdfast/testing';
import { stillRunning, until } from './process-tree.ts';
import { freePort, kill, startUp, type RunningUp } from './running-up.ts';

/** The agent among the processes of `up`; undefined while there is none. */
function agentOf(up: RunningUp) {
  return up.processes().find(({ pid, name }) => {
    try {
      return name !== 'postgres' && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('\0agent\0run\0');
    } catch {
      return false;
    }
  });
}

test('an agent that is killed under up is started again, goes on, and still ends with up', async (t) => {
  const cloneDir = makeClone(t);
  const tree = path.join(cloneDir, '..', 'tree');
  mkdirSync(tree);
  writeFileSync(path.join(tree, 'before'), 'before');
  const up = startUp(t, { cloneDir, args: ['--port', String(await freePort()), '--path', tree] });
  const { handout } = await up.ready();
  const has = (name: string) =>
    askAgent(handout['agentSocket']!, { request: 'ls', path: path.join(tree, name) }).then(
      () => true,
      () => false,
    );
  await until(() => has('before'), 'the first file', 60_000);
  for (const name of ['once', 'twice']) {
    const killed = agentOf(up);
    assert.ok(killed, 'there is an agent');
    kill(killed.pid, 'SIGKILL');
    writeFileSync(path.join(tree, name), name);
    await until(() => ![undefined, killed.pid].includes(agentOf(up)?.pid), 'another agent');
    await until(() => has(name), 'what was written meanwhile', 60_000);
  }
  const processes = up.processes();
  up.interrupt();
  assert.deepEqual(await up.ended, { code: 0, signal: null }, up.stderr);
  await until(() => stillRunning(processes).length === 0, 'the end of all', 5_000);
});
