import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { IndexDatabase } from './index-database.ts';

/** Records of data, and the backup sets whose files lie in them. */
export type OwnedRecords = {
  /** By rising number; 0 stands for what no set selected. */
  readonly sets: readonly number[];
  /** Each holds many small files. */
  readonly isBundle: boolean;
  readonly ordinals: readonly number[];
};

/** A record of data as the index knows it. */
export type IndexedRecord = Omit<OwnedRecords, 'ordinals'>;

/** Where the bytes of a known hash lie, and who needs that record. */
export type BlockPlace = IndexedRecord & {
  readonly ordinal: number;
  /** Offset in the record's raw bytes. */
  readonly at: number;
  readonly length: number;
};

/** Bytes of one packed block: hash (32), ordinal f64, at u32, length u32. */
export const packedBlockBytes = 48;

/** Where bytes lie, and which sets need the records they lie in. */
export class BlockTable {
  readonly #database: IndexDatabase;
  /** Numbers of lists of sets, by their text. */
  readonly #lists = new Map<string, number>();

  constructor(database: IndexDatabase) {
    this.#database = database;
  }

  count(): number {
    return this.#database.sql('select count(*) as n from blocks').get()?.['n'] as number;
  }

  put(packed: Uint8Array): void {
    const insert = this.#database.sql('insert or ignore into blocks values (?, ?, ?, ?)');
    const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
    for (let at = 0; at < packed.length; at += packedBlockBytes) {
      insert.run(
        packed.subarray(at, at + 32),
        view.getFloat64(at + 32, true),
        view.getUint32(at + 40, true),
        view.getUint32(at + 44, true),
      );
    }
  }

  /** Adds sets to those that need these records. */
  own({ sets, isBundle, ordinals }: OwnedRecords): void {
    const list = this.#listOf(sets);
    const insert = this.#database.sql('insert or ignore into records values (?, ?, ?)');
    for (const ordinal of ordinals) {
      if (insert.run(ordinal, list, isBundle ? 1 : 0).changes === 0) this.#ownMore(ordinal, { sets, isBundle });
    }
  }

  /** Which sets need a record; undefined for one that holds no data that is known. */
  record(ordinal: number): IndexedRecord | undefined {
    const row = this.#database
      .sql('select is_bundle, sets from records join set_lists using (list) where ordinal = ?')
      .get(ordinal);
    return row && { sets: parseSets(row['sets'] as string), isBundle: row['is_bundle'] === 1 };
  }

  /** Every record of data, by rising ordinal. */
  *records(): Generator<{ readonly ordinal: number; readonly sets: readonly number[] }> {
    const rows = this.#database.sql('select ordinal, sets from records join set_lists using (list) order by ordinal');
    const lists = new Map<string, readonly number[]>();
    for (const row of rows.iterate()) {
      const text = row['sets'] as string;
      let sets = lists.get(text);
      if (!sets) lists.set(text, (sets = parseSets(text)));
      yield { ordinal: row['ordinal'] as number, sets };
    }
  }

  /** Every list of sets that ever needed a record. */
  setLists(): readonly (readonly number[])[] {
    const rows = this.#database.sql('select sets from set_lists').all();
    return rows.map((row) => parseSets(row['sets'] as string));
  }

  /** Finds the bytes in these records no more: what is equal is stored again. Who needs the records stays known. */
  forgetPieces(ordinals: readonly number[]): void {
    const text = JSON.stringify(ordinals);
    this.#database.sql('delete from blocks where ordinal in (select value from json_each(?))').run(text);
  }

  /** Finds the bytes in records below this ordinal no more. */
  forgetPiecesBelow(ordinal: number): void {
    this.#database.sql('delete from blocks where ordinal < ?').run(ordinal);
  }

  /** Forgets records that are lost everywhere. */
  forgetRecords(ordinals: readonly number[]): void {
    this.forgetPieces(ordinals);
    const text = JSON.stringify(ordinals);
    this.#database.sql('delete from records where ordinal in (select value from json_each(?))').run(text);
  }

  #ownMore(ordinal: number, more: IndexedRecord): void {
    const before = this.record(ordinal);
    if (!before) return;
    const list = this.#listOf(unionOfSets(before.sets, more.sets));
    const isBundle = before.isBundle || more.isBundle ? 1 : 0;
    this.#database.sql('update records set list = ?, is_bundle = ? where ordinal = ?').run(list, isBundle, ordinal);
  }

  #listOf(sets: readonly number[]): number {
    const text = sets.join(',');
    let list = this.#lists.get(text);
    if (list !== undefined) return list;
    this.#database.sql('insert or ignore into set_lists (sets) values (?)').run(text);
    list = this.#database.sql('select list from set_lists where sets = ?').get(text)!['list'] as number;
    this.#lists.set(text, list);
    return list;
  }

  /** After a transaction was taken back, or the tables emptied: numbers of lists may not hold any more. */
  forgetLists(): void {
    this.#lists.clear();
  }
}

/** A worker's view of the known blocks: read-only, in the same file. */
export class BlockLookup {
  readonly #db: DatabaseSync;
  readonly #find: StatementSync;
  readonly #sets = new Map<string, readonly number[]>();

  constructor(path: string) {
    this.#db = new DatabaseSync(path, { readOnly: true });
    this.#db.exec('pragma busy_timeout = 5000; pragma cache_size = -4096');
    this.#find = this.#db.prepare(
      `select ordinal, at, length, is_bundle, sets from blocks join records using (ordinal) join set_lists using (list)
       where hash = ?`,
    );
  }

  /** The places of these bytes; several where they had to be stored for several destinations. */
  find(hash: Uint8Array): readonly BlockPlace[] {
    return this.#find.all(hash).map((row) => ({
      ordinal: row['ordinal'] as number,
      at: row['at'] as number,
      length: row['length'] as number,
      isBundle: row['is_bundle'] === 1,
      sets: this.#setsOf(row['sets'] as string),
    }));
  }

  close(): void {
    this.#db.close();
  }

  #setsOf(text: string): readonly number[] {
    let sets = this.#sets.get(text);
    if (!sets) this.#sets.set(text, (sets = parseSets(text)));
    return sets;
  }
}

/** All numbers of two rising lists, rising; the first itself where it has them all. */
export function unionOfSets(a: readonly number[], b: readonly number[]): readonly number[] {
  if (b.every((number) => a.includes(number))) return a;
  return [...new Set([...a, ...b])].toSorted((x, y) => x - y);
}

function parseSets(text: string): readonly number[] {
  return text === '' ? [] : text.split(',').map(Number);
}
