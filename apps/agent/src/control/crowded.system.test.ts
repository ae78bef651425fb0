import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import type { AgentParts } from '../agent.ts';
import { temporaryFolder } from '../filesystem/temporary-folder.ts';
import { silentLog } from '../log.ts';
import { askAgent } from './client.ts';
import { ControlServer } from './server.ts';

const needsRoot = process.getuid?.() !== 0 && 'needs root';
const [anna, bert] = [12_001, 12_002];

/** A socket that everybody may connect to. What is asked there is refused as unknown, which takes nothing of an agent. */
async function newServer(t: TestContext): Promise<string> {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o755);
  const socketPath = path.join(folder, 'agent.sock');
  const parts = { log: silentLog } as unknown as AgentParts;
  const server = await ControlServer.listen(parts, { socketPath, socketMode: 0o666 });
  t.after(() => server.close());
  return socketPath;
}

/** What a question gets: `control.invalid` where it was heard. */
function codeOf(socketPath: string): Promise<string> {
  return askAgent(socketPath, { request: 'nothing' }).then(
    () => 'answered',
    (error: unknown) => (error as { code: string }).code,
  );
}

/** A process of a user that opens connections, asks on each, prints each code, and keeps them open. */
function crowd(
  t: TestContext,
  { uid, count, socketPath }: { uid: number; count: number; socketPath: string },
): ChildProcess {
  const script = `
    if (process.getuid() === 0) { process.setgroups([]); process.setgid(${uid}); process.setuid(${uid}); }
    for (let i = 0; i < ${count}; i++) {
      const socket = require('node:net').connect(process.argv[1]);
      socket.on('error', () => console.log('failed'));
      socket.once('data', (bytes) => console.log(JSON.parse(bytes).error.code));
      socket.write('{"request":"nothing"}\\n');
    }`;
  const child = spawn(process.execPath, ['-e', script, socketPath], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function codesOf(child: ChildProcess, count: number): Promise<Record<string, number>> {
  const codes: Record<string, number> = {};
  let lines = 0;
  for await (const line of createInterface({ input: child.stdout! })) {
    codes[line] = (codes[line] ?? 0) + 1;
    if (++lines === count) break;
  }
  return codes;
}

test('a user who takes all connections there are takes them from nobody else', { skip: needsRoot }, async (t) => {
  const socketPath = await newServer(t);
  const ofAnna = crowd(t, { uid: anna, count: 100, socketPath });
  assert.deepEqual(await codesOf(ofAnna, 100), { 'control.invalid': 16, 'control.busy': 84 });
  assert.deepEqual(await codesOf(crowd(t, { uid: bert, count: 16, socketPath }), 16), { 'control.invalid': 16 });
  assert.equal(await codeOf(socketPath), 'control.invalid');
  ofAnna.kill('SIGKILL');
  await once(ofAnna, 'exit');
  let again: Record<string, number> = {};
  for (let tries = 0; tries < 50 && again['control.invalid'] !== 3; tries++) {
    again = await codesOf(crowd(t, { uid: anna, count: 3, socketPath }), 3);
  }
  assert.deepEqual(again, { 'control.invalid': 3 });
});

test('whom the agent belongs to takes as many connections as there are, and no more', async (t) => {
  const socketPath = await newServer(t);
  const own = process.geteuid?.() ?? 0;
  const codes = await codesOf(crowd(t, { uid: own, count: 70, socketPath }), 70);
  assert.deepEqual(codes, { 'control.invalid': 64, 'control.busy': 6 });
});
