import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { apiClientTables } from './modules/api-clients/index.ts';
import { auditTables } from './modules/audit/index.ts';
import { escrowTables } from './modules/escrow/index.ts';
import { deviceTables } from './modules/devices/index.ts';
import { holdTables } from './modules/holds/index.ts';
import { identityTables } from './modules/identity/index.ts';
import { keyLogTables } from './modules/keylog/index.ts';
import { logTables } from './modules/logs/index.ts';
import { orgTables } from './modules/orgs/index.ts';
import { policyTables } from './modules/policies/index.ts';
import { releaseTables } from './modules/releases/index.ts';
import { storageTables } from './modules/storage/index.ts';
import { takeoverTables } from './modules/takeovers/index.ts';
import { tenantTables } from './modules/tenants/index.ts';
import { tokenTables } from './modules/tokens/index.ts';
import { witnessTables } from './modules/witnesses/index.ts';
import { logins, type Login } from './platform/postgres.ts';
import type { Columns } from './platform/table.ts';
import { tablesWithoutTenant } from './platform/tables-without-tenant.ts';
import { tables as rotationTables } from './rotate-keys.ts';
import { makeWorld, startTestCloud, startTestCluster, type TestCloud, type TestCluster } from './testing.ts';

let cluster: TestCluster;
let cloud: TestCloud;
let database: string;
let clients: Readonly<Record<Login, pg.Client>>;

before(async () => {
  cluster = await startTestCluster();
  cloud = await startTestCloud(cluster);
  database = cloud.testDatabase.target.database;
  const connected = await Promise.all(logins.map(async (login) => [login, await connectAs(login)] as const));
  clients = Object.fromEntries(connected) as Record<Login, pg.Client>;
});
after(async () => {
  await Promise.all(Object.values(clients).map((client) => client.end()));
  await cloud.stop();
  await cluster.stop();
});

async function connectAs(login: Login): Promise<pg.Client> {
  const client = new pg.Client({ ...cloud.testDatabase.target, user: login, password: cluster.passwords[login] });
  await client.connect();
  return client;
}

async function rowsOf<Row extends object>(statement: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
  return (await cluster.asSuperuser(database, statement, values)).rows as Row[];
}

/** Every table of ours, with or without a tenant. */
async function tableNames(): Promise<readonly string[]> {
  const rows = await rowsOf<{ name: string }>(
    `select c.relname as name from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 1`,
  );
  assert.ok(rows.length > 20);
  return rows.map(({ name }) => name);
}

/** Runs statements as a login with a tenant set for one transaction, which is rolled back. */
async function inTenant<T>(login: Login, tenantId: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = clients[login];
  await client.query('begin');
  try {
    await client.query(`select set_config('app.tenant_id', $1, true)`, [tenantId]);
    return await work(client);
  } finally {
    await client.query('rollback');
  }
}

const isDenied = (error: unknown) => error instanceof pg.DatabaseError && error.code === '42501';

test('no login is a superuser, exempt from row security, or able to make roles and databases', async () => {
  const rows = await rowsOf<{ name: string; powers: boolean }>(
    `select rolname as name, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication as powers
     from pg_roles where rolname like 'hf_%' order by 1`,
  );
  assert.deepEqual(
    rows.map(({ name }) => name),
    logins.toSorted(),
  );
  assert.deepEqual(
    rows.filter(({ powers }) => powers),
    [],
  );
});

test('no login is a member of another, and only hf_migrate owns anything', async () => {
  assert.deepEqual(
    await rowsOf(`select * from pg_auth_members m join pg_roles r on r.oid = m.member where r.rolname like 'hf_%'`),
    [],
  );
  const owners = await rowsOf<{ owner: string }>(
    `select distinct pg_get_userbyid(relowner) as owner from pg_class where relnamespace = 'public'::regnamespace`,
  );
  assert.deepEqual(owners, [{ owner: 'hf_migrate' }]);
});

const noTenant = `(NULLIF(current_setting('app.tenant_id'::text, true), ''::text) IS NULL)`;
const tenantExpression = `(tenant_id = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid)`;

