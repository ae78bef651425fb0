import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { deserialize, serialize } from 'node:v8';
import type { Reference } from '../format/extent.ts';
import { commitKey } from '../format/map-key.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { encodeCommitRow } from '../format/row.ts';
import type { Time } from '../format/time.ts';
import type { MapEntry } from '../format/tree-node.ts';
import { schemaNumber, schemaSql } from './schema.ts';

/** Where the bytes of a known hash lie. */
export type BlockPlace = { readonly ordinal: number; readonly at: number; readonly length: number };

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

/** What becomes true once a commit is acknowledged. */
export type CommitIntent = {
  readonly puts: readonly MapEntry[];
  readonly directories: readonly IndexedDirectory[];
  /** Directories that hang nowhere from now on. */
  readonly detached: readonly number[];
  /** Known blocks, packed as `packedBlockBytes` says. */
  readonly blocks: readonly Uint8Array[];
  readonly links: readonly IndexedLink[];
  /** Facts that hold with it, by the key they are kept under. */
  readonly facts?: readonly (readonly [key: string, value: Uint8Array])[];
  /** The commit is a checkpoint with this root; nodes that are no longer in the tree. */
  readonly root?: Reference & { readonly droppedNodes: readonly Ordinal[] };
};

/** An intent that changes nothing. */
export const noIntent: CommitIntent = { puts: [], directories: [], detached: [], blocks: [], links: [] };

/** A sealed commit that is kept. */
export type KeptCommit = { readonly number: number; readonly sha256: Uint8Array; readonly record: Uint8Array };

/** What a commit says, as far as taking it over goes. */
export type AdoptedFacts = {
  readonly time: Time;
  readonly root?: Reference;
  readonly puts?: readonly MapEntry[];
};

/** The newest commit that is known. */
export type Head = {
  /** 0 before the first. */
  readonly number: number;
  /** SHA-256 of its whole record; zeros for number 0. */
  readonly sha256: Uint8Array;
  /** Number of the newest checkpoint; 0 for none. */
  readonly checkpoint: number;
  /** Root of its tree. */
  readonly root?: Reference;
};

/** Bytes of one packed block: hash (32), ordinal f64, at u32, length u32. */
export const packedBlockBytes = 48;

/**
 * The agent's own memory of an archive, in SQLite: what was seen, where bytes lie, what was committed.
 *
 * One process writes; worker threads open `BlockLookup` on the same file. Nothing becomes known before the commit
 * that made it true was acknowledged.
 */
export class LocalIndex {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  private constructor(path: string, db: DatabaseSync) {
    this.path = path;
    this.#db = db;
  }

  /** Opens the index, making it where there is none or where it is of another schema. `isNew` says so. */
  static open(path: string): { index: LocalIndex; isNew: boolean } {
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
    return { index: new LocalIndex(path, db), isNew };
  }

