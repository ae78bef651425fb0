import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { engineEnvironment, engineNodeFlags } from '@holdfast/agent/engine/process';
import { RunningAgentProcess } from './running-agent.ts';

const onLinux = { skip: process.platform !== 'linux' && 'needs /proc' };

test(
  'an agent that is started by hand runs with the options and the environment of the engine, in the process that was started',
  onLinux,
  async (t) => {
    const agent = new RunningAgentProcess(t);
    await agent.start();
    const pid = agent.child!.pid!;
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    for (const flag of engineNodeFlags) assert.equal(words.filter((word) => word === flag).length, 1, flag);
    assert.ok(words.includes('--protect'));
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    for (const [name, value] of Object.entries(engineEnvironment(agent.stateDir))) {
      assert.ok(environment.includes(`${name}=${value}`), name);
    }
    assert.ok(environment.some((each) => each.startsWith('HOLDFAST_HOME=')));
    assert.equal(statSync(agent.stateDir).mode & 0o777, 0o700);
  },
);

test(
  'what an agent compiled is kept in its own folder when it ends, and nobody else can write there',
  onLinux,
  async (t) => {
    const agent = new RunningAgentProcess(t);
    await agent.start();
    await agent.kill('SIGTERM');
    assert.ok(readdirSync(path.join(agent.stateDir, 'compiled')).length > 0);
    assert.equal(statSync(agent.stateDir).mode & 0o077, 0);
  },
);
