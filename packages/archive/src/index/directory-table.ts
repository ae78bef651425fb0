import { equalBytes } from '../format/cursor.ts';
import type { EntryTable } from './entry-table.ts';
import type { IndexDatabase } from './index-database.ts';

/** A directory as the index knows it. */
export type IndexedDirectory = {
  readonly number: number;
  readonly parent: number;
  readonly name: Uint8Array;
  readonly since: number;
  readonly device: number;
  readonly inode: bigint;
  readonly birth: string;
  /** Digest of its own row. */
  readonly own: Uint8Array;
};

/** One name of a file with several. */
export type IndexedLink = {
  readonly inode: bigint;
  readonly device: number;
  readonly directory: number;
  readonly name: Uint8Array;
  readonly linkGroup: number;
};

const selectDirectory = 'select number, parent, name, since, device, inode, birth, own from directories';

/** The directories of the machine, where they hang, and which names are one file. */
export class DirectoryTable {
  readonly #database: IndexDatabase;
  readonly #entries: EntryTable;

  constructor(database: IndexDatabase, entries: EntryTable) {
    this.#database = database;
    this.#entries = entries;
  }

  numbered(number: number): IndexedDirectory | undefined {
    return toDirectory(this.#database.sql(`${selectDirectory} where number = ?`).get(number));
  }

  at(parent: number, name: Uint8Array): IndexedDirectory | undefined {
    return toDirectory(this.#database.sql(`${selectDirectory} where parent = ? and name = ?`).get(parent, name));
  }

  /** Directories that had this inode when they were last seen. */
  byInode(device: number, inode: bigint): readonly IndexedDirectory[] {
    const rows = this.#database.sql(`${selectDirectory} where inode = ? and device = ?`).all(String(inode), device);
    return rows.map((row) => toDirectory(row)!);
  }

  /** The number of the directory that was the last to have this place, if it has none now. */
  formerAt(parent: number, name: Uint8Array): number | undefined {
    const row = this.#database
      .sql(
        `select number from former where parent = ? and name = ?
         and not exists (select 1 from directories d where d.number = former.number and d.parent >= 0)`,
      )
      .get(parent, name);
    return row?.['number'] as number | undefined;
  }

  /** Takes in which directories were the last to have these places, gone or not. */
  putFormer(places: readonly Pick<IndexedDirectory, 'parent' | 'name' | 'number'>[]): void {
    const put = this.#database.sql('insert or replace into former values (?, ?, ?)');
    for (const { parent, name, number } of places) put.run(parent, name, number);
  }

  /** Forgets the former places of directories that hang somewhere. */
  dropFormerOfPresent(): void {
    this.#database.sql('delete from former where number in (select number from directories where parent >= 0)').run();
  }

  /** Puts what a directory is. One that came back forgets the names it had: rows from before its `since` count no more. */
  put(directory: IndexedDirectory): void {
    const known = this.#database.sql('select since from directories where number = ?').get(directory.number);
    if (known && known['since'] !== directory.since) this.#entries.forget(directory.number);
    // A directory may take the place of one that another row of the same commit moves on; the unique index sees them one by one.
    this.#database
      .sql('update directories set parent = -1 - number where parent = ? and name = ? and number <> ?')
      .run(directory.parent, directory.name, directory.number);
    this.#database
      .sql(
        `insert into directories values (:number, :parent, :name, :since, :device, :inode, :birth, :own)
         on conflict (number) do update set parent = excluded.parent, name = excluded.name, since = excluded.since,
         device = excluded.device, inode = excluded.inode, birth = excluded.birth, own = excluded.own`,
      )
      .run({ ...directory, inode: String(directory.inode) });
  }

  /** Directories that hang nowhere from now on. */
  detach(numbers: readonly number[]): void {
    for (const number of numbers) {
      this.#database
        .sql(
          'insert or replace into former select parent, name, number from directories where number = ? and parent >= 0',
        )
        .run(number);
      this.#database
        .sql("update directories set parent = -1 - number, own = zeroblob(0), inode = '' where number = ?")
        .run(number);
      this.#entries.forget(number);
    }
  }

  links(device: number, inode: bigint): readonly IndexedLink[] {
    const rows = this.#database.sql('select * from links where inode = ? and device = ?').all(String(inode), device);
    return rows.map((row) => ({
      inode,
      device,
      directory: row['directory'] as number,
      name: row['name'] as Uint8Array,
      linkGroup: row['link_group'] as number,
    }));
  }

  putLink({ inode, device, directory, name, linkGroup }: IndexedLink): void {
    this.#database
      .sql('insert or replace into links values (?, ?, ?, ?, ?)')
      .run(String(inode), device, directory, name, linkGroup);
  }

  removeLink(directory: number, name: Uint8Array): void {
    this.#database.sql('delete from links where directory = ? and name = ?').run(directory, name);
  }
}

/** Whether both say the same of a directory. */
export function isSameDirectory(a: IndexedDirectory, b: IndexedDirectory): boolean {
  return (
    a.number === b.number &&
    a.parent === b.parent &&
    a.since === b.since &&
    a.device === b.device &&
    a.inode === b.inode &&
    a.birth === b.birth &&
    equalBytes(a.name, b.name) &&
    equalBytes(a.own, b.own)
  );
}

function toDirectory(row: Record<string, unknown> | undefined): IndexedDirectory | undefined {
  if (!row) return undefined;
  return { ...(row as unknown as IndexedDirectory), inode: BigInt((row['inode'] as string) || 0) };
}
