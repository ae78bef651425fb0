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
  readonly own: Uint8Array;
  readonly entries: Uint8Array;
};

/** One name of a file with several. */
export type IndexedLink = {
  readonly inode: bigint;
  readonly device: number;
  readonly directory: number;
  readonly name: Uint8Array;
  readonly linkGroup: number;
};

const selectDirectory = 'select number, parent, name, since, device, inode, birth, own, entries from directories';

/** What was last seen in the directories of the machine, and which names are one file. */
export class DirectoryTable {
  readonly #database: IndexDatabase;

  constructor(database: IndexDatabase) {
    this.#database = database;
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

  put(directory: IndexedDirectory): void {
    // A directory may take the place of one that another row of the same commit moves on; the unique index sees them one by one.
    this.#database
      .sql('update directories set parent = -1 - number where parent = ? and name = ? and number <> ?')
      .run(directory.parent, directory.name, directory.number);
    this.#database
      .sql(
        `insert into directories values (:number, :parent, :name, :since, :device, :inode, :birth, :own, :entries)
         on conflict (number) do update set parent = excluded.parent, name = excluded.name, since = excluded.since,
         device = excluded.device, inode = excluded.inode, birth = excluded.birth, own = excluded.own, entries = excluded.entries`,
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
        .sql(
          "update directories set parent = -1 - number, entries = zeroblob(0), own = zeroblob(0), inode = '' where number = ?",
        )
        .run(number);
    }
  }

  /** Has `change` look at the packed entries of every directory; what it changes in place, returning true, is kept. */
  changeEntries(change: (entries: Uint8Array) => boolean): void {
    this.#database.transact(() => {
      const next = this.#database.sql(
        'select number, entries from directories where number > ? order by number limit 1',
      );
      const put = this.#database.sql('update directories set entries = ? where number = ?');
      for (let row = next.get(-1); row; row = next.get(row['number'] as number)) {
        const entries = row['entries'] as Uint8Array;
        if (change(entries)) put.run(entries, row['number'] as number);
      }
    });
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

function toDirectory(row: Record<string, unknown> | undefined): IndexedDirectory | undefined {
  if (!row) return undefined;
  return { ...(row as unknown as IndexedDirectory), inode: BigInt((row['inode'] as string) || 0) };
}
