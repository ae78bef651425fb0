import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../platform/embedded-postgres.ts';
import { silentLog } from '../platform/log.ts';
import { migrateDatabase, type LoginPasswords } from '../platform/migrate.ts';
import { Database, logins, type DatabaseTarget, type Login } from '../platform/postgres.ts';

/** A PostgreSQL of a test file's own, with a migrated database to copy. */
export type TestCluster = {
  /** A fresh copy of the migrated database. */
  copyDatabase(): Promise<TestDatabase>;
  /** Where a database that is not there yet would be, and who may make it: for testing migrations. */
  readonly admin: { readonly user: string; readonly password: string; readonly database: string };
  targetOf(database: string): DatabaseTarget;
  readonly passwords: LoginPasswords;
  /** Runs one statement as the superuser, past every protection: for playing the attacker, never for setting up. */
  asSuperuser(database: string, statement: string, values?: readonly unknown[]): Promise<pg.QueryResult>;
  stop(): Promise<void>;
};

/** A database of one test. */
export type TestDatabase = {
  readonly target: DatabaseTarget;
  /** Opens a pool of a login; closed by `close`. */
  open(login: Login): Database;
  close(): Promise<void>;
};

const superuserPassword = 'only for tests';
const passwords = Object.fromEntries(logins.map((login) => [login, `${login} for tests`])) as LoginPasswords;
const TEMPLATE = 'holdfast_template';

/** Starts PostgreSQL in a temporary folder and migrates one database, as an owner who is no superuser. */
export async function startTestCluster(): Promise<TestCluster> {
  const homeDir = await mkdtemp(path.join(tmpdir(), 'holdfast db '));
  const server = await startEmbeddedPostgres({ homeDir, superuserPassword });
  const admin = { user: server.superuser, password: superuserPassword, database: server.database };
  const targetOf = (database: string) => ({ host: server.host, port: server.port, database });
  await migrateDatabase({ target: targetOf(TEMPLATE), passwords, admin, log: silentLog });
  let copies = 0;
  return {
    admin,
    targetOf,
    passwords,
    async copyDatabase() {
      const name = `test_${++copies}`;
      await runAsSuperuser(server, 'postgres', {
        text: `create database ${name} template ${TEMPLATE} owner hf_migrate`,
      });
      await runAsSuperuser(server, 'postgres', { text: `revoke all on database ${name} from public` });
      for (const login of logins)
        await runAsSuperuser(server, 'postgres', { text: `grant connect on database ${name} to ${login}` });
      return openTestDatabase(targetOf(name));
    },
    asSuperuser: (database, text, values = []) => runAsSuperuser(server, database, { text, values: [...values] }),
    async stop() {
      await server.stop();
      await rm(homeDir, { recursive: true, force: true });
    },
  };
}

function openTestDatabase(target: DatabaseTarget): TestDatabase {
  const opened: Database[] = [];
  return {
    target,
    open(login) {
      const options = { login, password: passwords[login], maxConnections: 8, log: silentLog };
      const database = new Database(target, options);
      opened.push(database);
      return database;
    },
    close: async () => {
      await Promise.all(opened.map((database) => database.close()));
    },
  };
}

async function runAsSuperuser(
  server: EmbeddedPostgres,
  database: string,
  query: { text: string; values?: unknown[] },
): Promise<pg.QueryResult> {
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    user: server.superuser,
    password: superuserPassword,
    database,
  });
  await client.connect();
  try {
    return await client.query(query);
  } finally {
    await client.end();
  }
}
