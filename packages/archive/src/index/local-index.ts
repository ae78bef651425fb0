import type { Ordinal } from '../format/ordinal.ts';
import type { MapEntry } from '../format/tree-node.ts';
import { BlockTable, type IndexedRecord } from './block-table.ts';
import {
  type AdoptedFacts,
  type CommitIntent,
  CommitTable,
  type Head,
  type KeptCommit,
  type Truths,
} from './commit-table.ts';
import { DirectoryTable, type IndexedDirectory, type IndexedLink } from './directory-table.ts';
import { EntryTable } from './entry-table.ts';
import { IndexDatabase } from './index-database.ts';

const tables = [
  'meta',
  'directories',
  'entries',
  'former',
  'blocks',
  'records',
  'set_lists',
  'links',
  'commits',
  'puts',
  'nodes',
] as const;

/**
 * The agent's own memory of an archive, in SQLite: what was seen, where bytes lie, what was committed.
 *
 * One process writes; worker threads open `BlockLookup` on the same file. Nothing becomes known before the commit
 * that made it true was acknowledged.
 */
export class LocalIndex {
  readonly #database: IndexDatabase;
  readonly #entries: EntryTable;
  readonly #directories: DirectoryTable;
  readonly #blocks: BlockTable;
  readonly #commits: CommitTable;

  private constructor(database: IndexDatabase) {
    this.#database = database;
    this.#entries = new EntryTable(database);
    this.#directories = new DirectoryTable(database, this.#entries);
    this.#blocks = new BlockTable(database);
    this.#commits = new CommitTable(database);
  }

  /** Opens the index, making it where there is none or where it is of another schema. `isNew` says so. */
  static open(path: string): { index: LocalIndex; isNew: boolean } {
    const { database, isNew } = IndexDatabase.open(path);
    return { index: new LocalIndex(database), isNew };
  }

  get path(): string {
    return this.#database.path;
  }

  close(): void {
    this.#database.close();
  }

  /** Runs `work` as one transaction on stable storage. */
  transact<T>(work: () => T): T {
    try {
      return this.#database.transact(work);
    } catch (error) {
      this.#blocks.forgetLists();
      throw error;
    }
  }

  getNumber(key: string): number | undefined {
    return this.#database.getNumber(key);
  }

  getBytes(key: string): Uint8Array | undefined {
    return this.#database.getBytes(key);
  }

  set(key: string, value: number | Uint8Array): void {
    this.#database.set(key, value);
  }

  remove(key: string): void {
    this.#database.remove(key);
  }

  /** Adds `count` to a counter, durably, before anybody uses the numbers; returns the first of them. */
  lease(key: string, count: number): number {
    return this.transact(() => {
      const first = this.getNumber(key) ?? 0;
      this.set(key, first + count);
      return first;
    });
  }

  /** Forgets everything but what `open` made: the index is to be rebuilt. */
  clear(): void {
    this.transact(() => {
      for (const table of tables) this.#database.sql(`delete from ${table}`).run();
    });
    this.#blocks.forgetLists();
  }

  directory(number: number): IndexedDirectory | undefined {
    return this.#directories.numbered(number);
  }

  directoryAt(parent: number, name: Uint8Array): IndexedDirectory | undefined {
    return this.#directories.at(parent, name);
  }

  /** Directories that had this inode when they were last seen. */
  directoriesByInode(device: number, inode: bigint): readonly IndexedDirectory[] {
    return this.#directories.byInode(device, inode);
  }

  /** The number of the directory that was the last to have this place, if it has none now. */
  formerDirectoryAt(parent: number, name: Uint8Array): number | undefined {
    return this.#directories.formerAt(parent, name);
  }

