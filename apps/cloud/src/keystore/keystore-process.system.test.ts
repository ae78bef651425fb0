import assert from 'node:assert/strict';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { afterwards } from '@holdfast/testing';
import pg from 'pg';
import { operateCloud, startCloud, type Cloud } from '../app.ts';
import { createTenant } from '../bootstrap.ts';
import { readCloudConfig } from '../config.ts';
import { examineCloud } from '../doctor.ts';
import { inviteDevices } from '../invite.ts';
import { findEscrowKeys } from '../modules/escrow/index.ts';
import { MASTER_KEY_FILE } from '../open-kms.ts';
import { EMBEDDED_PORT, openSocketHost } from '../platform/embedded-postgres.ts';
import { openKeyFileKms } from '../platform/kms-file.ts';
import { silentLog, type Log } from '../platform/log.ts';
import { startKeystore } from './supervise.ts';

const configOf = (homeDir: string) => readCloudConfig({ HOLDFAST_HOME: homeDir, HOLDFAST_LISTEN: '127.0.0.1:0' });

function newHome(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast keystore '));
  afterwards(t, () => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'home');
}

async function start(t: TestContext, homeDir = newHome(t)) {
  const said: string[] = [];
  const write = (facts: object, message: string) => void said.push(`${message} ${JSON.stringify(facts)}`);
  const log: Log = { debug: write, info: write, warn: write, error: write };
  const cloud = await startCloud(configOf(homeDir), { log });
  afterwards(t, () => cloud.stop());
  return { cloud, homeDir, said };
}

const addTenant = (cloud: Pick<Cloud, 'bootstrap'>, slug: string) =>
  createTenant(cloud.bootstrap, { slug, name: slug, adminUsername: 'admin' });

const documentOf = (cloud: Cloud, tenantId: string) =>
  cloud.bootstrap.system.withTenant(tenantId, (tx) => findEscrowKeys(tx, tenantId));

