import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startTestCluster, type TestCluster } from '../testing.ts';
import { silentLog } from './log.ts';
import { migrateDatabase, readMigrations, type MigrateOptions } from './migrate.ts';
import { databaseTargetOf } from './postgres.ts';

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

test('a database URL is taken apart, and its user is left aside', () => {
  assert.deepEqual(databaseTargetOf('postgresql://me:secret@db.example:6432/hold%20fast'), {
    host: 'db.example',
    port: 6432,
    database: 'hold fast',
  });
  assert.deepEqual(databaseTargetOf('postgres:///holdfast?host=/run/postgresql'), {
    host: '/run/postgresql',
    port: 5432,
    database: 'holdfast',
  });
  assert.deepEqual(databaseTargetOf('postgres://h/d?sslmode=verify-full').ssl, { rejectUnauthorized: true });
});
