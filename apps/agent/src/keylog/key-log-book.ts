import { createHash } from 'node:crypto';
import { systemClock, type Clock, type CodedError } from '@holdfast/base';
import { appendLeaves, rootOf, type Hash, type TreeState } from '@holdfast/trust';
import { BookFile, type Row } from './book-file.ts';
import { keyLogErrors } from './errors.ts';

/** Which log it is, and whose signature counts: pinned when the device enrolled. */
export type PinnedLog = { readonly origin: string; readonly verifier: string };

/** A head that was checked, with what continuing from there needs. */
export type VerifiedHead = { readonly note: string; readonly tree: TreeState; readonly verifiedAtMs: number };

/** A signed head that was shown, and not followed to its end. */
export type ShownHead = {
  readonly note: string;
  readonly treeSize: number;
  readonly root: Hash;
  readonly sinceMs: number;
};

/** A leaf about this computer. */
export type OwnLeaf = { readonly logIndex: number; readonly text: string };

/** Leaves that were seen one after the other. */
export type SeenLeaves = {
  /** The tree before them. */
  readonly before: TreeState;
  /** 32 bytes for each; empty where they are known already, and were only looked through once more. */
  readonly hashes: Uint8Array;
  /** Those about this computer. */
  readonly own: readonly OwnLeaf[];
};

/** A key that was registered for this computer. */
export type RegisteredKey = { readonly logIndex: number; readonly publicKey: string };

/** What the leaves say of the escrow keys with this SHA-256 (hex): that they are the tenant's, that others are, or nothing. */
export type SeenEscrowKeys = { readonly sha256: string; readonly status: 'logged' | 'other' | 'none' };

/** What is learnt of leaves besides themselves. */
export type Reading = {
  /** Whom the leaves that were kept are about. */
  readonly subjects: readonly string[];
  /** The newest day, `YYYY-MM-DD`, of which there is a leaf over the heads of all archives. */
  readonly day?: string | undefined;
  /** The first key of this computer that the log has. */
  readonly ownKey?: RegisteredKey | undefined;
  /** What the log says of the escrow keys that this computer was given. */
  readonly escrowKeys?: SeenEscrowKeys | undefined;
  /** What is wrong with leaves, though they are those of the head. */
  readonly faults?: readonly CodedError[];
};

/** The newest day that was ever seen in a leaf over all heads, and when that was. */
export type SeenDay = { readonly day: string; readonly seenAtMs: number };

