import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, renameSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { askAgent } from '@holdfast/agent';
import { compareTrees } from '@holdfast/agent/filesystem/testing';
import { afterwards } from '@holdfast/testing';
import { AdjustableClock } from './adjustable-clock.ts';
import { startAgentOf } from './agent-of-device.ts';
import { CloudView } from './cloud-view.ts';
import { sha256Of } from './example-log.ts';
import { until } from './process-tree.ts';
import { RunningAgentProcess } from './running-agent.ts';
import { enrollDevice, newFolder, startRunningCloud } from './running-cloud.ts';
import { startServerProcess } from './server-process.ts';

const isFull = process.env['HOLDFAST_TEST_FULL'] === '1';

test('a computer that slept for hours looks at everything anew, and its cloud takes what it finds', async (t) => {
  const [serverClock, clock] = [new AdjustableClock(), new AdjustableClock()];
  const running = await startRunningCloud(t, { edges: { clock: serverClock } });
  const device = await enrollDevice(t, await running.addTenant('home'));
  const files = newFolder(t);
  const held = openSync(path.join(files, 'held open'), 'w');
  afterwards(t, () => closeSync(held));
  writeSync(held, 'before ');
  const { ask } = await startAgentOf(t, device, { files, clock });
  const isProtected = async () => {
    const { standings } = await ask('status');
    return (standings as { state: string }[]).every(({ state }) => state === 'protected');
  };
  await until(isProtected, 'everything to be protected');
  const view = new CloudView(device.stateDir);
  afterwards(t, () => view.close());
  const first = await view.newRows();
  assert.equal(await view.sha256Of(first.get('held open')!), sha256Of(Buffer.from('before ')));

  // No watcher tells of what is written and not closed.
  writeSync(held, 'and after');
  for (const each of [clock, serverClock]) each.advance(120_000);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  assert.equal((await view.newRows()).size, 0, 'awake for two minutes, the agent does not know');
  const asleepMs = 5 * 3_600_000;
  clock.suspend(asleepMs);
  serverClock.advance(asleepMs);
  for (const each of [clock, serverClock]) each.advance(120_000);
  const found = async () => {
    const row = (await view.newRows()).get('held open');
    return row !== undefined && (await view.sha256Of(row)) === sha256Of(Buffer.from('before and after'));
  };
  await until(found, 'what the scan after waking finds', 60_000);
  writeFileSync(path.join(files, 'awake'), 'awake');
  await until(async () => (await view.newRows()).has('awake'), 'what a watch tells afterwards', 60_000);
});

test('an agent that stood still while more changed than the kernel remembers finds all of it', async (t) => {
  const server = await startServerProcess(t);
  const agent = new RunningAgentProcess(t);
  for (let number = 0; number < 500; number++) agent.write(`${number % 20}/${number}`, `before ${number}`);
  agent.enroll(await server.invite());
  await agent.start();
  const ask = (request: string, more = {}) => askAgent(agent.socketPath, { request, ...more });
  const isProtected = async () =>
    ((await ask('status'))['standings'] as { state: string }[]).every(({ state }) => state === 'protected');
  await until(isProtected, 'everything to be protected');
  const remembered = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'latin1'));
  agent.child!.kill('SIGSTOP');
  // Two events each: made, and closed after writing.
  const changes = Math.min(30_000, Math.ceil(remembered / 2) + 500);
  for (let number = 0; number < changes; number++) agent.write(`${number % 20}/new ${number}`, `new ${number}`);
  const last = agent.write('19/499', 'changed last');
  unlinkSync(path.join(agent.tree, '3/3'));
  renameSync(path.join(agent.tree, '7'), path.join(agent.tree, 'seven'));
  // In the long form the server has given up its connections meanwhile.
  await new Promise((resolve) => setTimeout(resolve, isFull ? 100_000 : 3_000));
  agent.child!.kill('SIGCONT');
  const versions = async () => ((await ask('versions', { path: last }))['versions'] as unknown[]).length;
  await until(async () => (await versions()) === 2, 'the last change to be known', 120_000);
  await until(isProtected, 'everything to be protected', 120_000);
  const to = path.join(agent.folder, 'restored');
  const restored = agent.run('restore', agent.tree, '--to', to);
  assert.equal(restored.status, 0, restored.stderr);
  assert.deepEqual(compareTrees(agent.tree, path.join(to, 'tree')), []);
});