test('every table forces row security by tenant for reading and writing, unless it is listed with a reason', async () => {
  const rows = await rowsOf<{ name: string; enabled: boolean; forced: boolean; policies: unknown }>(
    `select c.relname as name, c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
       (select coalesce(json_agg(json_build_array(p.policyname, p.permissive, p.roles::text[], p.cmd, p.qual, p.with_check)
          order by p.policyname), '[]') from pg_policies p where p.tablename = c.relname) as policies
     from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')`,
  );
  const expected = [
    ['owner_all', 'PERMISSIVE', ['hf_migrate'], 'ALL', 'true', 'true'],
    ['system_all', 'PERMISSIVE', ['hf_system'], 'ALL', noTenant, noTenant],
    ['tenant_isolation', 'PERMISSIVE', ['public'], 'ALL', tenantExpression, tenantExpression],
  ];
  for (const { name, enabled, forced, policies } of rows) {
    if (tablesWithoutTenant[name]?.lacks === 'no_tenant_id') continue;
    assert.deepEqual({ name, enabled, forced }, { name, enabled: true, forced: true });
    assert.deepEqual(policies, expected, name);
  }
});

test('every key of every table begins with the tenant, unless it is listed with a reason', async () => {
  const indexes = await rowsOf<{ name: string; index: string; first: string }>(
    `select t.relname as name, i.relname as index, a.attname as first from pg_index x
     join pg_class t on t.oid = x.indrelid join pg_class i on i.oid = x.indexrelid
     left join pg_attribute a on a.attrelid = t.oid and a.attnum = x.indkey[0]
     where t.relnamespace = 'public'::regnamespace`,
  );
  const foreign = await rowsOf<{ name: string; index: string; first: string; target: string }>(
    `select t.relname as name, c.conname as index, a.attname as first, f.relname as target from pg_constraint c
     join pg_class t on t.oid = c.conrelid join pg_class f on f.oid = c.confrelid
     join pg_attribute a on a.attrelid = t.oid and a.attnum = c.conkey[1]
     where c.contype = 'f' and t.relnamespace = 'public'::regnamespace`,
  );
  assert.ok(indexes.length > 30 && foreign.length > 10);
  for (const { name, index, first } of [...indexes, ...foreign]) {
    if (tablesWithoutTenant[name]) continue;
    assert.equal(first, 'tenant_id', `${index} of ${name}`);
  }
});

test('the list of tables without a tenant names tables that exist, are as it says, and has a reason for each', async () => {
  const names = await tableNames();
  for (const [name, { lacks, reason }] of Object.entries(tablesWithoutTenant)) {
    assert.ok(names.includes(name), name);
    assert.ok(reason.length > 20, name);
    const columns = await rowsOf(
      `select 1 from information_schema.columns where table_name = $1 and column_name = 'tenant_id'`,
      [name],
    );
    assert.equal(columns.length, lacks === 'no_tenant_id' ? 0 : 1, name);
  }
});

test('views run with the rights of who asks, and functions with the rights of their owner are those named here', async () => {
  const views = await rowsOf<{ name: string; options: string[] | null }>(
    `select relname as name, reloptions as options from pg_class where relnamespace = 'public'::regnamespace and relkind in ('v', 'm')`,
  );
  for (const { name, options } of views) assert.ok(options?.includes('security_invoker=true'), name);
  const definers = await rowsOf<{ name: string; config: string[] | null }>(
    `select proname as name, proconfig as config from pg_proc where pronamespace = 'public'::regnamespace and prosecdef order by 1`,
  );
  assert.deepEqual(
    definers.map(({ name }) => name),
    [
      'chain_audit_entry',
      'key_log_sizes',
      'key_logs_without_cosignature',
      'locate',
      'logs_with_unsigned_heads',
      'place_key_log_leaf',
      'refuse_retired_key',
      'say_keyring_added',
    ],
  );
  for (const { name, config } of definers) assert.match(String(config), /search_path=pg_catalog.*pg_temp/, name);
});

test('without a tenant no login but those that work across tenants sees a row of any isolated table', async () => {
  await makeWorld(cloud, 'unseen');
  const readable = await rowsOf<{ login: Login; name: string }>(
    `select distinct grantee as login, table_name as name from information_schema.column_privileges
     where grantee in ('hf_api', 'hf_storage', 'hf_ingest', 'hf_keystore') and privilege_type = 'SELECT'
       and table_schema = 'public'`,
  );
  const isolated = readable.filter(({ name }) => tablesWithoutTenant[name]?.lacks !== 'no_tenant_id');
  assert.ok(isolated.length > 20);
  for (const { login, name } of isolated) {
    const { rows } = await clients[login].query(
      `select count(tenant_id)::int as seen from ${pg.escapeIdentifier(name)}`,
    );
    assert.deepEqual(rows, [{ seen: 0 }], `${login} ${name}`);
  }
  const { rows } = await clients.hf_system.query('select count(*)::int as seen from users');
  assert.ok(rows[0].seen >= 2);
});

