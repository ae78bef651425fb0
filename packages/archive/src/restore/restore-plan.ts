import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { type Random, systemRandom } from '@holdfast/base';
import { parseRow, type RowType, rowTypes } from '../format/row.ts';
import type { PlannedDirectory, PlannedEntry, PlannedPiece, PlanProblem, PlanSink } from './archive-reader.ts';
import { restoreErrors } from './errors.ts';
import { entryStates, planSchemaNumber, planSchemaSql } from './plan-schema.ts';

/** What a plan comes to. Directories on the way count; names of one file count each. */
export type PlanSummary = {
  readonly directories: number;
  readonly files: number;
  /** Files whose content is at most one piece of a record. */
  readonly smallFiles: number;
  readonly symlinks: number;
  readonly specials: number;
  /** Names that are one file with another. */
  readonly links: number;
  readonly totalBytes: number;
  /** Of these, what is no hole: what is to be written, or found where it belongs. */
  readonly dataBytes: number;
  /** Records to be read, at most. */
  readonly records: number;
  /** Entries that planning already found to be lost. */
  readonly damaged: number;
  readonly fuzzy: number;
};

/** One line of a plan; the path is relative to the target. */
export type PlanLine = {
  readonly path: Uint8Array;
  readonly type: RowType;
  readonly sizeBytes: number;
  readonly isLink: boolean;
  /** Of symbolic links. */
  readonly target?: Uint8Array;
  /** Of devices. */
  readonly device?: { readonly major: number; readonly minor: number };
  /** What the content is but for holes, in order, some at a time; of whatever this is one more name of, too. */
  readonly pieces: () => Iterable<readonly PlanPiece[]>;
  readonly problem?: PlanProblem;
};

/** A piece of a content: where it is in the file, and what it is. */
export type PlanPiece = { readonly position: number; readonly length: number; readonly sha256: Uint8Array };

const piecesALine = 1000;

/**
 * A plan in a SQLite file, which is also the journal of its execution: a restore that was cut short goes on from it.
 *
 * The file belongs to one restore and holds names, not contents: it lies where only the agent reads, never in the target.
 */
export class RestorePlan implements PlanSink {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  private constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /**
   * Opens the plan in a file, or begins one there. `identity` says what is restored, where to and how (any text): a plan
   * made for something else is refused. `isComplete` is false until `complete` was called: then plan into it.
   *
   * @throws restore.other_plan
   */
  static open(
    path: string,
    identity: string,
    random: Random = systemRandom,
  ): { readonly plan: RestorePlan; readonly isComplete: boolean } {
    const db = new DatabaseSync(path);
    // A plan has one user: held from the first access on, it is not locked and looked at anew for each statement.
    db.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full');
    db.exec('pragma cache_size = -16384');
    const plan = new RestorePlan(db);
    const version = db.prepare('pragma user_version').get()?.['user_version'];
    if (version === 0) {
      db.exec(`begin; ${planSchemaSql} pragma user_version = ${planSchemaNumber}; commit`);
      plan.set('identity', identity);
      plan.set('token', random(8).toHex());
    } else if (version !== planSchemaNumber || plan.get('identity') !== identity) {
      db.close();
      throw restoreErrors.other_plan();
    }
    const isComplete = plan.get('complete') === 1;
    if (!isComplete) plan.#begin();
    return { plan, isComplete };
  }

  /** The database, for the journal. */
  get database(): DatabaseSync {
    return this.#db;
  }

  close(): void {
    this.#db.close();
  }

