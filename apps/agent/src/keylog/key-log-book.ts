import { chmodSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { asStateError } from '@holdfast/archive';
import type { CodedError } from '@holdfast/base';
import type { Hash, TreeState } from '@holdfast/trust';

/** Which log it is, and whose signature counts: pinned when the device enrolled. */
export type PinnedLog = { readonly origin: string; readonly verifier: string };

/** A head that was checked, with what continuing from there needs. */
export type VerifiedHead = { readonly note: string; readonly tree: TreeState; readonly verifiedAtMs: number };

/** A leaf that was seen below a checked head; `text` only of those about this computer. */
export type SeenLeaf = { readonly hash: Hash; readonly text?: string };

/** A leaf about this computer. */
export type OwnLeaf = { readonly logIndex: number; readonly text: string };

/** What was wrong with the log, the first time it was. */
export type KeyLogFault = {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly atMs: number;
  /** The head that the server showed then: where it is signed, it proves what the server did. */
  readonly note: string;
};

const BUSY_MS = 5_000;

const SCHEMA = `
  create table if not exists facts (key text primary key, value any) strict, without rowid;
  create table if not exists leaves (log_index integer primary key, hash blob not null, body text) strict;
  create index if not exists own_leaves on leaves (log_index) where body is not null;
  create table if not exists faults (
    code text primary key, message text not null, details text not null, at_ms integer not null, note text not null
  ) strict;
`;

/**
 * What a device remembers of its tenant's key log: the last head it checked, the hashes of all leaves below it, the leaves
 * about itself, and what was ever wrong.
 *
 * SQLite; all changes are on stable storage when a method returns. Everything that writes @throws state.disk_full
 */
export class KeyLogBook {
  readonly pinned: PinnedLog;
  readonly #db: DatabaseSync;
  readonly #file: string;

  /** Opens the book of a log; what it held of another log is given up. */
  constructor(file: string, pinned: PinnedLog) {
    this.#file = file;
    this.pinned = pinned;
    // Whoever starts a second agent here is refused by the lock of its state, and may look in first.
    this.#db = new DatabaseSync(file, { timeout: BUSY_MS });
    try {
      this.#db.exec(`pragma synchronous = full; ${SCHEMA}`);
      chmodSync(file, 0o600);
      const name = JSON.stringify([pinned.origin, pinned.verifier]);
      if (this.#fact('log') !== name) this.#startAnew(name);
    } catch (error) {
      this.#db.close();
      throw asStateError(error, file);
    }
  }

  /** Ends it; again does nothing. */
  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  /** The last head that was checked; undefined before the first. */
  head(): VerifiedHead | undefined {
    const text = this.#fact('head');
    if (text === undefined) return undefined;
    const { note, size, peaks, verifiedAtMs } = JSON.parse(text) as {
      note: string;
      size: number;
      peaks: string[];
      verifiedAtMs: number;
    };
    return { note, verifiedAtMs, tree: { size, peaks: peaks.map((peak) => Uint8Array.fromHex(peak)) } };
  }

  /** Goes on to a later head that was checked, with the leaves that came since. */
  advance({ note, tree, verifiedAtMs }: VerifiedHead, added: readonly SeenLeaf[]): void {
    const peaks = tree.peaks.map((peak) => Buffer.from(peak).toString('hex'));
    const first = tree.size - added.length;
    this.#write(() => {
      const insert = this.#db.prepare('insert into leaves values (?, ?, ?)');
      for (const [place, { hash, text }] of added.entries()) insert.run(first + place, hash, text ?? null);
      this.#setFact('head', JSON.stringify({ note, size: tree.size, peaks, verifiedAtMs }));
    });
  }

  /** The hashes of the leaves from one place up to another. */
  hashes(from: number, to: number): readonly Hash[] {
    const sql = 'select hash from leaves where log_index >= ? and log_index < ? order by log_index';
    return this.#db
      .prepare(sql)
      .all(from, to)
      .map((row) => row['hash'] as Uint8Array);
  }

  /** The leaves about this computer, in the order of the log. */
  ownLeaves(): readonly OwnLeaf[] {
    const rows = this.#db.prepare('select log_index, body from leaves where body is not null order by log_index').all();
    return rows.map((row) => ({ logIndex: row['log_index'] as number, text: row['body'] as string }));
  }

  /** Keeps what was wrong; the first of its kind stays, as evidence. True when it is the first. */
  noteFault({ code, message, details }: CodedError, { atMs, note }: { atMs: number; note: string }): boolean {
    const sql = 'insert or ignore into faults values (?, ?, ?, ?, ?)';
    return this.#write(() => this.#run(sql, code, message, JSON.stringify(details), Math.round(atMs), note) > 0);
  }

  /** What was ever wrong, the oldest first. */
  faults(): readonly KeyLogFault[] {
    const rows = this.#db.prepare('select * from faults order by at_ms, code').all();
    return rows.map((row) => ({
      code: row['code'] as string,
      message: row['message'] as string,
      details: JSON.parse(row['details'] as string) as KeyLogFault['details'],
      atMs: row['at_ms'] as number,
      note: row['note'] as string,
    }));
  }

  #startAnew(name: string): void {
    this.#write(() => {
      for (const table of ['facts', 'leaves', 'faults']) this.#db.exec(`delete from ${table}`);
      this.#setFact('log', name);
    });
  }

  #fact(key: string): string | undefined {
    const value = this.#db.prepare('select value from facts where key = ?').get(key)?.['value'];
    return typeof value === 'string' ? value : undefined;
  }

  #setFact(key: string, value: string): void {
    this.#run('insert or replace into facts values (?, ?)', key, value);
  }

  #run(sql: string, ...values: readonly SQLInputValue[]): number {
    return Number(this.#db.prepare(sql).run(...values).changes);
  }

  /** All of it, or nothing. */
  #write<T>(work: () => T): T {
    try {
      this.#db.exec('begin immediate');
      const result = work();
      this.#db.exec('commit');
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('rollback');
      throw asStateError(error, this.#file);
    }
  }
}
