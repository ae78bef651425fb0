import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type tls from 'node:tls';
import { afterwards } from '@holdfast/testing';
import pg from 'pg';
import { startTestCluster, type TestCluster } from '../testing.ts';
import { silentLog } from './log.ts';
import { databaseTargetOf } from './database-url.ts';
import { migrateDatabase, readMigrations, type LoginPasswords, type MigrateOptions } from './migrate.ts';
import { logins } from './postgres.ts';

const shipped = path.join(import.meta.dirname, '../../migrations/postgres');
let cluster: TestCluster;
let folder: string;
before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(path.join(tmpdir(), 'holdfast migrations '));
});
after(async () => {
  await cluster.stop();
  await rm(folder, { recursive: true, force: true });
});

function optionsFor(database: string, from = shipped): MigrateOptions {
  const { admin, passwords } = cluster;
  return { target: cluster.targetOf(database), admin, passwords, log: silentLog, folder: from };
}

async function copyOfShipped(name: string): Promise<string> {
  const copy = path.join(folder, name);
  await cp(shipped, copy, { recursive: true });
  return copy;
}

test('a new database gets every migration once, and the next start changes nothing', async () => {
  const first = await migrateDatabase(optionsFor('fresh'));
  assert.deepEqual(first.applied, (await readdir(shipped)).toSorted());
  assert.deepEqual((await migrateDatabase(optionsFor('fresh'))).applied, []);
});

test('nodes that start at once migrate once', async () => {
  const results = await Promise.all([1, 2, 3, 4].map(() => migrateDatabase(optionsFor('at_once'))));
  const total = results.flatMap(({ applied }) => applied);
  assert.deepEqual(total.toSorted(), (await readdir(shipped)).toSorted());
});

test('a migration that fails leaves nothing of itself, and the next start goes on there', async () => {
  const copy = await copyOfShipped('failing');
  const name = `${String((await readdir(copy)).length + 1).padStart(4, '0')}_next.sql`;
  await writeFile(path.join(copy, name), 'create table half (); select 1/0;');
  await assert.rejects(migrateDatabase(optionsFor('failing', copy)), new RegExp(name));
  await writeFile(path.join(copy, name), 'create table whole ();');
  assert.deepEqual((await migrateDatabase(optionsFor('failing', copy))).applied, [name]);
  const { rows } = await cluster.asSuperuser(
    'failing',
    `select to_regclass('half') as half, to_regclass('whole')::text as whole`,
  );
  assert.deepEqual(rows, [{ half: null, whole: 'whole' }]);
});

test('an applied migration that was changed, a newer database and a gap in the numbers are refused', async () => {
  const copy = await copyOfShipped('changing');
  await migrateDatabase(optionsFor('changing', copy));
  const last = (await readdir(copy)).toSorted().at(-1) ?? '';
  await writeFile(path.join(copy, last), 'select 1;');
  await assert.rejects(migrateDatabase(optionsFor('changing', copy)), { code: 'migrate.changed_file' });
  await rm(path.join(copy, last));
  await assert.rejects(migrateDatabase(optionsFor('changing', copy)), { code: 'migrate.newer_database' });
  assert.deepEqual((await migrateDatabase(optionsFor('changing'))).applied, []);
  await writeFile(path.join(copy, '0099_gap.sql'), 'select 1;');
  await assert.rejects(readMigrations(copy), { code: 'migrate.bad_numbering' });
});

