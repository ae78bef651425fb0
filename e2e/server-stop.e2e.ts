import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statfsSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { afterwards } from '@holdfast/testing';
import { processTree, stillRunning, until } from './process-tree.ts';
import { newFolder } from './running-cloud.ts';
import { freePort } from './running-up.ts';
import { startServerProcess } from './server-process.ts';

const notRoot = process.getuid?.() !== 0 && 'needs root: it mounts a small file system';

/** A server with a fault, started and ready. */
async function startFaulty(t: TestContext, which: string, folder = newFolder(t)) {
  const logFile = path.join(folder, 'server.log');
  const log = openSync(logFile, 'w');
  const child = spawn(process.execPath, [path.resolve(import.meta.dirname, 'faulty-server.ts'), which], {
    env: {
      PATH: process.env['PATH'] ?? '',
      HOLDFAST_HOME: path.join(folder, 'home'),
      HOLDFAST_LISTEN: `127.0.0.1:${await freePort()}`,
    },
    stdio: ['ignore', log, 'pipe'],
  });
  closeSync(log);
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  afterwards(t, () => child.kill('SIGKILL'));
  const written = () => readFileSync(logFile, 'utf8');
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  await until(() => written().includes('"message":"ready"') || hasEnded(), 'the server', 60_000);
  assert.ok(!hasEnded(), `${written()}\n${stderr}`);
  const marks = processTree(child.pid!);
  assert.ok(marks.some(({ name }) => name === 'postgres'));
  const end = async (signal: NodeJS.Signals) => {
    const begun = performance.now();
    assert.ok(!hasEnded(), `it has ended: ${written()}\n${stderr}`);
    const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    child.kill(signal);
    const [code] = await ended;
    return { code, tookMs: performance.now() - begun, stderr, left: stillRunning(marks) };
  };
  return { folder, written, end };
}

test('a server with a part that never ends is ended, says which, and leaves no database behind', async (t) => {
  const { written, end, folder } = await startFaulty(t, 'stuck');
  const { code, tookMs, left } = await end('SIGTERM');
  t.diagnostic(`ended after ${Math.round(tookMs)} ms`);
  assert.equal(code, 8);
  assert.ok(tookMs < 30_000, `${tookMs} ms`);
  assert.deepEqual(left, []);
  assert.match(written(), /"part":"background work","message":"a part of the server did not end in time"/);
  assert.doesNotMatch(written(), /"message":"stopped"/);
  const again = await startFaulty(t, 'none', folder);
  const { code: wellCode, left: none } = await again.end('SIGTERM');
  assert.deepEqual([wellCode, none], [0, []]);
  assert.match(written(), /"message":"stopped"/);
});

test('what keeps the process of a server that has stopped is said, and ends with it', async (t) => {
  const { written, end } = await startFaulty(t, 'kept');
  const { code, tookMs, stderr, left } = await end('SIGINT');
  assert.equal(code, 1);
  assert.ok(tookMs < 30_000, `${tookMs} ms`);
  assert.deepEqual(left, []);
  assert.match(written(), /"message":"stopped"/);
  assert.match(
    stderr,
    /^\{"level":"error","message":"the process did not end by itself: it is ended now","keptBy":\[.*"Timeout"/m,
  );
});

test(
  'a server whose database no longer answers is ended, and the next start ends what is left of it',
  { timeout: 240_000 },
  async (t) => {
    const server = await startServerProcess(t);
    const silent = connect(server.port, '127.0.0.1');
    silent.on('error', () => undefined);
    afterwards(t, () => silent.destroy());
    await once(silent, 'connect');
    const databases = processTree(server.pid).filter(({ name }) => name === 'postgres');
    assert.ok(databases.length > 3);
    for (const { pid } of databases) process.kill(pid, 'SIGSTOP');
    afterwards(t, () => stillRunning(databases).forEach(({ pid }) => process.kill(pid, 'SIGKILL')));
    const begun = performance.now();
    await server.stop();
    const tookMs = performance.now() - begun;
    t.diagnostic(`ended after ${Math.round(tookMs)} ms`);
    assert.ok(tookMs < 90_000, `${tookMs} ms`);
    await server.start();
    assert.deepEqual(stillRunning(databases), []);
  },
);

test(
  'a server that meets a fault while its disk is full, that of its log too, ends',
  { skip: notRoot, timeout: 180_000 },
  async (t) => {
    const folder = path.join(newFolder(t), 'disk');
    mkdirSync(folder);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300m,mode=0700', 'tmpfs', folder]);
    afterwards(t, () => execFileSync('umount', ['-l', folder]));
    const { end } = await startFaulty(t, 'fault', folder);
    await until(() => existsSync(path.join(folder, 'home', 'postgres', 'spare-room')), 'room kept back', 30_000);
    fill(folder);
    const { code, tookMs, left } = await end('SIGUSR2');
    t.diagnostic(`ended after ${Math.round(tookMs)} ms`);
    assert.equal(code, 1);
    assert.ok(tookMs < 60_000, `${tookMs} ms`);
    assert.deepEqual(left, []);
  },
);

/** Takes all the room that a disk has left. */
function fill(folder: string): void {
  const fd = openSync(path.join(folder, 'filling'), 'a');
  const freeBytes = () => statfsSync(folder).bavail * statfsSync(folder).bsize;
  try {
    while (freeBytes() > 0) writeSync(fd, new Uint8Array(Math.min(freeBytes(), 1024 * 1024)));
  } finally {
    closeSync(fd);
  }
}
