import { createHash } from 'node:crypto';
import { chmodSync, existsSync, renameSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from 'node:sqlite';
import { asStateError } from '@holdfast/archive';
import { keyLogErrors } from './errors.ts';

const BUSY_MS = 5_000;
/** Primary result codes of SQLite, https://www.sqlite.org/rescode.html: the file is damaged, or none of its own. */
const damageCodes: readonly unknown[] = [11, 26];

const SCHEMA = `
  create table if not exists facts (key text primary key, value text not null, sha256 text not null) strict, without rowid;
  create table if not exists hashes (first integer primary key, peaks blob not null, hashes blob not null) strict;
  create table if not exists own_leaves (log_index integer primary key, body text not null) strict;
  create table if not exists shown_heads (
    tree_size integer primary key, root blob not null, note text not null, since_ms integer not null
  ) strict;
  create table if not exists faults (
    code text not null, note_sha256 text not null, message text not null, details text not null,
    first_ms integer not null, last_ms integer not null, count integer not null,
    note text not null, known_note text not null, proof blob not null, hashes_from integer not null, hashes blob not null,
    primary key (code, note_sha256)
  ) strict, without rowid;
`;

/** A row as SQLite gives it. */
export type Row = Readonly<Record<string, SQLOutputValue>>;

/** Whose book a file is, and who hears that one was damaged, under which name it lies then. */
export type BookFileOptions = { readonly logName: string; readonly onDamage: (damagedAs: string) => void };

/**
 * The file of the book of a log, made where there is none.
 *
 * One that is damaged, or is of another log, is set aside under a name of its own, also while it is open, and begun anew:
 * what it proves is not lost. What was written is on stable storage when a method returns.
 */
export class BookFile {
  readonly #file: string;
  readonly #options: BookFileOptions;
  #db: DatabaseSync;

  /** @throws state.* */
  constructor(file: string, options: BookFileOptions) {
    this.#file = file;
    this.#options = options;
    try {
      const { db, damagedAs } = openBookFile(file, options.logName);
      this.#db = db;
      this.#begin(damagedAs);
    } catch (error) {
      throw asStateError(error, file);
    }
  }

  /** Ends it; again does nothing. */
  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  /** What a query finds: in a new file, where the one that was open is damaged. */
  all(sql: string, ...values: readonly SQLInputValue[]): readonly Row[] {
    return this.#reading(() => this.#db.prepare(sql).all(...values));
  }

  /** Runs a statement; returns how many rows it changed. */
  run(sql: string, ...values: readonly SQLInputValue[]): number {
    return Number(this.#db.prepare(sql).run(...values).changes);
  }

  /** A single value by its name: JSON. */
  fact(key: string): unknown {
    return this.#reading(() => readFact(this.#db, key));
  }

  /** Keeps a single value under its name. */
  setFact(key: string, value: unknown): void {
    writeFact(this.#db, key, value);
  }

  /** All of it, or nothing. @throws state.disk_full, key_log.book_damaged when it was begun anew on account of it */
  write<T>(work: () => T): T {
    try {
      this.#db.exec('begin immediate');
      const result = work();
      this.#db.exec('commit');
      return result;
    } catch (error) {
      if (this.#db.isOpen && this.#db.isTransaction) this.#db.exec('rollback');
      if (isDamage(error)) {
        this.#beginAnew();
        throw keyLogErrors.book_damaged({}, error);
      }
      throw asStateError(error, this.#file);
    }
  }

  /** Sets it aside for something that it says and that is not so. */
  setAside(): void {
    this.#beginAnew();
  }

  #reading<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!isDamage(error)) throw error;
      // Within a transaction its writer does it.
      if (this.#db.isTransaction) throw error;
      this.#beginAnew();
      return work();
    }
  }

  #beginAnew(): void {
    this.#db.close();
    const damagedAs = setAside(this.#file);
    this.#db = openFile(this.#file);
    this.#begin(damagedAs);
  }

  #begin(damagedAs: string | undefined): void {
    if (readFact(this.#db, 'log') === undefined) writeFact(this.#db, 'log', this.#options.logName);
    if (damagedAs !== undefined) this.#options.onDamage(damagedAs);
  }
}

function openBookFile(file: string, logName: string): { readonly db: DatabaseSync; readonly damagedAs?: string } {
  let db: DatabaseSync | undefined;
  try {
    db = openFile(file);
    for (const { key } of db.prepare('select key from facts').all()) readFact(db, key as string);
    if ((readFact(db, 'log') ?? logName) === logName) return { db };
    db.close();
  } catch (error) {
    if (db?.isOpen) db.close();
    if (!isDamage(error)) throw error;
    const damagedAs = setAside(file);
    return { db: openFile(file), damagedAs };
  }
  setAside(file);
  return { db: openFile(file) };
}

function openFile(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: BUSY_MS });
  try {
    // Extra: a step that was said to be taken is not forgotten with the power.
    db.exec(`pragma synchronous = extra; ${SCHEMA}`);
    const found = db.prepare('pragma quick_check(1)').get()?.['quick_check'];
    if (found !== 'ok') throw damage(String(found));
    chmodSync(file, 0o600);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function readFact(db: DatabaseSync, key: string): unknown {
  const row = db.prepare('select value, sha256 from facts where key = ?').get(key);
  if (!row) return undefined;
  const value = String(row['value']);
  // SQLite sees damage of its structure, not of a value.
  if (row['sha256'] !== factSha256(key, value)) throw damage(`the value of ${key} is not the one that was written`);
  return JSON.parse(value);
}

function writeFact(db: DatabaseSync, key: string, value: unknown): void {
  const text = JSON.stringify(value);
  db.prepare('insert or replace into facts values (?, ?, ?)').run(key, text, factSha256(key, text));
}

function factSha256(key: string, value: string): string {
  return createHash('sha256').update(`${key}\0${value}`).digest('hex');
}

function damage(problem: string): Error {
  return Object.assign(new Error(problem), { errcode: damageCodes[0] });
}

function isDamage(error: unknown): boolean {
  const { errcode } = error as { readonly errcode?: unknown };
  return typeof errcode === 'number' && damageCodes.includes(errcode & 0xff);
}

/** Gives a file, and the journal it may have, a name that is free; says which. */
function setAside(file: string): string {
  let number = 1;
  while (existsSync(`${file}.aside-${number}`)) number++;
  const aside = `${file}.aside-${number}`;
  if (existsSync(`${file}-journal`)) renameSync(`${file}-journal`, `${aside}-journal`);
  renameSync(file, aside);
  return path.basename(aside);
}