/** What was shown when something was wrong, by which others can judge it. */
export type Evidence = {
  readonly atMs: number;
  /** The head: where it is signed, it proves what the server did. */
  readonly note: string;
  /** The head that it contradicts, where that is not the one that was checked last. */
  readonly against?: string | undefined;
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

/**
 * What is kept of one head that was wrong; `knownNote` is the head that it contradicts, else the one that was checked last by
 * then, or empty.
 */
export type KeptEvidence = Omit<Evidence, 'against'> & {
  readonly code: string;
  readonly count: number;
  readonly knownNote: string;
};

/** Single values, by their names; JSON. */
type Facts = {
  readonly head: {
    readonly note: string;
    readonly size: number;
    readonly peaks: string[];
    readonly verifiedAtMs: number;
  };
  readonly subjects: readonly string[];
  readonly own_key: RegisteredKey | null;
  readonly escrow_keys: SeenEscrowKeys | null;
  /** UTF-16 code units of all texts about this computer. */
  readonly own_text: number;
  readonly checked_at_ms: number;
  readonly seen_day: SeenDay;
};

const HASH_BYTES = 32;
/** Of each kind of fault so many heads are kept; what comes after them is counted with the last. */
const MOST_KEPT = 20;
/** So many heads whose leaves did not come are kept; after that the longest is forgotten for the newest. */
const MOST_SHOWN = 1_000;

/**
 * What a device remembers of its tenant's key log: the last head it checked, the hashes of all leaves below it, the leaves
 * about itself, heads whose leaves it was not shown, and what was ever wrong.
 *
 * All changes are on stable storage when a method returns. One that is damaged, or becomes so, is set aside and begun anew.
 * Everything that writes @throws state.disk_full, key_log.book_damaged
 */
export class KeyLogBook {
  readonly pinned: PinnedLog;
  readonly #file: BookFile;
  readonly #clock: Clock;

  /** Opens the book of a log; one of another log, or one that is damaged, is set aside beside it. */
  constructor(file: string, pinned: PinnedLog, clock: Clock = systemClock) {
    this.pinned = pinned;
    this.#clock = clock;
    let damagedAs: string | undefined;
    let onDamage = (name: string): void => void (damagedAs = name);
    const logName = JSON.stringify([pinned.origin, pinned.verifier]);
    this.#file = new BookFile(file, { logName, onDamage: (name) => onDamage(name) });
    onDamage = (name) => this.#begin(name);
    this.#begin(damagedAs);
  }

  /** Ends it; again does nothing. */
  close(): void {
    this.#file.close();
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

  /** The longest signed head that was shown and not followed to its end, with the time of the first such. */
  shownHead(): ShownHead | undefined {
    const heads = this.shownHeads();
    const [sinceMs] = heads.map((head) => head.sinceMs).toSorted((a, b) => a - b);
    const longest = heads.at(-1);
    return longest && { ...longest, sinceMs: sinceMs! };
  }

  /** The signed heads that were shown and not followed to their end, the shortest first. */
  shownHeads(): readonly ShownHead[] {
    return this.#file.all('select * from shown_heads order by tree_size').map(shownHeadOf);
  }

  /** The newest leaf over the heads of all archives; undefined where there was none. */
  seenDay(): SeenDay | undefined {
    return this.#fact('seen_day');
  }

  /** The first key of this computer that the log has; undefined where it has none. */
  ownKey(): RegisteredKey | undefined {
    return this.#fact('own_key') ?? undefined;
  }

  /** What the log says of the escrow keys that this computer was given; undefined where it was given none, or nothing was read. */
  escrowKeys(): SeenEscrowKeys | undefined {
    return this.#fact('escrow_keys') ?? undefined;
  }

  /** UTF-16 code units of all texts about this computer. */
  ownTextLength(): number {
    return this.#fact('own_text') ?? 0;
  }

  /** Whether all leaves up to the head were looked through for these, and for escrow keys with this SHA-256 (hex). */
  isReadFor(subjects: readonly string[], escrowKeysSha256?: string): boolean {
    if (this.escrowKeys()?.sha256 !== escrowKeysSha256) return false;
    return JSON.stringify(this.#fact('subjects')) === JSON.stringify(subjects);
  }

  /**
   * Keeps that a signed head was shown, before it is followed: it is evidence where the leaves do not come.
   *
   * Returns the one of the same size that was shown before and has another root; both are signed, and no log has both.
   */
  noteShown({ note, treeSize, root }: Omit<ShownHead, 'sinceMs'>, atMs: number): ShownHead | undefined {
    const heads = this.shownHeads();
    const same = heads.find((head) => head.treeSize === treeSize);
    if (same) return Buffer.compare(same.root, root) === 0 ? undefined : same;
    this.#file.write(() => {
      if (heads.length >= MOST_SHOWN)
        this.#file.run('delete from shown_heads where tree_size = ?', heads.at(-1)!.treeSize);
      this.#file.run('insert into shown_heads values (?, ?, ?, ?)', treeSize, root, note, Math.round(atMs));
    });
    return undefined;
  }

  /** Keeps that the head is still the one the server shows. */
  noteChecked(atMs: number): void {
    this.#file.write(() => this.#setChecked(this.head()?.tree.size ?? 0, atMs));
  }

  /**
   * Goes on to a later head that was checked, with the leaves from the one before it on, or with all from the first on; what
   * is wrong with them is kept with it. Says of each fault whether it is the first of its kind with that head.
   */
  advance(
    { note, tree, verifiedAtMs }: VerifiedHead,
    added: readonly SeenLeaves[],
    reading: Reading,
    evidence?: Evidence,
  ): readonly boolean[] {
    const { subjects, faults = [] } = reading;
    const peaks = tree.peaks.map((peak) => Buffer.from(peak).toString('hex'));
    return this.#file.write(() => {
      const next = added.find(({ hashes }) => hashes.length > 0)?.before.size ?? tree.size;
      // What was known when the leaves were asked for was set aside since.
      if (next !== (this.head()?.tree.size ?? 0)) throw keyLogErrors.book_damaged();
      const areFirst = evidence ? faults.map((fault) => this.#noteFault(fault, evidence)) : [];
      this.#addPages(added);
      this.#setFact('head', { note, size: tree.size, peaks, verifiedAtMs });
      this.#setFact('subjects', subjects);
      this.#setLearnt(reading, verifiedAtMs);
      this.#setChecked(tree.size, verifiedAtMs);
      return areFirst;
    });
  }

  /** The hashes of the leaves from one place up to another. */
  hashes(from: number, to: number): readonly Hash[] {
    const sql = `select first, hashes from hashes
      where first >= (select max(first) from hashes where first <= ?) and first < ? order by first`;
    return this.#file.all(sql, from, to).flatMap((row) => {
      const first = row['first'] as number;
      return hashesIn(row['hashes']).slice(Math.max(0, from - first), Math.max(0, to - first));
    });
  }

  /**
   * The root over the first leaves, of at least one and at most all that are known. Reads the page in which they end.
   *
   * @throws key_log.book_damaged where that page does not lead to what comes after it
   */
  rootAt(size: number): Hash {
    const [row] = this.#file.all('select * from hashes where first < ? order by first desc limit 1', size);
    const after = this.#file.all('select peaks from hashes where first >= ? order by first limit 1', size)[0];
    const head = this.#fact('head');
    if (!row || !head) throw keyLogErrors.book_damaged();
    const first = row['first'] as number;
    const leaves = hashesIn(row['hashes']);
    const there = appendLeaves({ size: first, peaks: hashesIn(row['peaks']) }, leaves.slice(0, size - first)).state;
    const { peaks } = appendLeaves(there, leaves.slice(size - first)).state;
    const expected = after ? Buffer.from(after['peaks'] as Uint8Array).toString('hex') : head.peaks.join('');
    // Or damage of this file would be said of the server.
    if (Buffer.concat(peaks).toString('hex') !== expected) {
      this.#file.setAside();
      throw keyLogErrors.book_damaged();
    }
    return rootOf(there);
  }

  /** The leaves about this computer, in the order of the log. */
  ownLeaves(): readonly OwnLeaf[] {
    const rows = this.#file.all('select log_index, body from own_leaves order by log_index');
    return rows.map((row) => ({ logIndex: row['log_index'] as number, text: row['body'] as string }));
  }

  /** Keeps what was wrong, with the head that showed it. True when it is the first of its kind with that head. */
  noteFault(fault: CodedError, evidence: Evidence): boolean {
    return this.#file.write(() => this.#noteFault(fault, evidence));
  }

  /** What was ever wrong, one of each kind, the oldest first. */
  faults(): readonly KeyLogFault[] {
    // With one `min`, SQLite takes the other columns from the row that has it.
    const sql = `select code, message, details, min(first_ms) as at_ms,
        (select max(last_ms) from faults o where o.code = f.code) as last_ms, sum(count) as count
      from faults f group by code order by at_ms, code`;
    return this.#file.all(sql).map((row) => ({
      code: row['code'] as string,
      message: row['message'] as string,
      details: detailsIn(row['details'] as string),
      atMs: row['at_ms'] as number,
      lastAtMs: row['last_ms'] as number,
      count: row['count'] as number,
    }));
  }

  /** The heads that showed what was wrong, and what came with them; the oldest first. */
  *evidence(): Generator<KeptEvidence> {
    const keys = this.#file.all('select code, note_sha256 from faults order by first_ms, code');
    for (const { code, note_sha256: key } of keys) {
      const [row] = this.#file.all('select * from faults where code = ? and note_sha256 = ?', code!, key!);
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

  #begin(damagedAs: string | undefined): void {
    const atMs = this.#clock.now();
    if (this.#fact('checked_at_ms') === undefined) this.#file.write(() => this.#setFact('checked_at_ms', atMs));
    if (damagedAs === undefined) return;
    const nothing = { note: '', proof: new Uint8Array(), hashesFrom: 0, hashes: new Uint8Array() };
    this.noteFault(keyLogErrors.book_damaged({ file: damagedAs }), { atMs, ...nothing });
  }

  #addPages(added: readonly SeenLeaves[]): void {
    const isAnew = added[0]?.before.size === 0;
    if (isAnew) this.#file.run('delete from own_leaves');
    let ownText = isAnew ? 0 : this.ownTextLength();
    for (const { before, hashes, own } of added) {
      if (hashes.length > 0)
        this.#file.run('insert into hashes values (?, ?, ?)', before.size, Buffer.concat(before.peaks), hashes);
      for (const { logIndex, text } of own) {
        this.#file.run('insert into own_leaves values (?, ?)', logIndex, text);
        ownText += text.length;
      }
    }
    this.#setFact('own_text', ownText);
  }

  #setLearnt({ day, ownKey, escrowKeys }: Reading, seenAtMs: number): void {
    this.#setFact('own_key', ownKey ?? null);
    this.#setFact('escrow_keys', escrowKeys ?? null);
    if (day !== undefined && day > (this.seenDay()?.day ?? '')) this.#setFact('seen_day', { day, seenAtMs });
  }

  #noteFault({ code, message, details }: CodedError, evidence: Evidence): boolean {
    const { note, against, proof, hashesFrom, hashes } = evidence;
    const atMs = Math.round(evidence.atMs);
    const noteSha256 = createHash('sha256').update(note).digest('hex');
    const countIn = (key: string) => {
      const sql = 'update faults set count = count + 1, last_ms = ? where code = ? and note_sha256 = ?';
      return this.#file.run(sql, atMs, code, key) > 0;
    };
    // They are evidence from now on, not heads that are missed: the log may be followed on either way.
    if (code === keyLogErrors.forked.code)
      this.#file.run('delete from shown_heads where note in (?, ?)', note, against ?? note);
    if (countIn(noteSha256)) return false;
    const sql = 'select note_sha256 from faults where code = ? order by first_ms';
    const kept = this.#file.all(sql, code);
    if (kept.length >= MOST_KEPT) return !countIn(kept.at(-1)?.['note_sha256'] as string);
    const values = [code, noteSha256, message, JSON.stringify(details), atMs, atMs, 1, note];
    const insert = 'insert into faults values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)';
    const knownNote = against ?? this.head()?.note ?? '';
    return this.#file.run(insert, ...values, knownNote, proof, hashesFrom, hashes) > 0;
  }

  #setChecked(treeSize: number, atMs: number): void {
    this.#setFact('checked_at_ms', atMs);
    this.#file.run('delete from shown_heads where tree_size <= ?', treeSize);
  }

  #fact<Name extends keyof Facts>(key: Name): Facts[Name] | undefined {
    return this.#file.fact(key) as Facts[Name] | undefined;
  }

  #setFact<Name extends keyof Facts>(key: Name, value: Facts[Name]): void {
    this.#file.setFact(key, value);
  }
}

function shownHeadOf(row: Row): ShownHead {
  return {
    note: row['note'] as string,
    treeSize: row['tree_size'] as number,
    root: row['root'] as Uint8Array,
    sinceMs: row['since_ms'] as number,
  };
}

function hashesIn(bytes: Row[string] | undefined): readonly Hash[] {
  const hashes = bytes as Uint8Array;
  return Array.from({ length: Math.floor(hashes.length / HASH_BYTES) }, (_, place) =>
    hashes.subarray(place * HASH_BYTES, (place + 1) * HASH_BYTES),
  );
}

/** What else a fault says is for people: what cannot be read any more is left out. */
function detailsIn(text: string): KeyLogFault['details'] {
  try {
    return JSON.parse(text) as KeyLogFault['details'];
  } catch {
    return {};
  }
}