  /** A statement, prepared once. */
  sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) this.#statements.set(text, (statement = this.#db.prepare(text)));
    return statement;
  }

  get(key: string): number | string | undefined {
    const value = this.sql('select value from meta where key = ?').get(key)?.['value'];
    return typeof value === 'number' || typeof value === 'string' ? value : undefined;
  }

  set(key: string, value: number | string): void {
    this.sql('insert into meta values (?, ?) on conflict (key) do update set value = excluded.value').run(key, value);
  }

  /** Begins the planning: nothing of it is in the file before `complete`. */
  #begin(): void {
    this.#db.exec('begin');
  }

  /** The planning is done: from now on the plan can be executed and opened again. */
  complete(): void {
    this.set('complete', 1);
    this.#db.exec('commit');
  }

  addDirectory({ parent, name, row, xattrs }: PlannedDirectory): number {
    const known = this.sql('select directory from directories where parent = ? and name = ?').get(parent, name);
    if (known) {
      const directory = known['directory'] as number;
      // The root of a volume comes after the place it is mounted at, and is what one sees there.
      if (row.length > 0) {
        this.sql('update directories set row = ?, xattrs = ? where directory = ?').run(row, xattrs, directory);
      }
      return directory;
    }
    const added = this.sql(
      `insert into directories (parent, name, row, xattrs, depth)
       select directory, ?, ?, ?, depth + 1 from directories where directory = ?`,
    ).run(name, row, xattrs, parent);
    return Number(added.lastInsertRowid);
  }

  describeRoot(row: Uint8Array, xattrs: Uint8Array): void {
    this.sql('update directories set row = ?, xattrs = ? where directory = 0').run(row, xattrs);
  }

  addEntry(entry: PlannedEntry): { readonly entry: number; readonly isLink: boolean } {
    const leader = this.#leaderOf(entry);
    const added = this.sql(
      `insert into entries (directory, name, type, row, xattrs, size, leader, link_group, link_key, is_fuzzy)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ).run(
      entry.directory,
      entry.name,
      entry.type,
      entry.row,
      entry.xattrs,
      entry.sizeBytes,
      leader ?? null,
      entry.linkGroup ?? null,
      entry.linkKey ?? null,
      entry.isFuzzy ? 1 : 0,
    );
    return { entry: Number(added.lastInsertRowid), isLink: leader !== undefined };
  }

  /** The entry that this is one more name of. One of the same group and another content is no such, and is said. */
  #leaderOf({ linkGroup, linkKey, directory, name }: PlannedEntry): number | undefined {
    if (linkGroup === undefined || linkKey === undefined) return undefined;
    const same = this.sql(
      'select entry from entries where link_group = ? and link_key = ? and leader is null order by entry limit 1',
    ).get(linkGroup, linkKey);
    if (same) return same['entry'] as number;
    const other = this.sql('select entry from entries where link_group = ? limit 1').get(linkGroup);
    if (other) this.report({ directory, name }, restoreErrors.links_differ());
    return undefined;
  }

  addPiece(entry: number, { position, extent }: PlannedPiece): void {
    this.sql('insert into pieces (ordinal, entry, position, offset, length, sha256) values (?, ?, ?, ?, ?, ?)').run(
      extent.ordinal,
      entry,
      position,
      extent.offset,
      extent.length,
      extent.sha256,
    );
    this.sql('update entries set pieces = pieces + 1 where entry = ?').run(entry);
  }

  fail(entry: number, { code, message }: PlanProblem): void {
    this.sql('delete from pieces where entry = ?').run(entry);
    this.sql('update entries set state = ?, code = ?, message = ? where entry = ?').run(
      entryStates.damaged,
      code,
      message,
      entry,
    );
  }

  report(at: { readonly directory: number; readonly name: Uint8Array }, { code, message }: PlanProblem): void {
    this.sql('insert into problems values (?, ?, ?, ?)').run(at.directory, at.name, code, message);
  }

  summary(): PlanSummary {
    const file = rowTypes.indexOf('file');
    const symlink = rowTypes.indexOf('symlink');
    const counts = this.sql(
      `select count(*) filter (where type = ${file}) as files,
         count(*) filter (where type = ${file} and pieces <= 1) as smallFiles,
         count(*) filter (where type = ${symlink}) as symlinks,
         count(*) filter (where type not in (${file}, ${symlink})) as specials,
         count(*) filter (where leader is not null) as links,
         coalesce(sum(size) filter (where leader is null), 0) as totalBytes,
         count(*) filter (where state = ${entryStates.damaged}) as damaged,
         coalesce(sum(is_fuzzy), 0) as fuzzy
       from entries`,
    ).get() as unknown as Omit<PlanSummary, 'directories' | 'records' | 'dataBytes'>;
    const directories = this.sql('select count(*) as n from directories where directory > 0').get()?.['n'] as number;
    const pieces = this.sql(
      'select count(distinct ordinal) as n, coalesce(sum(length), 0) as bytes from pieces',
    ).get()!;
    const [records, dataBytes] = [pieces['n'] as number, pieces['bytes'] as number];
    return { ...counts, directories, records, dataBytes };
  }

  /** The plan line by line: directories, then entries in the order of the archive; for a dry run. */
  *lines(): Generator<PlanLine> {
    for (const row of this.#db.prepare('select directory from directories where directory > 0').iterate()) {
      const path = this.pathOf(row['directory'] as number);
      yield { path, type: 'directory', sizeBytes: 0, isLink: false, pieces: () => [] };
    }
    const entries = this.#db.prepare(
      'select entry, directory, name, type, row, size, leader, code, message from entries',
    );
    for (const line of entries.iterate()) {
      const { entry, directory, name, type, row, size, leader, code, message } = line as unknown as EntryLine;
      const { target, device } = parseRow(row);
      yield {
        path: this.pathOf(directory, name),
        type: rowTypes[type]!,
        sizeBytes: size,
        isLink: leader !== null,
        ...(target && { target }),
        ...(device && { device }),
        pieces: () => this.#piecesOf(leader ?? entry),
        ...(code !== null && { problem: { code, message: message ?? code } }),
      };
    }
  }

  *#piecesOf(entry: number): Generator<readonly PlanPiece[]> {
    const read = this.sql(
      `select position, length, sha256 from pieces where entry = ? and position >= ? order by position limit ${piecesALine}`,
    );
    for (let from = 0; ;) {
      const pieces = read.all(entry, from) as unknown as readonly PlanPiece[];
      const last = pieces.at(-1);
      if (!last) return;
      yield pieces;
      from = last.position + 1;
    }
  }

  /** The recorded path of a directory, or of a name in it, relative to the target. */
  pathOf(directory: number, name?: Uint8Array): Uint8Array {
    const names = name === undefined || name.length === 0 ? [] : [name];
    for (let at = directory; at > 0;) {
      const row = this.sql('select parent, name from directories where directory = ?').get(at);
      if (row === undefined) break;
      names.push(row['name'] as Uint8Array);
      at = row['parent'] as number;
    }
    return joined(names.toReversed());
  }
}

type EntryLine = {
  readonly entry: number;
  readonly row: Uint8Array;
  readonly directory: number;
  readonly name: Uint8Array;
  readonly type: number;
  readonly size: number;
  readonly leader: number | null;
  readonly code: string | null;
  readonly message: string | null;
};

function joined(names: readonly Uint8Array[]): Uint8Array {
  const path = new Uint8Array(names.reduce((sum, name) => sum + name.length + 1, 0));
  let at = 0;
  for (const name of names) {
    path.set(name, at);
    path[at + name.length] = 0x2f;
    at += name.length + 1;
  }
  return path.subarray(0, Math.max(0, at - 1));
}