test('a login that row security does not bind is refused, whoever made it, and accepted again without its power', async () => {
  await cluster.asSuperuser(
    'postgres',
    'create role passes_all bypassrls; create role go_between; create role harmless',
  );
  const powers = [
    ['alter role hf_migrate bypassrls', 'alter role hf_migrate nobypassrls'],
    ['alter role hf_migrate superuser', 'alter role hf_migrate nosuperuser'],
    ['alter role hf_api bypassrls', 'alter role hf_api nobypassrls'],
    ['alter role hf_storage superuser', 'alter role hf_storage nosuperuser'],
    ['grant hf_migrate to hf_api', 'revoke hf_migrate from hf_api'],
    ['grant hf_system to hf_ingest', 'revoke hf_system from hf_ingest'],
    ['grant hf_api to hf_storage', 'revoke hf_api from hf_storage'],
    ['grant passes_all to hf_api', 'revoke passes_all from hf_api'],
    ['grant hf_system to go_between; grant go_between to hf_api', 'revoke go_between from hf_api'],
  ];
  const accepted = [
    'grant harmless to hf_api',
    'alter role harmless superuser; revoke harmless from hf_api',
    'alter role go_between nologin',
    'grant hf_api to harmless',
    'alter role harmless login',
    'grant hf_system to passes_all',
    'alter role hf_api connection limit 90',
    'alter role hf_api connection limit -1',
    'grant connect on database fresh to hf_api',
  ];
  const { target, passwords, log, admin } = { ...cluster, ...optionsFor('fresh') };
  for (const migrate of [
    () => migrateDatabase({ target, passwords, log }),
    () => migrateDatabase({ target, passwords, log, admin }),
  ]) {
    for (const [power = '', without = ''] of powers) {
      await cluster.asSuperuser('postgres', power);
      await assert.rejects(migrate(), { code: 'migrate.privileged_login', kind: 'conflict' }, power);
      await cluster.asSuperuser('postgres', without);
      assert.deepEqual((await migrate()).applied, []);
    }
  }
  for (const statement of accepted) {
    await cluster.asSuperuser('postgres', statement);
    assert.deepEqual((await migrateDatabase({ target, passwords, log })).applied, [], statement);
  }
});

test('a password that was changed takes effect at the next start', async () => {
  const options = optionsFor('fresh');
  const passwords = { ...options.passwords, hf_migrate: "new ' password \\ $1" };
  await assert.rejects(migrateDatabase({ target: options.target, passwords, log: silentLog }), /password/);
  await migrateDatabase({ ...options, passwords });
  await migrateDatabase({ target: options.target, passwords, log: silentLog });
  await migrateDatabase(options);
});