  close(): void {
    this.#db.close();
  }

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) this.#statements.set(text, (statement = this.#db.prepare(text)));
    return statement;
  }

  /** Runs `work` as one transaction on stable storage. */
  transact<T>(work: () => T): T {
    this.#db.exec('begin immediate');
    try {
      const result = work();
      this.#db.exec('commit');
      return result;
    } catch (error) {
      this.#db.exec('rollback');
      throw error;
    }
  }

  getNumber(key: string): number | undefined {
    const value = this.#sql('select value from meta where key = ?').get(key)?.['value'];
    return typeof value === 'number' ? value : undefined;
  }

  getBytes(key: string): Uint8Array | undefined {
    const value = this.#sql('select value from meta where key = ?').get(key)?.['value'];
    return value instanceof Uint8Array ? value : undefined;
  }

  set(key: string, value: number | Uint8Array): void {
    this.#sql('insert into meta values (?, ?) on conflict (key) do update set value = excluded.value').run(key, value);
  }

  remove(key: string): void {
    this.#sql('delete from meta where key = ?').run(key);
  }

  /** Adds `count` to a counter, durably, before anybody uses the numbers; returns the first of them. */
  lease(key: string, count: number): number {
    return this.transact(() => {
      const first = this.getNumber(key) ?? 0;
      this.set(key, first + count);
      return first;
    });
  }

  directory(number: number): IndexedDirectory | undefined {
    return toDirectory(this.#sql(`${selectDirectory} where number = ?`).get(number));
  }

  directoryAt(parent: number, name: Uint8Array): IndexedDirectory | undefined {
    return toDirectory(this.#sql(`${selectDirectory} where parent = ? and name = ?`).get(parent, name));
  }

  /** Directories that had this inode when they were last seen. */
  directoriesByInode(device: number, inode: bigint): readonly IndexedDirectory[] {
    const rows = this.#sql(`${selectDirectory} where inode = ? and device = ?`).all(String(inode), device);
    return rows.map((row) => toDirectory(row)!);
  }

  links(device: number, inode: bigint): readonly IndexedLink[] {
    const rows = this.#sql('select * from links where inode = ? and device = ?').all(String(inode), device);
    return rows.map((row) => ({
      inode,
      device,
      directory: row['directory'] as number,
      name: row['name'] as Uint8Array,
      linkGroup: row['link_group'] as number,
    }));
  }

  removeLink(directory: number, name: Uint8Array): void {
    this.#sql('delete from links where directory = ? and name = ?').run(directory, name);
  }

  blockCount(): number {
    return this.#sql('select count(*) as n from blocks').get()?.['n'] as number;
  }

  /** The newest acknowledged commit. */
  head(): Head {
    const root = this.getBytes('root');
    return {
      number: this.getNumber('head') ?? 0,
      sha256: this.getBytes('head.sha256') ?? new Uint8Array(32),
      checkpoint: this.getNumber('checkpoint') ?? 0,
      ...(root && { root: { ordinal: this.getNumber('root.ordinal') ?? 0, sha256: root } }),
    };
  }

  /** Forgets everything but what `open` made: the index is to be rebuilt. */
  clear(): void {
    this.transact(() => {
      const tables = ['meta', 'directories', 'former', 'blocks', 'links', 'commits', 'puts', 'nodes'];
      for (const table of tables) this.#db.exec(`delete from ${table}`);
    });
  }

  /** Takes over the newest state of an archive into an empty index: its checkpoint and the commits after it, by rising number. */
  adoptHead(commits: readonly KeptCommit[], facts: readonly AdoptedFacts[]): void {
    this.transact(() => {
      for (const [place, { number, sha256, record }] of commits.entries()) {
        this.#sql('insert or replace into commits values (?, ?, ?, zeroblob(0), 1)').run(number, sha256, record);
        const { root, puts = [], time } = facts[place]!;
        if (root) this.#setRoot(number, { ...root, droppedNodes: [] });
        else for (const entry of puts) this.#put(entry);
        this.#put({ key: commitKey(number), value: encodeCommitRow({ time, sha256 }) });
        this.set('head', number);
        this.set('head.sha256', sha256);
      }
    });
  }

  /** An acknowledged commit that is still kept. */
  keptCommit(number: number): KeptCommit | undefined {
    const row = this.#sql('select number, sha256, record from commits where number = ? and is_acknowledged = 1').get(
      number,
    );
    return row as KeptCommit | undefined;
  }

  /** Keeps a sealed commit before it is sent: if its answer is lost, it is taken up as it was and never sealed anew. */
  keepCommit(commit: KeptCommit, intent: CommitIntent): void {
    this.#sql('insert or replace into commits values (?, ?, ?, ?, 0)').run(
      commit.number,
      commit.sha256,
      commit.record,
      serialize(intent),
    );
  }

  /** The commit that was kept and never acknowledged, if there is one. */
  unacknowledgedCommit(): KeptCommit | undefined {
    const row = this.#sql('select number, sha256, record from commits where is_acknowledged = 0 order by number').get();
    return row as KeptCommit | undefined;
  }

  /** Drops a commit that no destination has: its ordinals are never used again. */
  dropUnacknowledged(): void {
    this.#sql('delete from commits where is_acknowledged = 0').run();
  }

  /** SHA-256 of a kept commit's record, for a destination that lags behind. */
  commitsAfter(number: number): readonly KeptCommit[] {
    const rows = this.#sql(
      'select number, sha256, record from commits where number > ? and is_acknowledged = 1 order by number',
    ).all(number);
    return rows as unknown as KeptCommit[];
  }

  /**
   * Makes a kept commit known, with all that it makes true, at once and on stable storage.
   *
   * @param kept what it makes true, where the caller still has it; else what was kept with it
   */
  acknowledge(number: number, kept?: CommitIntent): void {
    this.transact(() => {
      const row = this.#sql('select sha256, intent from commits where number = ?').get(number);
      const intent = kept ?? (deserialize(row?.['intent'] as Uint8Array) as CommitIntent);
      this.#sql('update commits set is_acknowledged = 1, intent = zeroblob(0) where number = ?').run(number);
      if (intent.root) this.#setRoot(number, intent.root);
      for (const entry of intent.puts) this.#put(entry);
      this.#learn(intent);
      for (const [key, value] of intent.facts ?? []) this.set(key, value);
      this.set('head', number);
      this.set('head.sha256', row?.['sha256'] as Uint8Array);
    });
  }

  /** Makes known what needs no commit: bytes that are durable, directories in which nothing changed. */
  learn(truths: Omit<CommitIntent, 'puts' | 'root'>): void {
    this.transact(() => this.#learn(truths));
  }

  #learn(truths: Omit<CommitIntent, 'puts' | 'root'>): void {
    this.#detach(truths.detached);
    for (const directory of truths.directories) this.putDirectory(directory);
    for (const packed of truths.blocks) this.putBlocks(packed);
    for (const link of truths.links) this.#putLink(link);
  }

  #setRoot(number: number, root: NonNullable<CommitIntent['root']>): void {
    this.set('root', root.sha256);
    this.set('root.ordinal', root.ordinal);
    this.set('checkpoint', number);
    this.#db.exec('delete from puts');
    for (const ordinal of root.droppedNodes) this.removeNode(ordinal);
    // Older ones are in the tree now; the newest of them may still be asked for by a destination that lags a little.
    this.#sql('delete from commits where number < ? and is_acknowledged = 1').run(number);
  }

  #put({ key, value }: MapEntry): void {
    this.#sql('insert into puts values (?, ?) on conflict (key) do update set value = excluded.value').run(key, value);
  }

  #putLink({ inode, device, directory, name, linkGroup }: IndexedLink): void {
    this.#sql('insert or replace into links values (?, ?, ?, ?, ?)').run(
      String(inode),
      device,
      directory,
      name,
      linkGroup,
    );
  }

  putDirectory(directory: IndexedDirectory): void {
    // A directory may take the place of one that another row of the same commit moves on; the unique index sees them one by one.
    this.#sql('update directories set parent = -1 - number where parent = ? and name = ? and number <> ?').run(
      directory.parent,
      directory.name,
      directory.number,
    );
    this.#sql(
      `insert into directories values (:number, :parent, :name, :since, :device, :inode, :birth, :own, :entries)
       on conflict (number) do update set parent = excluded.parent, name = excluded.name, since = excluded.since,
       device = excluded.device, inode = excluded.inode, birth = excluded.birth, own = excluded.own, entries = excluded.entries`,
    ).run({ ...directory, inode: String(directory.inode) });
  }

  /** The number of the directory that was the last to have this place, if it has none now. */
  formerDirectoryAt(parent: number, name: Uint8Array): number | undefined {
    const row = this.#sql(
      `select number from former where parent = ? and name = ?
       and not exists (select 1 from directories d where d.number = former.number and d.parent >= 0)`,
    ).get(parent, name);
    return row?.['number'] as number | undefined;
  }

  /** Takes in which directories were the last to have these places, gone or not. */
  putFormer(places: readonly Pick<IndexedDirectory, 'parent' | 'name' | 'number'>[]): void {
    const put = this.#sql('insert or replace into former values (?, ?, ?)');
    this.transact(() => {
      for (const { parent, name, number } of places) put.run(parent, name, number);
    });
  }

  /** Forgets the former places of directories that hang somewhere. */
  dropFormerOfPresent(): void {
    this.#db.exec('delete from former where number in (select number from directories where parent >= 0)');
  }

  #detach(numbers: readonly number[]): void {
    for (const number of numbers) {
      this.#sql(
        'insert or replace into former select parent, name, number from directories where number = ? and parent >= 0',
      ).run(number);
      this.#sql(
        "update directories set parent = -1 - number, entries = zeroblob(0), own = zeroblob(0), inode = '' where number = ?",
      ).run(number);
    }
  }

  putBlocks(packed: Uint8Array): void {
    const insert = this.#sql('insert or ignore into blocks values (?, ?, ?, ?)');
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

  /** What was put since the last checkpoint, by rising key. */
  *puts(): Generator<MapEntry> {
    for (const row of this.#sql('select key, value from puts order by key').iterate()) yield row as unknown as MapEntry;
  }

  putsBytes(): number {
    return (
      (this.#sql('select coalesce(sum(length(key) + length(value)), 0) as n from puts').get()?.['n'] as number) ?? 0
    );
  }

  node(ordinal: number): Uint8Array | undefined {
    return this.#sql('select raw from nodes where ordinal = ?').get(ordinal)?.['raw'] as Uint8Array | undefined;
  }

  putNodes(nodes: ReadonlyMap<Ordinal, Uint8Array>): void {
    this.transact(() => {
      const put = this.#sql('insert or replace into nodes values (?, ?)');
      for (const [ordinal, raw] of nodes) put.run(ordinal, raw);
    });
  }

  removeNode(ordinal: number): void {
    this.#sql('delete from nodes where ordinal = ?').run(ordinal);
  }
}

const selectDirectory = 'select number, parent, name, since, device, inode, birth, own, entries from directories';

function toDirectory(row: Record<string, unknown> | undefined): IndexedDirectory | undefined {
  if (!row) return undefined;
  return { ...(row as unknown as IndexedDirectory), inode: BigInt((row['inode'] as string) || 0) };
}

/** A worker's view of the known blocks: read-only, in the same file. */
export class BlockLookup {
  readonly #db: DatabaseSync;
  readonly #find: StatementSync;

  constructor(path: string) {
    this.#db = new DatabaseSync(path, { readOnly: true });
    this.#db.exec('pragma busy_timeout = 5000; pragma cache_size = -4096');
    this.#find = this.#db.prepare('select ordinal, at, length from blocks where hash = ?');
  }

  find(hash: Uint8Array): BlockPlace | undefined {
    return this.#find.get(hash) as BlockPlace | undefined;
  }

  close(): void {
    this.#db.close();
  }
}