test('with a tenant set, rows of no other can be read, changed, removed or made; the own ones can', async () => {
  const [ours, theirs] = [await makeWorld(cloud, 'rls-ours'), await makeWorld(cloud, 'rls-theirs')];
  const { tenantUid: tenantId } = ours.tenant;
  await inTenant('hf_api', tenantId, async (client) => {
    const seen = await client.query<{ tenant_id: string }>('select distinct tenant_id from users');
    assert.deepEqual(seen.rows, [{ tenant_id: tenantId }]);
    const rename = `update users set notes = 'x' where user_id = $1`;
    assert.equal((await client.query(rename, [ours.member.userId])).rowCount, 1);
    assert.equal((await client.query(rename, [theirs.member.userId])).rowCount, 0);
    const remove = 'delete from role_assignments where principal_id = $1';
    assert.equal((await client.query(remove, [theirs.member.userId])).rowCount, 0);
    assert.equal((await client.query(remove, [ours.member.userId])).rowCount, 1);
  });
  const insert = `insert into role_assignments values ($1, $2, $3, 'desktop-user', now())`;
  await inTenant('hf_api', tenantId, async (client) => {
    await client.query(insert, [tenantId, randomUUID(), ours.rootOrgId]);
    await assert.rejects(client.query(insert, [theirs.tenant.tenantUid, randomUUID(), theirs.rootOrgId]), isDenied);
  });
  await inTenant('hf_api', tenantId, async (client) => {
    const move = 'update users set tenant_id = $2 where user_id = $1';
    await assert.rejects(client.query(move, [ours.member.userId, theirs.tenant.tenantUid]), isDenied);
  });
});

test('within a tenant\u2019s transaction the login that works across tenants sees that tenant alone', async () => {
  const [ours] = [await makeWorld(cloud, 'rls-system'), await makeWorld(cloud, 'rls-system-other')];
  const { tenantUid: tenantId } = ours.tenant;
  await inTenant('hf_system', tenantId, async (client) => {
    const seen = await client.query('select distinct tenant_id from users');
    assert.deepEqual(seen.rows, [{ tenant_id: tenantId }]);
    const removed = await client.query<{ tenant_id: string }>('delete from role_assignments returning tenant_id');
    assert.deepEqual(new Set(removed.rows.map((row) => row.tenant_id)), new Set([tenantId]));
  });
});

test('the tenant of a transaction is gone with it, also on the same connection', async () => {
  const { tenant } = await makeWorld(cloud, 'rls-once');
  const one = await inTenant('hf_api', tenant.tenantUid, (client) => client.query('select user_id from users'));
  assert.ok((one.rowCount ?? 0) > 0);
  assert.equal((await clients.hf_api.query('select user_id from users')).rowCount, 0);
});

test('the owner of the tables is held by row security too, and changes all tenants by its own policy alone', async () => {
  await makeWorld(cloud, 'rls-owner');
  const total = await rowsOf<{ count: number }>('select count(*)::int as count from users');
  const changed = await clients.hf_migrate.query('update users set modified_at = modified_at');
  assert.equal(changed.rowCount, total[0]?.count);
  await clients.hf_migrate.query('begin; drop policy owner_all on users');
  try {
    assert.equal((await clients.hf_migrate.query('update users set modified_at = modified_at')).rowCount, 0);
  } finally {
    await clients.hf_migrate.query('rollback');
  }
});

