import { Kysely, PostgresDialect, sql, type Transaction } from 'kysely';
import pg from 'pg';
import type { Log } from './log.ts';
import { isTransactionConflict } from './postgres-errors.ts';

/** The logins of the database, one for each server role, the migrations and the jobs. */
export const logins = ['hf_migrate', 'hf_api', 'hf_storage', 'hf_ingest', 'hf_system', 'hf_keystore'] as const;
/** The name of a login. */
export type Login = (typeof logins)[number];

/** Where the database is; who connects is decided by login. */
export type DatabaseTarget = {
  /** A host name, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** TLS settings as `pg` takes them; none over a Unix socket. */
  readonly ssl?: pg.ClientConfig['ssl'];
};

/** A transaction bound to one tenant. The tables are those the caller declares to own. */
export type TenantTx = { readonly withTables: <Tables>() => Transaction<Tables> };

/** How a pool of one login behaves. */
export type PoolOptions = {
  readonly login: Login;
  readonly password: string;
  readonly maxConnections: number;
  readonly log: Log;
  /** Longest a statement may run. */
  readonly statementTimeoutMs?: number;
};

const CONFLICT_TRIES = 3;

/** One pool of connections under one login. Every use is a transaction; a tenant is set for it alone. */
export class Database {
  readonly login: Login;
  readonly #pool: pg.Pool;
  readonly #kysely: Kysely<unknown>;

  constructor(target: DatabaseTarget, options: PoolOptions) {
    this.login = options.login;
    this.#pool = new pg.Pool({
      ...target,
      user: options.login,
      password: options.password,
      max: options.maxConnections,
      application_name: options.login,
      connectionTimeoutMillis: 5_000,
      idleTimeoutMillis: 60_000,
      statement_timeout: options.statementTimeoutMs ?? 15_000,
      lock_timeout: 10_000,
      idle_in_transaction_session_timeout: 30_000,
      types: { getTypeParser: typeParser },
    });
    this.#pool.on('error', (err) => options.log.warn({ err, login: options.login }, 'a database connection was lost'));
    // The pool listens to idle connections alone; one that breaks while it is used tells its user by a rejection, and
    // would besides end the process by an event nobody hears.
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
    this.#kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool: this.#pool }) });
  }

  /**
   * Runs `work` in one transaction that sees the rows of `tenantId` alone.
   *
   * `work` may run again when the transaction lost a deadlock: it must touch nothing but the transaction.
   */
  withTenant<T>(tenantId: string, work: (tx: TenantTx) => Promise<T>): Promise<T> {
    return this.#transaction(async (tx) => {
      await sql`select set_config('app.tenant_id', ${tenantId}, true)`.execute(tx);
      return work(tenantTx(tx));
    });
  }

  /** Runs `work` in one transaction without a tenant: it sees tables that have none, and of others no row. */
  withoutTenant<T>(work: (tx: TenantTx) => Promise<T>): Promise<T> {
    return this.#transaction((tx) => work(tenantTx(tx)));
  }

  /** Ends all connections once what runs has finished. */
  async close(): Promise<void> {
    await this.#kysely.destroy();
  }

  async #transaction<T>(work: (tx: Transaction<unknown>) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#kysely.transaction().execute(work);
      } catch (error) {
        if (attempt === CONFLICT_TRIES || !isTransactionConflict(error)) throw error;
      }
    }
  }
}

function tenantTx(tx: Transaction<unknown>): TenantTx {
  return { withTables: <Tables>() => tx as unknown as Transaction<Tables> };
}

/** The tenant an identifier belongs to, by its SHA-256; the only question that may be asked before a tenant is known. */
export async function locateTenant(
  database: Database,
  kind: string,
  identifierSha256: Uint8Array,
): Promise<string | undefined> {
  const { rows } = await database.withoutTenant((tx) =>
    sql<{ tenant_id: string | null }>`select locate(${kind}, ${identifierSha256}) as tenant_id`.execute(
      tx.withTables<unknown>(),
    ),
  );
  return rows[0]?.tenant_id ?? undefined;
}

const typeParser: pg.CustomTypesConfig['getTypeParser'] = (oid, format) =>
  oid === pg.types.builtins.INT8 && format !== 'binary' ? parseInt8 : pg.types.getTypeParser(oid, format);

function parseInt8(value: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError(`a number of the database is beyond 2^53: ${value}`);
  return number;
}
