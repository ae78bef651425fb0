import { createHash } from 'node:crypto';
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { asStateError } from '@holdfast/archive';
import { systemClock, type Clock, type CodedError } from '@holdfast/base';
import type { Hash, TreeState } from '@holdfast/trust';
import { openBookFile } from './book-file.ts';
import { keyLogErrors } from './errors.ts';

/** Which log it is, and whose signature counts: pinned when the device enrolled. */
export type PinnedLog = { readonly origin: string; readonly verifier: string };

/** A head that was checked, with what continuing from there needs. */
export type VerifiedHead = { readonly note: string; readonly tree: TreeState; readonly verifiedAtMs: number };

/** A signed head that was shown, and not followed to its end. */
export type ShownHead = { readonly note: string; readonly treeSize: number; readonly sinceMs: number };

/** A leaf about this computer. */
export type OwnLeaf = { readonly logIndex: number; readonly text: string };

/** Leaves that were seen one after the other: the hashes of all (32 bytes each), and those about this computer. */
export type SeenLeaves = { readonly first: number; readonly hashes: Uint8Array; readonly own: readonly OwnLeaf[] };

/** What is learnt of leaves besides themselves. */
export type Reading = {
  /** Whom the leaves that were kept are about. */
  readonly subjects: readonly string[];
  /** The newest day, `YYYY-MM-DD`, of which there is a leaf over the heads of all archives. */
  readonly day?: string | undefined;
};

/** The newest day that was ever seen in a leaf over all heads, and when that was. */
export type SeenDay = { readonly day: string; readonly seenAtMs: number };

/** What was shown when something was wrong, by which others can judge it. */
export type Evidence = {
  readonly atMs: number;
  /** The head: where it is signed, it proves what the server did. */
  readonly note: string;
  /** The proof of consistency that came with it, hash after hash. */
  readonly proof: Uint8Array;
  /** The newest hashes of leaves that came with it, and the place of the first of them. */
  readonly hashesFrom: number;
  readonly hashes: Uint8Array;
};

/** What was wrong with the log, however often and whichever heads showed it. */
export type KeyLogFault = {
  readonly code: string;
  /** Of the first time. */
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly atMs: number;
  readonly lastAtMs: number;
  readonly count: number;
};

/** What is kept of one head that was wrong; `knownNote` is the head that was checked last by then, or empty. */
export type KeptEvidence = Evidence & { readonly code: string; readonly count: number; readonly knownNote: string };

/** Single values, by their names; JSON. */
type Facts = {
  readonly log: readonly [origin: string, verifier: string];
  readonly head: {
    readonly note: string;
    readonly size: number;
    readonly peaks: string[];
    readonly verifiedAtMs: number;
  };
  readonly subjects: readonly string[];
  readonly checked_at_ms: number;
  readonly shown_head: ShownHead;
  readonly seen_day: SeenDay;
};

