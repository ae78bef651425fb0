import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { schemaNumber, schemaSql } from './schema.ts';
import { asStateError, transactIn } from './sqlite-transaction.ts';

/** The SQLite file under a local index: its statements, transactions, and single values. */
export class IndexDatabase {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  private constructor(path: string, db: DatabaseSync) {
    this.path = path;
    this.#db = db;
  }

  /** Opens the file, making its tables where there are none or those of another schema. `isNew` says so. */
  static open(path: string): { database: IndexDatabase; isNew: boolean } {
    const db = new DatabaseSync(path);
    db.exec(
      'pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = 5000; pragma cache_size = -16384',
    );
    const isNew = db.prepare('pragma user_version').get()?.['user_version'] !== schemaNumber;
    if (isNew) {
      const tables = db.prepare("select name from sqlite_schema where type = 'table'").all();
      for (const { name } of tables) db.exec(`drop table "${String(name)}"`);
      db.exec(`begin; ${schemaSql} pragma user_version = ${schemaNumber}; commit`);
    }
    return { database: new IndexDatabase(path, db), isNew };
  }

  close(): void {
    this.#db.close();
  }

  /** The statement of this text, prepared once. */
  sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) this.#statements.set(text, (statement = this.#db.prepare(text)));
    return statement;
  }

  /** Runs `work` as one transaction on stable storage. @throws state.disk_full */
  transact<T>(work: () => T): T {
    return transactIn(this.#db, work);
  }

  getNumber(key: string): number | undefined {
    const value = this.sql('select value from meta where key = ?').get(key)?.['value'];
    return typeof value === 'number' ? value : undefined;
  }

  getBytes(key: string): Uint8Array | undefined {
    const value = this.sql('select value from meta where key = ?').get(key)?.['value'];
    return value instanceof Uint8Array ? value : undefined;
  }

  set(key: string, value: number | Uint8Array): void {
    const statement = this.sql('insert into meta values (?, ?) on conflict (key) do update set value = excluded.value');
    try {
      statement.run(key, value);
    } catch (error) {
      throw asStateError(error, this.path);
    }
  }

  remove(key: string): void {
    this.sql('delete from meta where key = ?').run(key);
  }
}
