import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createTenant } from '@holdfast/cloud';
import { processTree, stillRunning, until, type ProcessMark } from './process-tree.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';

const onLinux = { skip: process.platform !== 'linux' && 'needs Linux' };

function keystoreOf(server: ServerProcess): ProcessMark | undefined {
  return processTree(server.pid).find(({ pid }) => /keystore\/main\.ts/.test(commandOf(pid)));
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

const addTenant = (server: ServerProcess, slug: string) =>
  server.operate(({ bootstrap }) => createTenant(bootstrap, { slug, name: slug, adminUsername: 'admin' }));

test('a keystore ends with its server, however that ends, and the next one has the keys it had', onLinux, async (t) => {
  const server = await startServerProcess(t);
  for (const [round, end] of [() => server.kill(), () => server.stop(), () => server.kill()].entries()) {
    const keystore = keystoreOf(server);
    assert.ok(keystore, 'the server has a keystore');
    await end();
    await until(() => stillRunning([keystore]).length === 0, 'the end of the keystore', 10_000);
    await server.start();
    await addTenant(server, `round-${round}`);
    await server.invite();
  }
  assert.equal(processTree(server.pid).filter(({ pid }) => /keystore\/main\.ts/.test(commandOf(pid))).length, 1);
});

test('a keystore that is killed again and again comes back, and tenants are made between', onLinux, async (t) => {
  const server = await startServerProcess(t);
  for (const slug of ['one', 'two']) {
    const keystore = keystoreOf(server);
    assert.ok(keystore);
    process.kill(keystore.pid, 'SIGKILL');
    await until(() => stillRunning([keystore]).length === 0, 'the end of the keystore', 10_000);
    await until(() => keystoreOf(server) !== undefined, 'the next keystore', 30_000);
    await addTenant(server, slug);
  }
  await server.invite();
});