const HASH_BYTES = 32;
/** Of each kind of fault so many heads are kept; what comes after them is counted with the last. */
const MOST_KEPT = 20;

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

  /** Opens the book of a log; one of another log, or one that is damaged, is set aside beside it. */
  constructor(file: string, pinned: PinnedLog, clock: Clock = systemClock) {
    this.#file = file;
    this.pinned = pinned;
    const log = [pinned.origin, pinned.verifier] as const;
    try {
      const { db, damagedAs } = openBookFile(file, JSON.stringify(log));
      this.#db = db;
      this.#begin(log, { atMs: clock.now(), damagedAs });
    } catch (error) {
      throw asStateError(error, file);
    }
  }

  /** Ends it; again does nothing. */
  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  /** The last head that was checked; undefined before the first. */
  head(): VerifiedHead | undefined {
    const found = this.#fact('head');
    if (!found) return undefined;
    const { note, size, peaks, verifiedAtMs } = found;
    return { note, verifiedAtMs, tree: { size, peaks: peaks.map((peak) => Uint8Array.fromHex(peak)) } };
  }

  /** When the log was last followed to the head that the server showed; before the first time, when the book was begun. */
  checkedAtMs(): number {
    return this.#fact('checked_at_ms') ?? 0;
  }

  /** The newest signed head that was shown and not followed to its end, with the time of the first such. */
  shownHead(): ShownHead | undefined {
    return this.#fact('shown_head');
  }

  /** The newest leaf over the heads of all archives; undefined where there was none. */
  seenDay(): SeenDay | undefined {
    return this.#fact('seen_day');
  }

  /** Whether all leaves up to the head were looked through for these. */
  isReadFor(subjects: readonly string[]): boolean {
    return JSON.stringify(this.#fact('subjects')) === JSON.stringify(subjects);
  }

  /** Keeps that a signed head was shown, before it is followed: it is evidence where the leaves do not come. */
  noteShown({ note, treeSize }: Omit<ShownHead, 'sinceMs'>, atMs: number): void {
    const before = this.shownHead();
    if (before && before.treeSize >= treeSize) return;
    this.#write(() => this.#setFact('shown_head', { note, treeSize, sinceMs: before?.sinceMs ?? atMs }));
  }

  /** Keeps that the head is still the one the server shows. */
  noteChecked(atMs: number): void {
    this.#write(() => this.#setChecked(this.head()?.tree.size ?? 0, atMs));
  }

  /** Goes on to a later head that was checked, with the leaves from the one before it on, or with all from the first on. */
  advance({ note, tree, verifiedAtMs }: VerifiedHead, added: readonly SeenLeaves[], { subjects, day }: Reading): void {
    const peaks = tree.peaks.map((peak) => Buffer.from(peak).toString('hex'));
    this.#write(() => {
      if (added[0]?.first === 0) this.#db.exec('delete from hashes; delete from own_leaves');
      for (const { first, hashes, own } of added) {
        this.#run('insert into hashes values (?, ?)', first, hashes);
        for (const { logIndex, text } of own) this.#run('insert into own_leaves values (?, ?)', logIndex, text);
      }
      this.#setFact('head', { note, size: tree.size, peaks, verifiedAtMs });
      this.#setFact('subjects', subjects);
      if (day !== undefined && day > (this.seenDay()?.day ?? ''))
        this.#setFact('seen_day', { day, seenAtMs: verifiedAtMs });
      this.#setChecked(tree.size, verifiedAtMs);
    });
  }

  /** The hashes of the leaves from one place up to another. */
  hashes(from: number, to: number): readonly Hash[] {
    const sql = `select first, hashes from hashes
      where first >= (select max(first) from hashes where first <= ?) and first < ? order by first`;
    return this.#db
      .prepare(sql)
      .all(from, to)
      .flatMap((row) => {
        const [first, hashes] = [row['first'] as number, row['hashes'] as Uint8Array];
        const [begin, end] = [Math.max(0, from - first), Math.min(hashes.length / HASH_BYTES, to - first)];
        return Array.from({ length: Math.max(0, end - begin) }, (_, place) =>
          hashes.subarray((begin + place) * HASH_BYTES, (begin + place + 1) * HASH_BYTES),
        );
      });
  }

  /** The leaves about this computer, in the order of the log. */
  ownLeaves(): readonly OwnLeaf[] {
    const rows = this.#db.prepare('select log_index, body from own_leaves order by log_index').all();
    return rows.map((row) => ({ logIndex: row['log_index'] as number, text: row['body'] as string }));
  }

  /** Keeps what was wrong, with the head that showed it. True when it is the first of its kind with that head. */
  noteFault({ code, message, details }: CodedError, evidence: Evidence): boolean {
    const { note, proof, hashesFrom, hashes } = evidence;
    const atMs = Math.round(evidence.atMs);
    const noteSha256 = createHash('sha256').update(note).digest('hex');
    const countIn = (key: string) => {
      const sql = 'update faults set count = count + 1, last_ms = ? where code = ? and note_sha256 = ?';
      return this.#run(sql, atMs, code, key) > 0;
    };
    return this.#write(() => {
      if (countIn(noteSha256)) return false;
      const sql = 'select note_sha256 from faults where code = ? order by first_ms';
      const kept = this.#db.prepare(sql).all(code);
      if (kept.length >= MOST_KEPT) return !countIn(kept.at(-1)?.['note_sha256'] as string);
      const values = [code, noteSha256, message, JSON.stringify(details), atMs, atMs, 1, note];
      const insert = 'insert into faults values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)';
      return this.#run(insert, ...values, this.head()?.note ?? '', proof, hashesFrom, hashes) > 0;
    });
  }

  /** What was ever wrong, one of each kind, the oldest first. */
  faults(): readonly KeyLogFault[] {
    // With one `min`, SQLite takes the other columns from the row that has it.
    const sql = `select code, message, details, min(first_ms) as at_ms,
        (select max(last_ms) from faults o where o.code = f.code) as last_ms, sum(count) as count
      from faults f group by code order by at_ms, code`;
    const rows = this.#db.prepare(sql).all();
    return rows.map((row) => ({
      code: row['code'] as string,
      message: row['message'] as string,
      details: JSON.parse(row['details'] as string) as KeyLogFault['details'],
      atMs: row['at_ms'] as number,
      lastAtMs: row['last_ms'] as number,
      count: row['count'] as number,
    }));
  }

  /** The heads that showed what was wrong, and what came with them; the oldest first. */
  *evidence(): Generator<KeptEvidence> {
    const keys = this.#db.prepare('select code, note_sha256 from faults order by first_ms, code').all();
    for (const { code, note_sha256: key } of keys) {
      const row = this.#db.prepare('select * from faults where code = ? and note_sha256 = ?').get(code!, key!);
      if (!row) continue;
      yield {
        code: row['code'] as string,
        count: row['count'] as number,
        atMs: row['first_ms'] as number,
        note: row['note'] as string,
        knownNote: row['known_note'] as string,
        proof: row['proof'] as Uint8Array,
        hashesFrom: row['hashes_from'] as number,
        hashes: row['hashes'] as Uint8Array,
      };
    }
  }

  #begin(
    log: Facts['log'],
    { atMs, damagedAs }: { readonly atMs: number; readonly damagedAs: string | undefined },
  ): void {
    if (this.#fact('log') === undefined)
      this.#write(() => {
        this.#setFact('log', log);
        this.#setFact('checked_at_ms', atMs);
      });
    if (damagedAs === undefined) return;
    const nothing = { note: '', proof: new Uint8Array(), hashesFrom: 0, hashes: new Uint8Array() };
    this.noteFault(keyLogErrors.book_damaged({ file: damagedAs }), { atMs, ...nothing });
  }

  #setChecked(treeSize: number, atMs: number): void {
    this.#setFact('checked_at_ms', atMs);
    if ((this.shownHead()?.treeSize ?? Infinity) <= treeSize)
      this.#run('delete from facts where key = ?', 'shown_head');
  }

  #fact<Name extends keyof Facts>(key: Name): Facts[Name] | undefined {
    const value = this.#db.prepare('select value from facts where key = ?').get(key)?.['value'];
    return typeof value === 'string' ? (JSON.parse(value) as Facts[Name]) : undefined;
  }

  #setFact<Name extends keyof Facts>(key: Name, value: Facts[Name]): void {
    this.#run('insert or replace into facts values (?, ?)', key, JSON.stringify(value));
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
