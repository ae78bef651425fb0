import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { afterwards } from '@holdfast/testing';
import { sql } from 'kysely';
import { migrateCloud, operateCloud, startCloud, type Cloud } from './app.ts';
import { bootstrapQuickstart } from './bootstrap.ts';
import { readCloudConfig } from './config.ts';
import { examineCloud } from './doctor.ts';
import { startEmbeddedPostgres } from './platform/embedded-postgres.ts';
import { silentLog } from './platform/log.ts';

const edges = { log: silentLog };

function home(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast app '));
  afterwards(t, () => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'home');
}

const configOf = (homeDir: string, more: Record<string, string> = {}) =>
  readCloudConfig({ HOLDFAST_HOME: homeDir, HOLDFAST_LISTEN: '127.0.0.1:0', ...more });

async function start(t: TestContext, homeDir: string, more: Record<string, string> = {}): Promise<Cloud> {
  const cloud = await startCloud(configOf(homeDir, more), edges);
  afterwards(t, () => cloud.stop());
  return cloud;
}

async function readiness(cloud: Cloud): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = http.get({ socketPath: cloud.privateAddress, path: '/readyz', agent: false }, (reply) => {
      let body = '';
      reply.on('data', (chunk: Buffer) => (body += chunk.toString()));
      reply.on('end', () => resolve({ status: reply.statusCode!, body }));
    });
    request.on('error', reject);
  });
}

const notRoot = process.getuid?.() !== 0 && 'needs root: only root can give folders away';
test('no server starts in a folder of somebody else', { skip: notRoot }, async (t) => {
  const homeDir = home(t);
  mkdirSync(homeDir, { mode: 0o755 });
  chownSync(homeDir, 65_534, 65_534);
  await assert.rejects(start(t, homeDir), { code: 'state_folder.foreign' });
  await assert.rejects(migrateCloud(configOf(homeDir), edges), { code: 'state_folder.foreign' });
  assert.deepEqual(readdirSync(homeDir), []);
});

test(
  'who does not own the folder and its keys operates no server of it, whether it runs or not',
  { skip: notRoot },
  async (t) => {
    const homeDir = home(t);
    const keys = path.join(homeDir, 'master-keys.json');
    const operate = () => operateCloud(configOf(homeDir), edges, async ({ server }) => server.installationId);
    await assert.rejects(operate(), { code: 'cloud.never_started' });
    assert.equal(existsSync(homeDir), false);
    const cloud = await start(t, homeDir);
    const { installationId } = cloud.api;
    assert.equal(await operate(), installationId);
    const refusals = async () => {
      chownSync(homeDir, 65_534, 65_534);
      await assert.rejects(operate(), { code: 'state_folder.foreign' });
      chownSync(homeDir, 0, 0);
      chownSync(keys, 65_534, 65_534);
      await assert.rejects(operate(), { code: 'kms.foreign_key_file' });
      chownSync(keys, 0, 0);
      chmodSync(keys, 0o640);
      await assert.rejects(operate(), { code: 'kms.exposed_key_file' });
      chmodSync(keys, 0o600);
    };
    await refusals();
    assert.equal(await operate(), installationId);
    await cloud.stop();
    await refusals();
    assert.equal(await operate(), installationId);
  },
);

test('one folder has one server, and its state outlives it', async (t) => {
  const homeDir = home(t);
  const first = await start(t, homeDir);
  const made = await bootstrapQuickstart(first.bootstrap, false);
  assert.equal(made.status, 'new');
  await assert.rejects(startCloud(configOf(homeDir), edges), { code: 'cloud.already_running', kind: 'conflict' });
  await assert.rejects(migrateCloud(configOf(homeDir), edges), { code: 'cloud.already_running' });
  assert.deepEqual(await readiness(first), {
    status: 200,
    body: '{"ready":true,"checks":{"database":"ok","keystore":"ok"}}\n',
  });
  const states = (await examineCloud(configOf(homeDir))).map(({ subject, state }) => `${subject} ${state}`);
  assert.deepEqual(
    states.filter((state) => !state.startsWith('disk')),
    [
      'home ok',
      'master keys ok',
      'certificate ok',
      'server ok',
      'database ok',
      'keystore ok',
      'jobs ok',
      'escrow ok',
      'new escrow ok',
      'reach ok',
    ],
  );
  await first.stop();
  await first.stop();
  assert.equal(existsSync(first.privateAddress), false);
  assert.deepEqual(await migrateCloud(configOf(homeDir), edges), [], 'nothing is left to be applied');
  const second = await start(t, homeDir);
  assert.deepEqual(await bootstrapQuickstart(second.bootstrap, true), { status: 'kept' });
  assert.equal(second.api.installationId, first.api.installationId);
});

test('a start that fails half way undoes what it did', async (t) => {
  const homeDir = home(t);
  const squatter = createServer();
  await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve));
  afterwards(t, () => squatter.close());
  const { port } = squatter.address() as AddressInfo;
  const taken = { HOLDFAST_PRIVATE_LISTEN: `127.0.0.1:${port}` };
  await assert.rejects(startCloud(configOf(homeDir, taken), edges), { code: 'EADDRINUSE' });
  assert.equal(existsSync(path.join(homeDir, 'postgres', 'data', 'postmaster.pid')), false);
  await start(t, homeDir);
});

test('a PostgreSQL of the operator serves as well, made ready by the user in its address', async (t) => {
  const password = 'operator';
  const server = await startEmbeddedPostgres({ homeDir: home(t), superuserPassword: password });
  afterwards(t, () => server.stop());
  const databaseUrl = `postgresql://${server.superuser}:${password}@localhost/elsewhere?host=${encodeURIComponent(server.host)}`;
  const homeDir = home(t);
  const cloud = await start(t, homeDir, { HOLDFAST_DATABASE_URL: databaseUrl });
  assert.equal((await readiness(cloud)).status, 200);
  assert.equal(existsSync(path.join(homeDir, 'postgres')), false);
  await server.stop();
  assert.equal((await readiness(cloud)).status, 503);
});

test('a database killed in the middle of transactions fails them alone, and the server goes on', async (t) => {
  const homeDir = home(t);
  const cloud = await start(t, homeDir);
  for (let round = 0; round < 3; round++) {
    const { system } = cloud.bootstrap;
    const sleeping = Array.from({ length: 4 }, () =>
      system.withoutTenant((tx) => sql`select pg_sleep(30)`.execute(tx.withTables<unknown>())),
    );
    const outcomes = Promise.allSettled(sleeping);
    await until(async () => (await countSleeping(cloud)) === 4);
    const [postmaster] = readFileSync(path.join(homeDir, 'postgres', 'data', 'postmaster.pid'), 'utf8').split('\n');
    process.kill(Number(postmaster), 'SIGKILL');
    assert.ok((await outcomes).every(({ status }) => status === 'rejected'));
    await until(async () => (await readiness(cloud)).status === 200);
  }
});

async function countSleeping(cloud: Cloud): Promise<number> {
  const { rows } = await cloud.bootstrap.system.withoutTenant((tx) =>
    sql<{
      count: number;
    }>`select count(*) as count from pg_stat_activity where state = 'active' and query like '%pg_sleep%' and pid <> pg_backend_pid()`.execute(
      tx.withTables<unknown>(),
    ),
  );
  return rows[0]!.count;
}

/** Polls at the edge of another process, bounded. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, 'in vain waited');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
