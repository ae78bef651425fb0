import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { startTestCloud, startTestCluster, makeWorld, type TestCloud, type TestCluster } from '../testing.ts';
import { silentLog } from './log.ts';
import { translateDatabaseError } from './postgres-errors.ts';
import { Database, type TenantTx } from './postgres.ts';

let cluster: TestCluster;
let cloud: TestCloud;
let database: Database;
before(async () => {
  cluster = await startTestCluster();
  cloud = await startTestCloud(cluster);
  const login = { login: 'hf_api', password: cluster.passwords.hf_api } as const;
  const { target } = cloud.testDatabase;
  database = new Database(target, { ...login, maxConnections: 1, statementTimeoutMs: 500, log: silentLog });
});
after(async () => {
  await database.close();
  await cloud.stop();
  await cluster.stop();
});

async function tenantsSeen(tx: TenantTx): Promise<readonly string[]> {
  const { rows } = await sql<{ tenant_id: string }>`select distinct tenant_id from users`.execute(
    tx.withTables<unknown>(),
  );
  return rows.map((row) => row.tenant_id);
}

test('on one connection used again and again, each transaction sees its own tenant, and none sees nothing', async () => {
  const [one, two] = [await makeWorld(cloud, 'one'), await makeWorld(cloud, 'two')];
  for (const { tenant } of [one, two, one]) {
    assert.deepEqual(await database.withTenant(tenant.tenantUid, tenantsSeen), [tenant.tenantUid]);
    assert.deepEqual(await database.withoutTenant(tenantsSeen), []);
    await assert.rejects(
      database.withTenant(tenant.tenantUid, async () => {
        throw new Error('rolled back');
      }),
      /rolled back/,
    );
    assert.deepEqual(await database.withoutTenant(tenantsSeen), []);
  }
});

test('a tenant that is no UUID is an error, never everybody', async () => {
  for (const tenantId of ["' or true --", 'x', '00000000'])
    await assert.rejects(database.withTenant(tenantId, tenantsSeen), { code: '22P02' });
  assert.deepEqual(await database.withTenant('', tenantsSeen), []);
});

test('transactions that deadlock run again until both are through', async () => {
  const { tenant } = await makeWorld(cloud, 'deadlock');
  const { tenantUid: tenantId } = tenant;
  let tries = 0;
  const arrived: (() => void)[] = [];
  const bothHoldOne = new Promise<void>((resolve) => arrived.push(resolve));
  const lock = (tx: TenantTx, key: number) =>
    sql`select pg_advisory_xact_lock(${key})`.execute(tx.withTables<unknown>());
  const inOrder = (first: number, second: number) =>
    cloud.database.withTenant(tenantId, async (tx) => {
      await lock(tx, first);
      if (++tries === 2) arrived[0]?.();
      await bothHoldOne;
      await lock(tx, second);
      return first;
    });
  assert.deepEqual(await Promise.all([inOrder(1, 2), inOrder(2, 1)]), [1, 2]);
  assert.equal(tries, 3);
});

test('whole numbers are exact, and one too large for that is an error', async () => {
  const read = (text: string) =>
    database.withoutTenant((tx) =>
      sql<{ n: number }>`select ${text}::text::int8 as n`.execute(tx.withTables<unknown>()),
    );
  for (const text of ['0', '-1', '9007199254740991']) assert.equal((await read(text)).rows[0]?.n, Number(text));
  for (const text of ['9007199254740993', '-9223372036854775808']) await assert.rejects(read(text), RangeError);
});

test('a statement that takes too long ends, and is told from a fault', async () => {
  const slow = database.withoutTenant((tx) => sql`select pg_sleep(5)`.execute(tx.withTables<unknown>()));
  const error: unknown = await slow.catch((caught: unknown) => caught);
  assert.deepEqual(codeOf(translateDatabaseError(error)), 'request.interrupted');
  const fault = await database
    .withoutTenant((tx) => sql`select nothing`.execute(tx.withTables<unknown>()))
    .catch((caught: unknown) => caught);
  assert.equal(translateDatabaseError(fault), fault);
  assert.deepEqual(await database.withoutTenant(tenantsSeen), []);
});

test('a database that is away is told from a fault', async () => {
  const target = { host: '/nowhere', port: 1, database: 'x' };
  const away = new Database(target, { login: 'hf_api', password: 'x', maxConnections: 1, log: silentLog });
  const error: unknown = await away.withoutTenant(tenantsSeen).catch((caught: unknown) => caught);
  assert.equal(codeOf(translateDatabaseError(error)), 'request.overloaded');
  await away.close();
});

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