  /** Takes in which directories were the last to have these places, gone or not. */
  putFormer(places: readonly Pick<IndexedDirectory, 'parent' | 'name' | 'number'>[]): void {
    this.transact(() => this.#directories.putFormer(places));
  }

  /** Forgets the former places of directories that hang somewhere. */
  dropFormerOfPresent(): void {
    this.#directories.dropFormerOfPresent();
  }

  /** Has `change` look at the packed entries of every directory, page by page; what it changes in place, returning true, is kept. */
  changeEntries(change: (entries: Uint8Array) => boolean): void {
    this.transact(() => this.#entries.change(change));
  }

  links(device: number, inode: bigint): readonly IndexedLink[] {
    return this.#directories.links(device, inode);
  }

  removeLink(directory: number, name: Uint8Array): void {
    this.#directories.removeLink(directory, name);
  }

  blockCount(): number {
    return this.#blocks.count();
  }

  /** Which sets need a record of data; undefined for any other. */
  recordOwners(ordinal: number): IndexedRecord | undefined {
    return this.#blocks.record(ordinal);
  }

  /** Every record of data that some kept version needs, by rising ordinal. */
  dataRecords(): Iterable<{ readonly ordinal: number; readonly sets: readonly number[] }> {
    return this.#blocks.records();
  }

  /** Every list of sets that ever needed a record. */
  setLists(): readonly (readonly number[])[] {
    return this.#blocks.setLists();
  }

  /** Finds the bytes in these records no more: what is equal is stored again. Who needs the records stays known. */
  forgetPieces(ordinals: readonly number[]): void {
    this.transact(() => this.#blocks.forgetPieces(ordinals));
  }

  /** Finds the bytes in records below this ordinal no more. Who needs the records stays known. */
  forgetPiecesBelow(ordinal: number): void {
    this.transact(() => this.#blocks.forgetPiecesBelow(ordinal));
  }

  /** Forgets records that are lost everywhere, or that nothing needs any more. */
  forgetRecords(ordinals: readonly number[]): void {
    this.transact(() => this.#blocks.forgetRecords(ordinals));
  }

  /** The newest acknowledged commit. */
  head(): Head {
    return this.#commits.head();
  }

  /** Takes over the newest state of an archive into an empty index: its checkpoint and the commits after it, by rising number. */
  adoptHead(commits: readonly KeptCommit[], facts: readonly AdoptedFacts[]): void {
    this.transact(() => this.#commits.adopt(commits, facts));
  }

  /** An acknowledged commit that is still kept. */
  keptCommit(number: number): KeptCommit | undefined {
    return this.#commits.kept(number);
  }

  /** Keeps a sealed commit before it is sent: if its answer is lost, it is taken up as it was and never sealed anew. */
  keepCommit(commit: KeptCommit, intent: CommitIntent): void {
    this.#commits.keep(commit, intent);
  }

  /** The commit that was kept and never acknowledged, if there is one. */
  unacknowledgedCommit(): KeptCommit | undefined {
    return this.#commits.unacknowledged();
  }

  /** Drops a commit that no destination has: its ordinals are never used again. */
  dropUnacknowledged(): void {
    this.#commits.dropUnacknowledged();
  }

  /** The acknowledged commits after this one that are kept, by rising number. */
  commitsAfter(number: number): readonly KeptCommit[] {
    return this.#commits.after(number);
  }

  /**
   * Makes a kept commit known, with all that it makes true, at once and on stable storage.
   *
   * @param kept what it makes true, where the caller still has it; else what was kept with it
   */
  acknowledge(number: number, kept?: CommitIntent): void {
    this.transact(() => this.#learn(this.#commits.acknowledge(number, kept)));
  }

  /** Makes known what needs no commit: bytes that are durable, directories in which nothing changed. */
  learn(truths: Truths): void {
    this.transact(() => this.#learn(truths));
  }

  #learn({ detached, directories, seen, blocks, records, links }: Truths): void {
    this.#directories.detach(detached);
    for (const directory of directories) this.#directories.put(directory);
    for (const names of seen) this.#entries.replace(names);
    for (const packed of blocks) this.#blocks.put(packed);
    for (const owned of records) this.#blocks.own(owned);
    for (const link of links) this.#directories.putLink(link);
  }

  /** What was put since the last checkpoint, by rising key. */
  puts(): Generator<MapEntry> {
    return this.#commits.puts();
  }

  putsBytes(): number {
    return this.#commits.putsBytes();
  }

  /** Raw bytes of a node of the newest tree. */
  node(ordinal: number): Uint8Array | undefined {
    return this.#commits.node(ordinal);
  }

  putNodes(nodes: ReadonlyMap<Ordinal, Uint8Array>): void {
    this.transact(() => this.#commits.putNodes(nodes));
  }
}
