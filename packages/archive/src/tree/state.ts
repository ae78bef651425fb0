import { corrupt } from '../errors.ts';
import { compareBytes, equalBytes } from '../format/cursor.ts';
import { type Extent, isHole, parseMove, type Reference } from '../format/extent.ts';
import {
  commitKey,
  directoryStart,
  fileKey,
  filePrefix,
  moveKey,
  parseFileKey,
  parseMapKey,
  settingsKey,
} from '../format/map-key.ts';
import { parseCommitRow, parseRow, type Row, rowTypeOf } from '../format/row.ts';
import type { TimeCorrection } from '../format/commit.ts';
import { compareTimes, type Time } from '../format/time.ts';
import type { MapEntry, TreeNode } from '../format/tree-node.ts';
import { mergeEntries, Overlay } from './overlay.ts';
import { type LoadRecord, type NodeCache, TreeReader } from './tree-reader.ts';

/** What a commit adds to the state. */
export type CommitFacts = {
  readonly number: number;
  /** SHA-256 of the whole commit record. */
  readonly sha256: Uint8Array;
  readonly time: Time;
  readonly corrections: readonly TimeCorrection[];
  readonly puts: readonly MapEntry[];
};

/** A row and the commit it holds from. */
export type FoundRow = { readonly row: Row; readonly commit: number };

/** A row with its name. */
export type ListedRow = FoundRow & { readonly name: Uint8Array };

/** A directory as one came to it: its number, and since when rows in it count. */
export type DirectoryPlace = { readonly directoryNumber: number; readonly since: number };

/** What a path leads to. The root has no row. */
export type FoundPath = {
  /** The entry: its row under the parent. */
  readonly entry?: FoundRow;
  /** Of directories. */
  readonly directory?: DirectoryPlace;
  /** Of directories: their own row, with their metadata. */
  readonly own?: FoundRow;
};

/** A version of a path: what it was from one commit to before another, and the directory its row lies in. */
export type PathVersion = FoundRow & {
  readonly directoryNumber: number;
  readonly from: number;
  readonly until: number;
};

/** The root of all paths; its entries are volumes. */
export const rootDirectory: DirectoryPlace = { directoryNumber: 0, since: 0 };

const noName = new Uint8Array(0);

/**
 * The state of an archive at its head, and through it at every commit that is kept: the newest checkpoint's tree, and
 * over it the puts of the commits after it.
 *
 * Reading needs about a node a level for a name. `commit` arguments choose the moment; rows of later commits do not count.
 */
export class ArchiveState {
  readonly #tree: TreeReader;
  readonly #overlay = new Overlay();
  readonly #commits: CommitFacts[] = [];
  readonly #corrected = new Map<number, Time>();

  /** Begins with a checkpoint and its root; without them with the empty map before the first commit. */
  constructor(cache: NodeCache, start?: { readonly checkpoint: CommitFacts; readonly root: Reference }) {
    this.#tree = new TreeReader(start?.root, cache);
    if (start === undefined) return;
    this.#commits.push(start.checkpoint);
    this.#correct(start.checkpoint);
  }

  /** Takes in the next commit's puts, all at once. */
  apply(commit: CommitFacts): void {
    const last = this.#commits.at(-1)?.number ?? 0;
    if (commit.number !== last + 1) throw corrupt(`commit ${commit.number} does not follow ${last}`);
    this.#commits.push(commit);
    this.#overlay.put(commit.puts);
    this.#correct(commit);
  }

