import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { firstName, lastName, offsetOf, packedPages } from '../backup/packed-directory.ts';
import { joinBytes } from '../format/cursor.ts';
import type { IndexDatabase } from './index-database.ts';

/** What was seen of the names of a directory from one name on to before another. */
export type SeenNames = {
  readonly directory: number;
  /** No name is the beginning. */
  readonly from: Uint8Array;
  /** The end where left out. */
  readonly until?: Uint8Array;
  /** Packed entries of those names (packed-directory.ts). */
  readonly entries: Uint8Array;
};

type Page = { readonly first: Uint8Array; readonly packed: Uint8Array };

const noEntries = new Uint8Array();
/** The page that may hold a name, and the first one behind a name. */
const pageUpTo = 'select first, packed from entries where directory = ? and first <= ? order by first desc limit 1';
const pageBehind = 'select first, packed from entries where directory = ? and first > ? order by first limit 1';

/** The names of every directory, in pages by rising name: a change costs its page, whatever the size of the directory. */
export class EntryTable {
  readonly #database: IndexDatabase;

  constructor(database: IndexDatabase) {
    this.#database = database;
  }

  /** Puts what was seen in the place of what was known of the same names. In any order: names outside the range stay as they are. */
  replace({ directory, from, until, entries }: SeenNames): void {
    const above = from.length === 0 ? undefined : this.#pageBefore(directory, from);
    const below = until && this.#pageBefore(directory, until);
    const head = above ? above.packed.subarray(0, offsetOf(above.packed, from)) : noEntries;
    const tail = below ? below.packed.subarray(offsetOf(below.packed, until)) : noEntries;
    const start = above?.first ?? from;
    if (until) {
      this.#database
        .sql('delete from entries where directory = ? and first >= ? and first < ?')
        .run(directory, start, until);
    } else {
      this.#database.sql('delete from entries where directory = ? and first >= ?').run(directory, start);
    }
    const put = this.#database.sql('insert into entries values (?, ?, ?)');
    const all = head.length + tail.length === 0 ? entries : joinBytes(head, entries, tail);
    for (const packed of packedPages(all)) put.run(directory, firstName(packed), packed);
  }

  #pageBefore(directory: number, name: Uint8Array): Page | undefined {
    const page = 'select first, packed from entries where directory = ? and first < ? order by first desc limit 1';
    return this.#database.sql(page).get(directory, name) as Page | undefined;
  }

  /** Forgets all names of a directory. */
  forget(directory: number): void {
    this.#database.sql('delete from entries where directory = ?').run(directory);
  }

  /** Has `change` look at the packed entries of every directory, page by page; what it changes in place, returning true, is kept. */
  change(change: (packed: Uint8Array) => boolean): void {
    const next = this.#database.sql('select rowid as page, packed from entries where rowid > ? order by rowid limit 1');
    const put = this.#database.sql('update entries set packed = ? where rowid = ?');
    for (let row = next.get(-1); row; row = next.get(row['page'] as number)) {
      const packed = row['packed'] as Uint8Array;
      if (change(packed)) put.run(packed, row['page'] as number);
    }
  }
}

/** A worker's view of what was last seen in directories: read-only, in the same file, opened when it is first asked. */
export class EntryLookup {
  readonly #path: string;
  #open: { readonly db: DatabaseSync; readonly upTo: StatementSync; readonly behind: StatementSync } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * The packed entries of a directory from a name on, in stretches by rising name. Pages of names before `from` may be
   * replaced meanwhile.
   */
  *entriesFrom(directory: number, from: Uint8Array): Generator<Uint8Array> {
    const { upTo, behind } = (this.#open ??= this.#openFile());
    let reached = from;
    const above = upTo.get(directory, from) as Page | undefined;
    const rest = above ? above.packed.subarray(offsetOf(above.packed, from)) : noEntries;
    if (rest.length > 0) {
      reached = lastName(rest);
      yield rest;
    }
    for (;;) {
      const page = behind.get(directory, reached) as Page | undefined;
      if (!page) return;
      reached = lastName(page.packed);
      yield page.packed;
    }
  }

  close(): void {
    this.#open?.db.close();
    this.#open = undefined;
  }

  #openFile() {
    const db = new DatabaseSync(this.#path, { readOnly: true });
    db.exec('pragma busy_timeout = 5000; pragma cache_size = -1024');
    return { db, upTo: db.prepare(pageUpTo), behind: db.prepare(pageBehind) };
  }
}
