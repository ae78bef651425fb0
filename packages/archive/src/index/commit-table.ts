import { release } from '../crypto/release.ts';
import type { Reference } from '../format/extent.ts';
import { commitKey } from '../format/map-key.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { encodeCommitRow } from '../format/row.ts';
import type { Time } from '../format/time.ts';
import type { MapEntry } from '../format/tree-node.ts';
import type { OwnedRecords } from './block-table.ts';
import type { IndexedDirectory, IndexedLink } from './directory-table.ts';
import type { SeenNames } from './entry-table.ts';
import type { IndexDatabase } from './index-database.ts';
import { deserializeIntent, serializeIntent } from './kept-intent.ts';

/** What becomes true once a commit is acknowledged. */
export type CommitIntent = {
  readonly puts: readonly MapEntry[];
  readonly directories: readonly IndexedDirectory[];
  /** What was seen in them. */
  readonly seen: readonly SeenNames[];
  /** Directories that hang nowhere from now on. */
  readonly detached: readonly number[];
  /** Known blocks, packed as `packedBlockBytes` says. */
  readonly blocks: readonly Uint8Array[];
  /** Which sets need which records of data: those that are new, and those that more sets need now. */
  readonly records: readonly OwnedRecords[];
  readonly links: readonly IndexedLink[];
  /** Facts that hold with it, by the key they are kept under. */
  readonly facts?: readonly (readonly [key: string, value: Uint8Array])[];
  /** The commit is a checkpoint with this root; nodes that are no longer in the tree. */
  readonly root?: Reference & { readonly droppedNodes: readonly Ordinal[] };
};

/** What becomes true besides rows and roots. */
export type Truths = Omit<CommitIntent, 'puts' | 'root'>;

/** An intent that changes nothing. */
export const noIntent: CommitIntent = {
  puts: [],
  directories: [],
  seen: [],
  detached: [],
  blocks: [],
  records: [],
  links: [],
};

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

/** The commits that are kept, what they put since the newest checkpoint, and the nodes of its tree. */
export class CommitTable {
  readonly #database: IndexDatabase;

  constructor(database: IndexDatabase) {
    this.#database = database;
  }

  /** The newest acknowledged commit. */
  head(): Head {
    const root = this.#database.getBytes('root');
    return {
      number: this.#database.getNumber('head') ?? 0,
      sha256: this.#database.getBytes('head.sha256') ?? new Uint8Array(32),
      checkpoint: this.#database.getNumber('checkpoint') ?? 0,
      ...(root && { root: { ordinal: this.#database.getNumber('root.ordinal') ?? 0, sha256: root } }),
    };
  }

  /** Takes over the newest state of an archive into empty tables: its checkpoint and the commits after it, by rising number. */
  adopt(commits: readonly KeptCommit[], facts: readonly AdoptedFacts[]): void {
    for (const [place, { number, sha256, record }] of commits.entries()) {
      this.#database.sql('insert or replace into commits values (?, ?, ?, zeroblob(0), 1)').run(number, sha256, record);
      const { root, puts = [], time } = facts[place]!;
      if (root) this.setRoot(number, { ...root, droppedNodes: [] });
      else for (const entry of puts) this.put(entry);
      this.put({ key: commitKey(number), value: encodeCommitRow({ time, sha256 }) });
      this.#database.set('head', number);
      this.#database.set('head.sha256', sha256);
    }
  }

  /** An acknowledged commit that is still kept. */
  kept(number: number): KeptCommit | undefined {
    const row = this.#database
      .sql('select number, sha256, record from commits where number = ? and is_acknowledged = 1')
      .get(number);
    return row as KeptCommit | undefined;
  }

  /** Keeps a sealed commit before it is sent: if its answer is lost, it is taken up as it was and never sealed anew. */
  keep(commit: KeptCommit, intent: CommitIntent): void {
    const serialized = serializeIntent(intent);
    this.#database
      .sql('insert or replace into commits values (?, ?, ?, ?, 0)')
      .run(commit.number, commit.sha256, commit.record, serialized);
    release(serialized);
  }

  /** The commit that was kept and never acknowledged, if there is one. */
  unacknowledged(): KeptCommit | undefined {
    const row = this.#database
      .sql('select number, sha256, record from commits where is_acknowledged = 0 order by number')
      .get();
    return row as KeptCommit | undefined;
  }

  /** Drops a commit that no destination has: its ordinals are never used again. */
  dropUnacknowledged(): void {
    this.#database.sql('delete from commits where is_acknowledged = 0').run();
  }

  /** The acknowledged commits after this one, by rising number. */
  after(number: number): readonly KeptCommit[] {
    const rows = this.#database
      .sql('select number, sha256, record from commits where number > ? and is_acknowledged = 1 order by number')
      .all(number);
    return rows as unknown as KeptCommit[];
  }

  /** Makes a kept commit the head, and its puts known. Returns the rest of what becomes true. */
  acknowledge(number: number, kept?: CommitIntent): Truths {
    const row = this.#database.sql('select sha256 from commits where number = ?').get(number);
    const intent = kept ?? this.#intentOf(number);
    this.#database.sql('update commits set is_acknowledged = 1, intent = zeroblob(0) where number = ?').run(number);
    if (intent.root) this.setRoot(number, intent.root);
    for (const entry of intent.puts) this.put(entry);
    for (const [key, value] of intent.facts ?? []) this.#database.set(key, value);
    this.#database.set('head', number);
    this.#database.set('head.sha256', row?.['sha256'] as Uint8Array);
    return intent;
  }

  #intentOf(number: number): CommitIntent {
    const row = this.#database.sql('select intent from commits where number = ?').get(number);
    return deserializeIntent(row?.['intent'] as Uint8Array);
  }

  setRoot(number: number, root: NonNullable<CommitIntent['root']>): void {
    this.#database.set('root', root.sha256);
    this.#database.set('root.ordinal', root.ordinal);
    this.#database.set('checkpoint', number);
    this.#database.sql('delete from puts').run();
    for (const ordinal of root.droppedNodes) {
      this.#database.sql('delete from nodes where ordinal = ?').run(ordinal);
    }
    // Older ones are in the tree now; the newest of them may still be asked for by a destination that lags a little.
    this.#database.sql('delete from commits where number < ? and is_acknowledged = 1').run(number);
  }

  put({ key, value }: MapEntry): void {
    this.#database
      .sql('insert into puts values (?, ?) on conflict (key) do update set value = excluded.value')
      .run(key, value);
  }

  /** What was put since the last checkpoint, by rising key. */
  *puts(): Generator<MapEntry> {
    const rows = this.#database.sql('select key, value from puts order by key');
    for (const row of rows.iterate()) yield row as unknown as MapEntry;
  }

  putsBytes(): number {
    const sum = this.#database.sql('select coalesce(sum(length(key) + length(value)), 0) as n from puts').get();
    return (sum?.['n'] as number) ?? 0;
  }

  node(ordinal: number): Uint8Array | undefined {
    return this.#database.sql('select raw from nodes where ordinal = ?').get(ordinal)?.['raw'] as
      Uint8Array | undefined;
  }

  putNodes(nodes: ReadonlyMap<Ordinal, Uint8Array>): void {
    const put = this.#database.sql('insert or replace into nodes values (?, ?)');
    for (const [ordinal, raw] of nodes) put.run(ordinal, raw);
  }
}
