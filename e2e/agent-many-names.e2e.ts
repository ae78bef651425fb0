import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { askAgent } from '@holdfast/agent';
import { figuresOf, listed, resetPeak, untilStanding } from './agent-status.ts';
import { until } from './process-tree.ts';
import { RunningAgentProcess } from './running-agent.ts';

const isFull = process.env['HOLDFAST_TEST_FULL'] === '1';
const names = isFull ? 1_000_000 : 50_000;
/** The most resident memory that the agent may have in any step. */
const mostMegabytes = isFull ? 500 : 250;
const patienceMs = 900_000;

test(`${names.toLocaleString('en')} names in one folder are backed up, listed, changed, restored and deleted in ${mostMegabytes} MB`, async (t) => {
  const agent = new RunningAgentProcess(t);
  const folder = path.join(agent.tree, 'many');
  mkdirSync(folder);
  const nameOf = (at: number) => `file ${String(at).padStart(7, '0')}`;
  const fileOf = (at: number) => path.join(folder, nameOf(at));
  const contentOf = (at: number) => (at % 10 === 0 ? `content ${at}` : '');
  for (let at = 0; at < names; at++) writeFileSync(fileOf(at), contentOf(at));
  await agent.start();
  const { pid } = agent.child!;
  const tooMuch: string[] = [];
  /** Does something, and says what it cost the agent. */
  const measured = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    resetPeak(pid!);
    const before = figuresOf(pid!);
    const begun = performance.now();
    const result = await work();
    const after = figuresOf(pid!);
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    const cpuSeconds = (after.cpuSeconds - before.cpuSeconds).toFixed(1);
    const peak = `${after.peakMegabytes.toFixed(0)} MB at most`;
    t.diagnostic(`${what}: ${seconds} s, ${cpuSeconds} s of processor, ${peak}`);
    if (after.peakMegabytes > mostMegabytes) tooMuch.push(`${what}: ${peak}`);
    return result;
  };
  const backup = () => askAgent(agent.socketPath, { request: 'backup' }) as Promise<Record<string, number>>;
  await measured('first backup', async () => {
    agent.addDestination();
    await untilStanding(agent, 'protected', patienceMs);
  });
  // What was written just before it was read is read once more: a later change could hide behind its times.
  await backup();
  const again = await measured('again', backup);
  const readAgain = again['readBytes']!;
  assert.ok(readAgain < 1000, `${readAgain} bytes were read again`);
  assert.equal((await measured('ls', () => listed(agent, folder)))?.length, names);

  const changed = fileOf(names / 2);
  await measured('one file changed', async () => {
    writeFileSync(changed, 'another content');
    const versions = async () => (await askAgent(agent.socketPath, { request: 'versions', path: changed }))['versions'];
    await until(async () => ((await versions()) as unknown[]).length === 2, 'its second version', patienceMs);
  });
  unlinkSync(fileOf(7));
  const report = await measured('one file deleted', backup);
  assert.ok(report['changedNames']! <= 3, `${report['changedNames']} rows`);
  assert.equal(await listed(agent, fileOf(7)), undefined);

  const to = path.join(agent.folder, 'restored');
  const restored = await measured('restore of one file', async () => agent.run('restore', changed, '--to', to));
  assert.equal(restored.status, 0, restored.stderr);
  assert.equal(readFileSync(path.join(to, path.basename(changed)), 'utf8'), 'another content');
  const all = path.join(agent.folder, 'all');
  const restoreAll = async () => agent.runWith({ timeoutMs: patienceMs }, 'restore', folder, '--to', all);
  const whole = await measured('restore of all', restoreAll);
  assert.equal(whole.status, 0, whole.stderr);
  const back = readdirSync(path.join(all, 'many')).toSorted();
  const wanted = Array.from({ length: names }, (_, at) => nameOf(at)).filter((_, at) => at !== 7);
  assert.deepEqual(back, wanted);
  for (let at = 1000; at < names; at += 997) {
    const content = at === names / 2 ? 'another content' : contentOf(at);
    assert.equal(readFileSync(path.join(all, 'many', nameOf(at)), 'utf8'), content);
  }
  const found = await measured('find', async () => agent.run('find', path.basename(changed)));
  assert.equal((found.value['entries'] as unknown[]).length, 1, found.stderr);
  await measured('all deleted', async () => {
    rmSync(folder, { recursive: true });
    await backup();
  });
  assert.equal(await listed(agent, folder), undefined);
  assert.deepEqual((await untilStanding(agent, 'protected')).problems, []);
  assert.deepEqual(tooMuch, []);
});
