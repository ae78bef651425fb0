import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { askAgent } from '@holdfast/agent';
import { EnrollmentStore } from '@holdfast/agent/cloud';
import { afterwards } from '@holdfast/testing';
import { statusOf, untilStanding } from './agent-status.ts';
import { until } from './process-tree.ts';
import { RunningAgentProcess } from './running-agent.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';
import { archiveFolderOf, conflictsIn, scanArchiveFolder } from './stored-records.ts';

const launcher = path.resolve(import.meta.dirname, '../apps/cli/bin/holdfast.mjs');
const isFull = process.env['HOLDFAST_TEST_FULL'] === '1';
/** How long after a step is known to have begun the kill comes, milliseconds. */
const offsets = isFull ? [0, 5, 10, 20, 40, 80, 160] : [0];

/** Where a takeover is, by what the new computer has on its disk. */
const steps: Readonly<Record<string, (stateDir: string) => boolean>> = {
  begin: (stateDir) => textIn(stateDir, 'takeover.json').includes('"proof"'),
  complete: (stateDir) => textIn(stateDir, 'takeover.json').includes('"mayBeDone"'),
  settle: (stateDir) => existsSync(path.join(stateDir, 'keys.json')),
};

type Kill = { readonly step: string; readonly victim: 'new computer' | 'server'; readonly offsetMs: number };

const kills: readonly Kill[] = offsets.flatMap((offsetMs) =>
  Object.keys(steps).flatMap((step) =>
    (['new computer', 'server'] as const).map((victim) => ({ step, victim, offsetMs })),
  ),
);

function textIn(stateDir: string, name: string): string {
  const file = path.join(stateDir, name);
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

const ask = ({ socketPath }: RunningAgentProcess, request: string, about: object = {}) =>
  askAgent(socketPath, { request, ...about });

/** The computer whose archive it is, and what it has been told is safe. */
type Chain = {
  readonly server: ServerProcess;
  readonly tree: string;
  readonly safe: string[];
  owner: RunningAgentProcess;
};

/** Whether a file that is written now is safe on this computer: false where another one has its archive. */
async function isTakingFiles({ tree, safe }: Chain, agent: RunningAgentProcess, name: string): Promise<boolean> {
  writeFileSync(path.join(tree, name), name);
  const taken = await ask(agent, 'backup').then(
    () => true,
    () => false,
  );
  if (taken) safe.push(name);
  return taken;
}

async function isReplaced(agent: RunningAgentProcess): Promise<boolean> {
  return (await statusOf(agent)).standings.every(({ remedy = '' }) => remedy.includes('--replace'));
}

/** Begins `agent enroll --replace` on a new computer. */
async function startReplacing(
  t: TestContext,
  { server, owner }: Chain,
  { agent, code }: { readonly agent: RunningAgentProcess; readonly code: string },
): Promise<() => ChildProcess> {
  const token = await server.invite();
  const tokenFile = path.join(agent.folder, 'token');
  writeFileSync(tokenFile, JSON.stringify(token));
  const { deviceUid } = new EnrollmentStore(owner.stateDir).load()!;
  const by = ['--token-file', tokenFile, '--replace', deviceUid, '--recovery-code', '--yes', '--json'];
  return () => {
    const env = { ...process.env, HOLDFAST_HOME: path.join(agent.folder, 'home') };
    const child = spawn(process.execPath, [launcher, 'agent', 'enroll', token.url, ...by], { env, stdio: 'pipe' });
    afterwards(t, () => void child.kill('SIGKILL'));
    child.stdin.on('error', () => undefined);
    child.stdin.end(`${code}\n`);
    return child;
  };
}

async function endOf(child: ChildProcess): Promise<{ readonly code: number | null; readonly said: string }> {
  const ended = once(child, 'exit') as Promise<[number | null]>;
  const said = (await child.stderr!.toArray()).join('');
  return { code: (await ended)[0], said };
}

const isRunning = (child: ChildProcess) => child.exitCode === null && child.signalCode === null;

/** Kills the victim once the step has begun. */
async function killAt(child: ChildProcess, server: ServerProcess, stateDir: string, kill: Kill): Promise<void> {
  const ended = endOf(child);
  // As often as the loop turns: the steps follow each other within milliseconds.
  while (isRunning(child) && !steps[kill.step]!(stateDir)) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(isRunning(child), `it ended before ${kill.step}: ${isRunning(child) ? '' : (await ended).said}`);
  if (kill.offsetMs > 0) await new Promise((resolve) => setTimeout(resolve, kill.offsetMs));
  if (kill.victim === 'new computer') child.kill('SIGKILL');
  else await server.kill();
  await ended;
  if (kill.victim === 'server') await server.start();
}

/** A takeover that is killed, and run again to its end. */
async function replaceKilled(t: TestContext, chain: Chain, kill: Kill): Promise<void> {
  const { server, owner: old, tree } = chain;
  const what = `${kill.victim} at ${kill.step} after ${kill.offsetMs} ms`;
  const { code } = (await ask(old, 'key.show-recovery')) as unknown as { readonly code: string };
  await ask(old, 'key.confirm-recovery', { code });
  assert.equal(await isTakingFiles(chain, old, `before ${what}`), true);
  const agent = new RunningAgentProcess(t, { tree });
  const replace = await startReplacing(t, chain, { agent, code });
  await killAt(replace(), server, agent.stateDir, kill);

  // Either it is the old one's still, or it is not: no file is safe with both.
  const isOlds = await isTakingFiles(chain, old, `between ${what}`);
  if (!isOlds) await until(() => isReplaced(old), `the old computer to be told: ${what}`, 60_000);
  if (kill.step === 'begin') assert.equal(isOlds, true, 'what was only begun changes nothing');
  if (kill.step === 'settle') assert.equal(isOlds, false, 'and what is settled is done');
  if (textIn(agent.stateDir, 'takeover.json') !== '') {
    const { code: status, said } = await endOf(replace());
    assert.equal(status, 0, `${what}: ${said}`);
  }
  assert.equal(await isTakingFiles(chain, old, `after ${what}`), false);
  await until(() => isReplaced(old), `the old computer to be told: ${what}`, 60_000);
  await old.kill('SIGTERM');
  await agent.start();
  await untilStanding(agent, 'protected');
  assert.equal(await isTakingFiles(chain, agent, `then ${what}`), true);
  chain.owner = agent;
}

test(
  'a takeover that is killed on the new computer or at the server, at any step, is run again: one has the archive, and nothing is lost',
  { timeout: isFull ? 3_600_000 : 600_000 },
  async (t) => {
    const server = await startServerProcess(t);
    const first = new RunningAgentProcess(t);
    first.enroll(await server.invite());
    await first.start();
    const chain: Chain = { server, tree: first.tree, safe: [], owner: first };
    for (const kill of kills) await replaceKilled(t, chain, kill);

    const { owner, safe, tree } = chain;
    const found: string[] = [];
    const onItem = (item: Readonly<Record<string, unknown>>) => void found.push(path.basename(String(item['path'])));
    await askAgent(owner.socketPath, { request: 'ls', path: tree }, { onItem });
    assert.deepEqual(
      safe.filter((name) => !found.includes(name)),
      [],
    );
    const verified = owner.run('verify', '--full');
    assert.equal(verified.status, 0, verified.stderr);
    await owner.kill('SIGTERM');
    await server.stop();
    const records = await scanArchiveFolder(archiveFolderOf(server.homeDir));
    assert.deepEqual(conflictsIn(records), { ordinals: [], nonces: [] });
  },
);