async function readiness(cloud: Cloud): Promise<{ status: number; checks: Record<string, string> }> {
  return new Promise((resolve, reject) => {
    const request = http.get({ socketPath: cloud.privateAddress, path: '/readyz', agent: false }, (reply) => {
      let body = '';
      reply.on('data', (chunk: Buffer) => (body += chunk.toString()));
      reply.on('end', () => resolve({ status: reply.statusCode!, checks: JSON.parse(body).checks }));
    });
    request.on('error', reject);
  });
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`in vain waited for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function runs(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

const onLinux = { skip: process.platform !== 'linux' && 'needs Linux' };

test(
  'the keystore of a server tells nothing by its arguments, environment, signals or core files',
  onLinux,
  async (t) => {
    const { cloud, homeDir } = await start(t);
    const pid = cloud.keystore.process.pid()!;
    assert.match(readFileSync(`/proc/${pid}/limits`, 'utf8'), /^Max core file size +0 +0 /m);
    const [, mask = ''] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    const catches = (signal: number) => (BigInt(`0x${mask}`) & (1n << BigInt(signal - 1))) !== 0n;
    assert.equal(catches(constants.signals.SIGUSR1), false, 'no debugger opens');
    assert.equal(catches(constants.signals.SIGTERM), true);
    const { keys } = JSON.parse(readFileSync(path.join(homeDir, MASTER_KEY_FILE), 'utf8')) as {
      keys: { key: string }[];
    };
    const kms = await openKeyFileKms(path.join(homeDir, MASTER_KEY_FILE), { nowMs: 0 });
    const secrets = [keys[0]!.key, kms.derivePassword('hf_keystore'), kms.derivePassword('hf_system')];
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    assert.match(command, /keystore\/main\.ts/);
    for (const secret of secrets) assert.ok(!command.includes(secret));
    // Root reads everything; whoever else has the same user, nothing.
    const environment = () => readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    if (process.getuid?.() === 0)
      for (const set of environment()) assert.match(set, /^$|^(NODE_CHANNEL_|MALLOC_|GLIBC_TUNABLES=|glibc\.malloc\.)/);
    else
      for (const read of [environment, () => openSync(`/proc/${pid}/mem`, 'r')])
        assert.throws(read, { code: 'EACCES' });
  },
);

test('a keystore that is killed is missed by nobody but its callers, and comes back with the keys it had', async (t) => {
  const { cloud, homeDir, said } = await start(t);
  const before = await addTenant(cloud, 'before');
  const { tenantUid } = before;
  const known = await cloud.keystore.client.publicKeys({ tenantUid });
  const pid = cloud.keystore.process.pid()!;
  process.kill(pid, 'SIGKILL');
  await until(() => cloud.keystore.process.pid() === undefined, 'the end of the keystore');
  const { status, checks } = await readiness(cloud);
  assert.deepEqual([status, checks], [200, { database: 'ok', keystore: 'The keystore does not answer' }]);
  const findings = await examineCloud(configOf(homeDir));
  assert.equal(findings.find(({ subject }) => subject === 'keystore')?.state, 'failed');
  // What needs no keystore goes on, and what needs one waits for it.
  const operator = { bootstrap: cloud.bootstrap, server: cloud.api.server };
  await inviteDevices(operator, { slug: 'before', uses: 1, days: 1 });
  const meanwhile = await addTenant(cloud, 'meanwhile');
  assert.ok(await documentOf(cloud, meanwhile.tenantUid));
  assert.notEqual(cloud.keystore.process.pid(), pid);
  assert.deepEqual(await cloud.keystore.client.publicKeys({ tenantUid }), known);
  assert.ok(said.some((line) => line.startsWith('the keystore ended unexpectedly; starting it again')));
  assert.deepEqual((await readiness(cloud)).checks, { database: 'ok', keystore: 'ok' });
});

test('signals that reach a whole group of processes do not end the keystore before its server, which ends it', async (t) => {
  const { cloud } = await start(t);
  const pid = cloud.keystore.process.pid()!;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid, signal);
  const { tenantUid } = await addTenant(cloud, 'after');
  await cloud.keystore.client.publicKeys({ tenantUid });
  assert.equal(cloud.keystore.process.pid(), pid);
  await cloud.stop();
  await until(() => !runs(pid), 'the end of the keystore');
});

test('one folder has one keystore: a second one ends, and the first goes on', async (t) => {
  const { cloud, homeDir } = await start(t);
  const kms = await openKeyFileKms(path.join(homeDir, MASTER_KEY_FILE), { nowMs: 0 });
  const lines: string[] = [];
  const note = (facts: object, message: string) => void lines.push(message + JSON.stringify(facts));
  const second = startKeystore(
    {
      facts: Promise.resolve({
        homeDir,
        installationId: cloud.api.installationId,
        database: { dataDir: path.join(homeDir, 'postgres', 'data'), name: 'holdfast' },
        password: kms.derivePassword('hf_keystore'),
        logLevel: 'info',
      }),
      readAccess: () => kms.accessFor('keystore'),
    },
    { log: { ...silentLog, error: note } },
  );
  afterwards(t, () => second.stop());
  assert.equal(await second.awaitReady(15_000), false);
  await until(() => lines.some((line) => line.includes('keystore.already_running')), 'why it ended');
  assert.equal(await cloud.keystore.client.checkReadiness(), 'ok');
});

test('tenants that were made before there were escrow keys get theirs at the next start, also an operator\u2019s', async (t) => {
  const { cloud, homeDir } = await start(t);
  const [one, two] = [await addTenant(cloud, 'one'), await addTenant(cloud, 'two')];
  const known = await cloud.keystore.client.publicKeys({ tenantUid: one.tenantUid });
  const first = await documentOf(cloud, one.tenantUid);
  const kms = await openKeyFileKms(path.join(homeDir, MASTER_KEY_FILE), { nowMs: 0 });
  /** As a database is that an earlier version left, or one that was killed between the two halves. */
  const forget = async (statement: string, values: readonly string[] = []) => {
    const folder = openSocketHost(path.join(homeDir, 'postgres', 'data'));
    const password = kms.derivePassword('hf_migrate');
    const client = new pg.Client({
      host: folder.host,
      port: EMBEDDED_PORT,
      database: 'holdfast',
      user: 'hf_migrate',
      password,
    });
    await client.connect();
    const { rowCount } = await client.query(statement, [...values]);
    await client.end();
    folder.close();
    return rowCount;
  };
  assert.equal(await forget('delete from escrow_keys where tenant_id = $1', [one.tenantUid]), 1);
  const operator = { bootstrap: cloud.bootstrap, server: cloud.api.server };
  const invite = (slug: string) => inviteDevices(operator, { slug, uses: 1, days: 1 });
  await assert.rejects(invite('one'), { code: 'enrollment.keys_not_made', kind: 'unavailable' });
  await invite('two');
  await cloud.stop();
  const again = await start(t, homeDir);
  const second = await documentOf(again.cloud, one.tenantUid);
  assert.ok(second !== undefined && second !== first);
  assert.deepEqual(await again.cloud.keystore.client.publicKeys({ tenantUid: one.tenantUid }), known);
  const kept = await documentOf(again.cloud, two.tenantUid);
  assert.equal(await forget('delete from escrow_keys'), 2);
  await again.cloud.stop();
  const config = configOf(homeDir);
  await operateCloud(config, { log: silentLog }, async (offline) => {
    await inviteDevices(offline, { slug: 'one', uses: 1, days: 1 });
    await createTenant(offline.bootstrap, { slug: 'three', name: 'three', adminUsername: 'admin' });
  });
  const last = await start(t, homeDir);
  assert.notEqual(await documentOf(last.cloud, two.tenantUid), kept);
  const made = await documentOf(last.cloud, two.tenantUid);
  await last.cloud.stop();
  const unchanged = await start(t, homeDir);
  assert.equal(await documentOf(unchanged.cloud, two.tenantUid), made);
  await operateCloud(config, { log: silentLog }, (beside) =>
    createTenant(beside.bootstrap, { slug: 'four', name: 'four', adminUsername: 'admin' }),
  );
});