test('nobody but hf_migrate can change or remove what the audit log, the key log, its cosignatures and escrow keys consist of', async () => {
  const { tenant } = await makeWorld(cloud, 'rls-audit');
  const shared = ['log_nodes', 'log_heads', 'log_signed_heads', 'log_keys'];
  const ofKeys = ['key_log_leaves', 'key_log_subjects', 'key_log_daily_heads'];
  const ofWitnesses = ['log_cosignatures', 'log_witness_faults'];
  const names = ['audit_entries', 'audit_leaves', 'escrow_keys', ...ofKeys, ...ofWitnesses, ...shared];
  const tables = names.map((name) => `public.${name}`);
  for (const login of logins.filter((name) => name !== 'hf_migrate')) {
    for (const table of tables) {
      for (const statement of [
        `update ${table} set tenant_id = tenant_id`,
        `delete from ${table}`,
        `truncate ${table}`,
      ])
        await inTenant(login, tenant.tenantUid, (client) => assert.rejects(client.query(statement), isDenied));
    }
    for (const table of ['audit_entries', 'key_log_leaves'])
      await inTenant(login, tenant.tenantUid, (client) =>
        assert.rejects(client.query(`alter table public.${table} disable trigger all`), isDenied),
      );
  }
  const read = await inTenant('hf_api', tenant.tenantUid, (client) => client.query('select entry from audit_entries'));
  assert.ok((read.rowCount ?? 0) > 0);
});

test('storage, ingest and keystore hold only what is granted to them by name', async () => {
  const granted = await rowsOf<{ login: string; name: string; rights: string }>(
    `select grantee as login, table_name as name, string_agg(privilege_type, ' ' order by privilege_type) as rights
     from information_schema.table_privileges
     where grantee in ('hf_storage', 'hf_ingest', 'hf_keystore') and table_schema = 'public' group by 1, 2`,
  );
  const writable = granted.filter(({ rights }) => /INSERT|UPDATE|DELETE|TRUNCATE/.test(rights));
  const allowed = new Set([
    'archives',
    'audit_entries',
    'receipt_keys',
    'shared_secrets',
    'takeover_keys',
    'used_proofs',
  ]);
  assert.deepEqual(
    writable.filter(({ name }) => !allowed.has(name)),
    [],
  );
  assert.deepEqual(
    granted.filter(({ login }) => login === 'hf_keystore'),
    [],
  );
  await assert.rejects(clients.hf_storage.query('select wrapped_private_key from token_keys'), isDenied);
  await assert.rejects(clients.hf_storage.query('select password_hash from users'), isDenied);
  await clients.hf_storage.query('select public_jwk from token_keys');
  await clients.hf_storage.query('select active from users');
  await assert.rejects(clients.hf_keystore.query('select * from public.tenants'), isDenied);
});

test('before a tenant is known only locate may be asked, and it answers one identifier at a time', async () => {
  const { tenant } = await makeWorld(cloud, 'rls-locate');
  const ask = `select public.locate('tenant_slug', sha256(convert_to($1, 'UTF8'))) as tenant_id`;
  assert.deepEqual((await clients.hf_api.query(ask, ['rls-locate'])).rows, [{ tenant_id: tenant.tenantUid }]);
  assert.deepEqual((await clients.hf_api.query(ask, ['nobody'])).rows, [{ tenant_id: null }]);
  assert.equal((await clients.hf_api.query('select * from locators')).rowCount, 0);
  await assert.rejects(clients.hf_keystore.query(ask, ['rls-locate']), isDenied);
});

test('the stores describe every table as the database has it', async () => {
  const described: Readonly<Record<string, Columns>> = {
    ...tenantTables,
    ...orgTables,
    ...identityTables,
    ...tokenTables,
    ...apiClientTables,
    ...deviceTables,
    ...policyTables,
    ...logTables,
    ...auditTables,
    ...keyLogTables,
    ...escrowTables,
    ...releaseTables,
    ...storageTables,
    ...holdTables,
    ...witnessTables,
    ...takeoverTables,
    ...rotationTables,
  };
  const notYetRead = ['schema_migrations'];
  assert.deepEqual([...Object.keys(described), ...notYetRead].toSorted(), await tableNames());
  for (const [table, columns] of Object.entries(described)) {
    const rows = await rowsOf<{ name: string; type: string; nullable: boolean }>(
      `select column_name as name, udt_name as type, is_nullable = 'YES' as nullable
       from information_schema.columns where table_schema = 'public' and table_name = $1`,
      [table],
    );
    const actual = rows.map(({ name, type, nullable }) => [name, { sqlType: type, nullable }] as const);
    assert.deepEqual(columns, Object.fromEntries(actual), table);
  }
});
