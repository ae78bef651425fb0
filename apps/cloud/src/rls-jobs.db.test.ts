import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobTablesWithoutTenant } from './platform/tables-without-tenant.ts';
import { startForFile } from './testing.ts';

const { cluster, cloud } = await startForFile();

async function rowsOf<Row extends object>(statement: string): Promise<readonly Row[]> {
  return (await cluster.asSuperuser(cloud.testDatabase.target.database, statement)).rows as Row[];
}

test('a job is isolated by the tenant that was stamped on it, under both names of its table', async () => {
  const rows = await rowsOf(
    `select c.relname as name, c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
       (select json_agg(json_build_array(p.policyname, p.permissive, p.roles::text[], p.cmd, p.qual, p.with_check)
          order by p.policyname) from pg_policies p where p.schemaname = 'jobs' and p.tablename = c.relname) as policies
     from pg_class c where c.relnamespace = 'jobs'::regnamespace and c.relname in ('job', 'job_common') order by 1`,
  );
  const noTenant = `(NULLIF(current_setting('app.tenant_id'::text, true), ''::text) IS NULL)`;
  const tenant = `(group_id = NULLIF(current_setting('app.tenant_id'::text, true), ''::text))`;
  const policies = [
    ['owner_all', 'PERMISSIVE', ['hf_migrate'], 'ALL', 'true', 'true'],
    ['system_all', 'PERMISSIVE', ['hf_system'], 'ALL', noTenant, noTenant],
    ['tenant_isolation', 'PERMISSIVE', ['public'], 'ALL', tenant, tenant],
  ];
  const guarded = { enabled: true, forced: true, policies };
  assert.deepEqual(rows, [
    { name: 'job', ...guarded },
    { name: 'job_common', ...guarded },
  ]);
  const triggers = await rowsOf(
    `select c.relname as name from pg_trigger t join pg_class c on c.oid = t.tgrelid
     where t.tgname = 'job_tenant' and t.tgenabled = 'O' order by 1`,
  );
  assert.deepEqual(triggers, [{ name: 'job' }, { name: 'job_common' }]);
});

test('of the tables of jobs every one is isolated or listed with a reason, and belongs to hf_migrate', async () => {
  const rows = await rowsOf<{ name: string; owner: string }>(
    `select c.relname as name, pg_get_userbyid(c.relowner) as owner from pg_class c
     left join pg_inherits i on i.inhrelid = c.oid left join pg_class p on p.oid = i.inhparent
     where c.relnamespace = 'jobs'::regnamespace and c.relkind in ('r', 'p') and p.relname is distinct from 'queue_stats'`,
  );
  const expected = [...Object.keys(jobTablesWithoutTenant), 'job', 'job_common'];
  assert.deepEqual(rows.map(({ name }) => name).toSorted(), expected.toSorted());
  assert.deepEqual(new Set(rows.map(({ owner }) => owner)), new Set(['hf_migrate']));
  for (const [name, reason] of Object.entries(jobTablesWithoutTenant)) assert.ok(reason.length > 20, name);
});

test('of jobs each login holds only what is granted to it by name', async () => {
  const rows = await rowsOf(
    `select grantee as login, table_name as name, string_agg(distinct privilege_type, ' ' order by privilege_type) as rights
     from information_schema.table_privileges where table_schema = 'jobs' and grantee <> 'hf_migrate'
     group by 1, 2 order by 1, 2`,
  );
  assert.deepEqual(rows, [
    { login: 'hf_api', name: 'queue', rights: 'SELECT' },
    { login: 'hf_api', name: 'version', rights: 'SELECT' },
    { login: 'hf_storage', name: 'queue', rights: 'SELECT' },
    { login: 'hf_storage', name: 'version', rights: 'SELECT' },
    { login: 'hf_system', name: 'job', rights: 'DELETE INSERT SELECT' },
    { login: 'hf_system', name: 'job_common', rights: 'DELETE INSERT SELECT' },
    { login: 'hf_system', name: 'job_dependency', rights: 'DELETE SELECT' },
    { login: 'hf_system', name: 'queue', rights: 'INSERT SELECT UPDATE' },
    { login: 'hf_system', name: 'schedule', rights: 'SELECT UPDATE' },
    { login: 'hf_system', name: 'version', rights: 'SELECT UPDATE' },
  ]);
  const functions = await rowsOf(
    `select p.proname as name from pg_proc p where p.pronamespace = 'jobs'::regnamespace
       and (has_function_privilege('hf_api', p.oid, 'execute') or has_function_privilege('hf_storage', p.oid, 'execute')
         or has_function_privilege('public', p.oid, 'execute'))`,
  );
  assert.deepEqual(functions, [{ name: 'job_now' }]);
});

test('who adds jobs may say no more than a new job needs, and who does them may not change whose they are', async () => {
  const columns = await rowsOf<{ login: string; right: string; columns: string[] }>(
    `select grantee as login, privilege_type as right, array_agg(column_name::text order by column_name) as columns
     from information_schema.column_privileges
     where table_schema = 'jobs' and table_name in ('job', 'job_common') and grantee in ('hf_api', 'hf_storage')
     group by 1, 2`,
  );
  assert.equal(columns.length, 4);
  const decided = [
    'state',
    'output',
    'started_on',
    'completed_on',
    'heartbeat_on',
    'retry_count',
    'source_id',
    'source_name',
  ];
  for (const { right, columns: names } of columns) {
    if (right === 'SELECT') assert.deepEqual(names, ['id']);
    else assert.equal(right, 'INSERT');
    assert.ok(!decided.some((name) => names.includes(name)), names.join());
  }
  const changeable = await rowsOf<{ name: string }>(
    `select column_name as name from information_schema.column_privileges
     where table_schema = 'jobs' and table_name = 'job_common' and grantee = 'hf_system' and privilege_type = 'UPDATE'`,
  );
  assert.ok(changeable.some(({ name }) => name === 'state'));
  for (const name of ['id', 'name', 'group_id', 'data']) assert.ok(!changeable.some((row) => row.name === name), name);
});
