import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { defineErrors } from '@holdfast/base';
import pg from 'pg';
import { installJobs } from './jobs.ts';
import type { Log } from './log.ts';
import { logins, type DatabaseTarget, type Login } from './postgres.ts';
import { scramVerifier } from './scram-verifier.ts';

/** The password of each login. */
export type LoginPasswords = Readonly<Record<Login, string>>;

/** What `migrateDatabase` needs. */
export type MigrateOptions = {
  readonly target: DatabaseTarget;
  readonly passwords: LoginPasswords;
  /**
   * A login that may create roles and databases; it makes what is missing and sets the passwords.
   * Without it the logins and the database must exist already, the database owned by `hf_migrate`.
   */
  readonly admin?: { readonly user: string; readonly password: string; readonly database: string };
  readonly log: Log;
  /** Folder of the numbered SQL files; the ones of this package when absent. */
  readonly folder?: string;
};

/** Failures of bringing a database up to date. */
export const migrateErrors = defineErrors('migrate', {
  changed_file: ['conflict', 'A migration that has been applied was changed afterwards'],
  newer_database: ['conflict', 'The database is newer than this program'],
  bad_numbering: ['conflict', 'Migrations must be numbered from 0001 without gaps'],
  privileged_login: [
    'conflict',
    'A login of the server is a superuser, exempt from row security, or a member of a role that is or of another login',
  ],
});

/** One numbered SQL file. */
export type Migration = {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
};

const defaultFolder = path.join(import.meta.dirname, '../../migrations/postgres');
/** Any fixed number: it keeps two migrations of one database apart. */
const ADVISORY_LOCK = 7_236_001;

/**
 * Brings a database to the schema of this program: logins, database, then every migration not yet applied, in order.
 *
 * Safe to run at every start and by many nodes at once. Each migration is one transaction, run as `hf_migrate`.
 * @throws migrate.changed_file, migrate.newer_database, migrate.bad_numbering, migrate.privileged_login
 */
export async function migrateDatabase(options: MigrateOptions): Promise<{ readonly applied: readonly string[] }> {
  const migrations = await readMigrations(options.folder ?? defaultFolder);
  if (options.admin) await prepareCluster(options, options.admin);
  const owner = connectionOf(options.target, 'hf_migrate', options.passwords.hf_migrate);
  return withClient(owner, async (client) => {
    await refusePrivilegedLogins(client);
    await client.query('select pg_advisory_lock($1)', [ADVISORY_LOCK]);
    // Before the numbered files, one of which says who may do what with its tables.
    await installJobs(client, options.log);
    const applied = await applyMissing(client, migrations);
    if (applied.length > 0) options.log.info({ applied }, 'the database schema was brought up to date');
    return { applied };
  });
}

/** Reads the numbered SQL files of a folder, in order. */
export async function readMigrations(folder: string): Promise<readonly Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).toSorted();
  const migrations = await Promise.all(
    names.map(async (name) => {
      const sql = await readFile(path.join(folder, name), 'utf8');
      return { version: Number(name.slice(0, 4)), name, sql, sha256: sha256Hex(sql) };
    }),
  );
  if (migrations.some(({ version }, index) => version !== index + 1)) throw migrateErrors.bad_numbering({ names });
  return migrations;
}

async function applyMissing(client: pg.Client, migrations: readonly Migration[]): Promise<readonly string[]> {
  await client.query(`create table if not exists schema_migrations (
    version integer primary key, name text not null, sha256 text not null, applied_at timestamptz not null default now())`);
  const { rows } = await client.query<{ version: number; name: string; sha256: string }>(
    'select version, name, sha256 from schema_migrations order by version',
  );
  for (const done of rows) {
    const known = migrations[done.version - 1];
    if (!known) throw migrateErrors.newer_database({ name: done.name });
    if (known.sha256 !== done.sha256) throw migrateErrors.changed_file({ name: known.name });
  }
  const missing = migrations.slice(rows.length);
  for (const migration of missing) await applyOne(client, migration);
  return missing.map(({ name }) => name);
}

async function applyOne(client: pg.Client, { version, name, sql, sha256 }: Migration): Promise<void> {
  await client.query('begin');
  try {
    await client.query(sql);
    await client.query('insert into schema_migrations (version, name, sha256) values ($1, $2, $3)', [
      version,
      name,
      sha256,
    ]);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw new Error(`migration ${name} failed`, { cause: error });
  }
}

/**
 * Row security binds no superuser, nobody exempt from it and, since its policies apply to members too, nobody who may act
 * as another login: all tenants would be open to them, and no isolation test would tell.
 */
async function refusePrivilegedLogins(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ login: string; role: string }>(
    `select l.rolname as login, r.rolname as role from pg_roles l, pg_roles r
     where l.rolname = any($1) and pg_has_role(l.oid, r.oid, 'member')
       and (r.rolsuper or r.rolbypassrls or (r.rolname = any($1) and r.oid <> l.oid))
     order by l.rolname, r.rolname`,
    [logins],
  );
  const [first] = rows;
  if (first) throw migrateErrors.privileged_login({ login: first.login, role: first.role });
}

async function prepareCluster(options: MigrateOptions, admin: NonNullable<MigrateOptions['admin']>): Promise<void> {
  const { target, passwords } = options;
  const config = connectionOf({ ...target, database: admin.database }, admin.user, admin.password);
  await withClient(config, async (client) => {
    await client.query('select pg_advisory_lock($1)', [ADVISORY_LOCK]);
    for (const login of logins) await ensureLogin(client, login, passwords[login]);
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [target.database]);
    if (rowCount === 0) await runFormatted(client, createDatabase, [target.database]);
    await runFormatted(client, 'revoke all on database %I from public', [target.database]);
    for (const login of logins)
      await runFormatted(client, 'grant connect on database %I to %I', [target.database, login]);
  });
}

const createDatabase = `create database %I owner hf_migrate encoding 'UTF8' lc_collate 'C' lc_ctype 'C' template template0`;

async function ensureLogin(client: pg.Client, login: Login, password: string): Promise<void> {
  const { rowCount } = await client.query('select 1 from pg_roles where rolname = $1', [login]);
  if (rowCount === 0) await runFormatted(client, 'create role %I nosuperuser nobypassrls', [login]);
  const verifier = scramVerifier(password);
  await runFormatted(client, 'alter role %I login nocreatedb nocreaterole noreplication password %L', [
    login,
    verifier,
  ]);
}

/** Runs a statement that takes no parameters, with names and texts quoted by the server itself. */
async function runFormatted(client: pg.Client, template: string, values: readonly string[]): Promise<void> {
  const { rows } = await client.query<{ statement: string }>('select format($1, variadic $2::text[]) as statement', [
    template,
    values,
  ]);
  await client.query(rows[0]!.statement);
}

function connectionOf(target: DatabaseTarget, user: string, password: string): pg.ClientConfig {
  return { ...target, user, password, application_name: 'migrate', connectionTimeoutMillis: 10_000 };
}

async function withClient<T>(config: pg.ClientConfig, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(config);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