test('no password goes to the database, and those that were set are in force', async (t) => {
  const options = optionsFor('fresh');
  const { host, port } = options.target;
  const socketDir = await mkdtemp(path.join(tmpdir(), 'holdfast wire '));
  const sent: Buffer[] = [];
  const wire = createServer((client) => {
    const server = connect(`${host}/.s.PGSQL.${port}`);
    client.on('data', (chunk: Buffer) => sent.push(chunk));
    client
      .on('error', () => server.destroy())
      .pipe(server)
      .on('error', () => client.destroy())
      .pipe(client);
  });
  afterwards(t, async () => {
    await new Promise((resolve) => wire.close(resolve));
    await rm(socketDir, { recursive: true });
  });
  await once(wire.listen(path.join(socketDir, `.s.PGSQL.${port}`)), 'listening');
  const target = { ...options.target, host: socketDir };
  const passwords = Object.fromEntries(logins.map((login) => [login, `secret of ${login}`])) as LoginPasswords;
  await migrateDatabase({ ...options, target, passwords });
  const text = Buffer.concat(sent).toString('latin1');
  assert.equal(text.match(/password 'SCRAM-SHA-256\$4096:/g)?.length, logins.length);
  for (const secret of [...Object.values(passwords), options.admin?.password ?? '']) {
    assert.ok(secret.length > 10);
    assert.ok(!text.includes(secret), secret);
  }
  for (const login of logins) {
    const client = new pg.Client({ ...target, user: login, password: passwords[login] });
    await client.connect();
    await client.end();
  }
  const { rows } = await cluster.asSuperuser('postgres', `select rolpassword from pg_authid where rolname = any($1)`, [
    [...logins],
  ]);
  for (const { rolpassword } of rows as { rolpassword: string }[]) assert.match(rolpassword, /^SCRAM-SHA-256\$4096:/);
  await migrateDatabase(options);
});

test('a database URL is taken apart, and its user is left aside', () => {
  assert.deepEqual(databaseTargetOf('postgresql://me:secret@db.example:6432/hold%20fast?sslmode=disable'), {
    host: 'db.example',
    port: 6432,
    database: 'hold fast',
  });
  assert.deepEqual(databaseTargetOf('postgres:///holdfast?host=/run/postgresql'), {
    host: '/run/postgresql',
    port: 5432,
    database: 'holdfast',
  });
  assert.deepEqual(databaseTargetOf('postgres:///'), { host: 'localhost', port: 5432, database: 'holdfast' });
});

test('a database elsewhere is reached by TLS and known by its certificate unless the URL says otherwise', async (t) => {
  const caFile = path.join(folder, 'root.pem');
  await writeFile(caFile, 'the certificate');
  afterwards(t, () => rm(caFile));
  const root = `sslrootcert=${encodeURIComponent(caFile)}`;
  const verified = [
    'postgres://db.example/d',
    'postgres://10.0.0.1/d',
    'postgres://[2001:db8::1]/d',
    'postgres://127.0.0.1.example/d',
    'postgres://localhost.example/d',
    'postgres:///d?host=db.example',
    'postgres://db.example/d?sslmode=verify-full',
    'postgres://db.example/d?sslrootcert=system',
    'postgres://localhost/d?sslmode=verify-full',
  ];
  for (const url of verified) assert.deepEqual(databaseTargetOf(url).ssl, { rejectUnauthorized: true }, url);
  const clear = [
    'postgres://db.example/d?sslmode=disable',
    'postgres://localhost/d',
    'postgres://127.0.0.1/d',
    'postgres://127.9.9.9/d',
    'postgres://[::1]/d',
    'postgres:///d',
    'postgres:///d?host=/run/postgresql',
    'postgres://db.example/d?host=%2Frun%2Fpostgresql',
    'postgres://localhost/d?sslmode=disable',
  ];
  for (const url of clear) assert.equal(databaseTargetOf(url).ssl, undefined, url);
  const ca = 'the certificate';
  assert.deepEqual(databaseTargetOf(`postgres://db/d?${root}`).ssl, { rejectUnauthorized: true, ca });
  assert.deepEqual(databaseTargetOf('postgres://db/d?sslmode=require').ssl, { rejectUnauthorized: false });
  for (const mode of [`sslmode=verify-ca&${root}`, `sslmode=require&${root}`]) {
    const { checkServerIdentity, ...ssl } = databaseTargetOf(`postgres://db/d?${mode}`).ssl as tls.ConnectionOptions;
    assert.deepEqual(ssl, { rejectUnauthorized: true, ca }, mode);
    assert.equal(checkServerIdentity?.('any name', {} as tls.PeerCertificate), undefined);
  }
  assert.equal(databaseTargetOf('postgres://[::1]:1/d').host, '::1');
  for (const mode of ['prefer', 'allow', 'Disable', ''])
    assert.throws(() => databaseTargetOf(`postgres://db/d?sslmode=${mode}`), {
      code: 'database_url.ssl_mode',
      kind: 'invalid',
    });
  assert.throws(() => databaseTargetOf('postgres://db/d?sslrootcert=/no/such/file'), {
    code: 'database_url.ssl_root_cert',
  });
});

test('an audit log that began before there were two logs goes on in the same tree', async () => {
  const before = await copyOfShipped('one_log');
  for (const name of await readdir(before)) if (name >= '0011') await rm(path.join(before, name));
  await migrateDatabase(optionsFor('one_log', before));
  const run = (statement: string) => cluster.asSuperuser('one_log', statement);
  const tenantId = '0190a000-0000-7000-8000-000000000001';
  const add = (number: number) =>
    run(`insert into audit_entries (tenant_id, entry_id, entry) values ('${tenantId}', gen_random_uuid(),
      '{"actor":{"id":"x","kind":"x"},"eventType":"test.${number}","occurredAt":"x","outcome":"done"}')`);
  await run(`insert into tenants (tenant_id, slug, name, registration_key, created_at, modified_at)
    values ('${tenantId}', 'one', 'One', 'key', now(), now())`);
  for (const number of [0, 1, 2]) await add(number);
  await run(`insert into audit_signed_heads values ('${tenantId}', 3, now(), 'note', 'verifier')`);
  await migrateDatabase(optionsFor('one_log'));
  await add(3);
  const { rows } = await run(
    `select (select array_agg(l.log_index::int order by l.log_index) from audit_leaves l) as leaves, h.log, h.tree_size::int,
       h.peaks = array[sha256('\\x01'::bytea || n0.hash || n1.hash)] as is_one_tree, s.log as signed
     from log_heads h join log_nodes n0 on n0.log = h.log and n0.level = 1 and n0.node_index = 0
       join log_nodes n1 on n1.log = h.log and n1.level = 1 and n1.node_index = 1 join log_signed_heads s on s.log = h.log`,
  );
  assert.deepEqual(rows, [{ leaves: [0, 1, 2, 3], log: 'audit', tree_size: 4, is_one_tree: true, signed: 'audit' }]);
});
