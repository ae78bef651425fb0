import { chmodSync, existsSync, renameSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const BUSY_MS = 5_000;
/** Primary result codes of SQLite, https://www.sqlite.org/rescode.html: the file is damaged, or none of its own. */
const damageCodes: readonly unknown[] = [11, 26];

const SCHEMA = `
  create table if not exists facts (key text primary key, value text not null) strict, without rowid;
  create table if not exists hashes (first integer primary key, hashes blob not null) strict;
  create table if not exists own_leaves (log_index integer primary key, body text not null) strict;
  create table if not exists faults (
    code text not null, note_sha256 text not null, message text not null, details text not null,
    first_ms integer not null, last_ms integer not null, count integer not null,
    note text not null, known_note text not null, proof blob not null, hashes_from integer not null, hashes blob not null,
    primary key (code, note_sha256)
  ) strict, without rowid;
`;

/** The file of a book, and what happened to the one that was there before. */
export type OpenedFile = {
  readonly db: DatabaseSync;
  /** The name under which a damaged file lies now. */
  readonly damagedAs?: string;
};

/**
 * Opens the file of the book of a log, made where there is none. A file that is damaged, or is of another log, is set
 * aside under a name of its own: what it proves is not lost.
 */
export function openBookFile(file: string, logName: string): OpenedFile {
  try {
    const db = openFile(file);
    const found = db.prepare(`select value from facts where key = 'log'`).get()?.['value'] ?? logName;
    if (found === logName) return { db };
    db.close();
  } catch (error) {
    if (!isDamage(error)) throw error;
    const damagedAs = setAside(file);
    return { db: openFile(file), damagedAs };
  }
  setAside(file);
  return { db: openFile(file) };
}

function openFile(file: string): DatabaseSync {
  // Whoever starts a second agent here is refused by the lock of its state, and may look in first.
  const db = new DatabaseSync(file, { timeout: BUSY_MS });
  try {
    // Extra: a step that was said to be taken is not forgotten with the power.
    db.exec(`pragma synchronous = extra; ${SCHEMA}`);
    const found = db.prepare('pragma quick_check(1)').get()?.['quick_check'];
    if (found !== 'ok') throw Object.assign(new Error(String(found)), { errcode: damageCodes[0] });
    chmodSync(file, 0o600);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
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