  #correct({ corrections }: CommitFacts): void {
    for (const { commit, time } of corrections) this.#corrected.set(commit, time);
  }

  /** Number of the newest commit; 0 where there is none. */
  get head(): number {
    return this.#commits.at(-1)?.number ?? 0;
  }

  /** The value of a key of the map. */
  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#overlay.get(key) ?? this.#tree.get(key);
  }

  /** The entry with the greatest key that is at most `key`. */
  async floor(key: Uint8Array): Promise<MapEntry | undefined> {
    const over = this.#overlay.floor(key);
    const under = await this.#tree.floor(key);
    if (over === undefined || under === undefined) return over ?? under;
    return compareBytes(over.key, under.key) >= 0 ? over : under;
  }

  /** The entry with the greatest commit number up to `commit` among the keys `prefix ‖ u64be`. */
  async latest(prefix: Uint8Array, commit: number): Promise<MapEntry | undefined> {
    const key = new Uint8Array(prefix.length + 8);
    key.set(prefix);
    key.set(commitKey(commit).subarray(1), prefix.length);
    const entry = await this.floor(key);
    const hasPrefix = entry?.key.length === key.length && equalBytes(entry.key.subarray(0, prefix.length), prefix);
    return hasPrefix ? entry : undefined;
  }

  /** Entries from `from` on to before `to`, by rising key. */
  range(from: Uint8Array, to?: Uint8Array): AsyncGenerator<MapEntry> {
    return mergeEntries(this.#tree.stretches(from, to), this.#overlay.range(from, to));
  }

  /** The nodes of the tree that the commits lie over, a parent before its children. */
  nodes(): AsyncGenerator<{ readonly reference: Reference; readonly node: TreeNode }> {
    return this.#tree.nodes();
  }

  /** A setting's fields. */
  setting(name: string): Promise<Uint8Array | undefined> {
    return this.get(settingsKey(name));
  }

  /** The row of a name that is in force at a commit; partial rows do not count, deletions do. */
  async rowAt(place: DirectoryPlace, name: Uint8Array, commit: number): Promise<FoundRow | undefined> {
    const prefix = filePrefix(place.directoryNumber, name);
    for (let at = commit; at >= place.since;) {
      const entry = await this.latest(prefix, at);
      if (entry === undefined) return undefined;
      const found = parseFileKey(entry.key).commit;
      if (found < place.since) return undefined;
      if (rowTypeOf(entry.value) !== 'partial') return { row: parseRow(entry.value), commit: found };
      at = found - 1;
    }
    return undefined;
  }

  /** Where the names of a path lead at a commit; undefined when nothing is there. No name is the root. */
  async lookup(names: readonly Uint8Array[], commit: number): Promise<FoundPath | undefined> {
    let directory: DirectoryPlace | undefined = rootDirectory;
    let entry: FoundRow | undefined;
    for (const name of names) {
      if (directory === undefined) return undefined;
      entry = await this.rowAt(directory, name, commit);
      if (entry === undefined || entry.row.type === 'absent') return undefined;
      directory = placeOf(entry.row);
    }
    const own = directory === undefined ? undefined : await this.rowAt(directory, noName, commit);
    return { ...(entry && { entry }), ...(directory && { directory }), ...(own && { own }) };
  }

  /** What is in a directory at a commit, by rising name. */
  async *list(place: DirectoryPlace, commit: number): AsyncGenerator<ListedRow> {
    for await (const { name, rows } of this.#names(place.directoryNumber)) {
      if (name.length === 0) continue;
      const row = rows.findLast((each) => each.commit <= commit && each.commit >= place.since && isShown(each.value));
      if (row === undefined || rowTypeOf(row.value) === 'absent') continue;
      yield { name, commit: row.commit, row: parseRow(row.value) };
    }
  }

  /** All rows of a name in a directory, by rising commit; deletions too, partial ones not. */
  async versions(directoryNumber: number, name: Uint8Array): Promise<FoundRow[]> {
    const from = fileKey(directoryNumber, name, 0);
    const versions: FoundRow[] = [];
    for await (const { key, value } of this.range(from, behind(filePrefix(directoryNumber, name)))) {
      if (isShown(value)) versions.push({ row: parseRow(value), commit: parseFileKey(key).commit });
    }
    return versions;
  }

  /** What a path was, from commit to commit, by rising commit: also across directories that were deleted, renamed or came back. */
  async history(names: readonly Uint8Array[]): Promise<PathVersion[]> {
    let spans: { place: DirectoryPlace; from: number; until: number }[] = [
      { place: rootDirectory, from: 0, until: Infinity },
    ];
    let versions: PathVersion[] = [];
    for (const name of names) {
      versions = [];
      for (const span of spans) versions.push(...(await this.#versionsIn(span, name)));
      spans = versions.flatMap(({ row, from, until }) => {
        const place = placeOf(row);
        return place === undefined ? [] : [{ place, from, until }];
      });
    }
    return joinVersions(versions);
  }

  /** The newest commit whose time is not after `time`: number order counts, time is data. */
  async commitAt(time: Time): Promise<number | undefined> {
    let newest: number | undefined;
    for await (const { number, time: made } of this.commits()) if (compareTimes(made, time) <= 0) newest = number;
    return newest;
  }

  /** The commits that are known, by rising number, with their time as corrected. */
  async *commits(): AsyncGenerator<{ readonly number: number; readonly time: Time; readonly sha256: Uint8Array }> {
    const own = new Map(this.#commits.map((commit) => [commit.number, commit]));
    for await (const { key, value } of this.range(commitKey(0), Uint8Array.of(3))) {
      const number = commitOfKey(key);
      const row = parseCommitRow(value);
      own.delete(number);
      yield { number, time: this.#corrected.get(number) ?? row.time, sha256: row.sha256 };
    }
    for (const { number, time, sha256 } of own.values()) {
      yield { number, time: this.#corrected.get(number) ?? time, sha256 };
    }
  }

  /** Where the bytes of an extent lie now. A move with another length or hash does not count. */
  async resolveExtent(extent: Extent): Promise<Extent> {
    if (isHole(extent)) return extent;
    const moved = await this.#move(extent.ordinal, extent.offset);
    return moved !== undefined && moved.length === extent.length && equalBytes(moved.sha256, extent.sha256)
      ? moved
      : extent;
  }

  /** Where a list lies now. */
  async resolveList(list: Reference): Promise<Reference> {
    const moved = await this.#move(list.ordinal, 0);
    const counts = moved !== undefined && !isHole(moved) && equalBytes(moved.sha256, list.sha256);
    return counts ? { ordinal: moved.ordinal, sha256: list.sha256 } : list;
  }

  async #move(ordinal: number, offset: number): Promise<Extent | undefined> {
    const value = await this.get(moveKey(ordinal, offset));
    return value && parseMove(value);
  }

  /** The names of a directory with all their rows, by rising name and commit. */
  async *#names(directoryNumber: number): AsyncGenerator<NamedRows> {
    let open: NamedRows | undefined;
    for await (const { key, value } of this.range(
      directoryStart(directoryNumber),
      directoryStart(directoryNumber + 1),
    )) {
      const { name, commit } = parseFileKey(key);
      if (open === undefined || !equalBytes(open.name, name)) {
        if (open !== undefined) yield open;
        open = { name, rows: [] };
      }
      open.rows.push({ commit, value });
    }
    if (open !== undefined) yield open;
  }

  async #versionsIn(
    span: { place: DirectoryPlace; from: number; until: number },
    name: Uint8Array,
  ): Promise<PathVersion[]> {
    const { directoryNumber } = span.place;
    const rows = await this.versions(directoryNumber, name);
    const counting = rows.filter(({ commit }) => commit >= span.place.since && commit < span.until);
    return counting.flatMap(({ row, commit }, index) => {
      const from = Math.max(commit, span.from);
      const until = Math.min(counting[index + 1]?.commit ?? Infinity, span.until);
      return row.type === 'absent' || from >= until ? [] : [{ row, commit, directoryNumber, from, until }];
    });
  }
}

/** Loads lists from where they lie now. */
export function listLoader(state: Pick<ArchiveState, 'resolveList'>, load: LoadRecord): LoadRecord {
  return async (list) => load(await state.resolveList(list));
}

type NamedRows = { readonly name: Uint8Array; readonly rows: { commit: number; value: Uint8Array }[] };

function isShown(value: Uint8Array): boolean {
  return rowTypeOf(value) !== 'partial';
}

/** Where a row of a directory leads; undefined for anything else. @throws archive.corrupt without a number */
export function placeOf(row: Row): DirectoryPlace | undefined {
  if (row.type !== 'directory') return undefined;
  const { directoryNumber, since = 0 } = row;
  if (directoryNumber === undefined) throw corrupt('row: a directory has no number');
  return { directoryNumber, since };
}

/** The first key that does not begin with `prefix`; prefixes here end in a zero byte. */
function behind(prefix: Uint8Array): Uint8Array {
  return prefix.with(prefix.length - 1, 1);
}

function commitOfKey(key: Uint8Array): number {
  const parsed = parseMapKey(key);
  if (parsed.space !== 'commits') throw corrupt('key: it is not of a commit');
  return parsed.commit;
}

function joinVersions(versions: readonly PathVersion[]): PathVersion[] {
  const joined: PathVersion[] = [];
  for (const version of versions) {
    const before = joined.at(-1);
    const isSame = before?.commit === version.commit && before.directoryNumber === version.directoryNumber;
    if (isSame && before.until === version.from) {
      joined[joined.length - 1] = { ...before, until: version.until };
    } else joined.push(version);
  }
  return joined;
}
