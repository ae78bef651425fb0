/** What an archive holds, by the paths of the machine: listing, versions of a file, finding by name. */
import {
  compileGlob,
  contentOf,
  type DirectoryPlace,
  isFuzzy,
  listWithDeleted,
  millisecondsOf,
  namesOfPath,
  type PathVersion,
  placeOf,
  type RestoreReader,
  type Row,
  startsWith,
  timeOfMilliseconds,
  type ArchiveState,
  volumeOf,
  volumesAt,
} from '@holdfast/archive';
import { defineErrors } from '@holdfast/base';
import { setImmediate } from 'node:timers/promises';
import { type ChangedField, changedFields } from './changed-fields.ts';
import { type FindStart, startsOf } from './find-starts.ts';
import { lookUp, type SeenPath } from './look-up.ts';
import { joined, pathToText } from './path-text.ts';
import { parseTimeSpan, timeErrors } from './parse-time.ts';

const entriesATurn = 1024;

/** Failures of looking into an archive. */
export const browseErrors = defineErrors('browse', {
  not_found: ['not_found', 'Nothing of that path is in the archive at that time'],
  never_there: ['not_found', 'Nothing of that path was ever in the archive'],
  empty: ['not_found', 'Nothing was backed up yet'],
  no_pattern: ['invalid', 'A pattern to find has at least one character that is not a star'],
});

/** An entry as it is shown. Paths and names are text that leads back to their bytes. */
export type ShownEntry = {
  readonly path: string;
  readonly type: Row['type'];
  readonly sizeBytes: number | undefined;
  readonly modifiedAt: string | undefined;
  readonly mode: string | undefined;
  readonly owner: string | undefined;
  readonly isDeleted: boolean;
  readonly isFuzzy: boolean;
};

/** A version of a file: what it was from one commit until before another. */
export type ShownVersion = ShownEntry & {
  readonly commit: number;
  readonly from: string | undefined;
  readonly until: string | undefined;
  /** What differs from the version right before; left out where there is none. */
  readonly changed: readonly ChangedField[] | undefined;
};

/** A moment of the archive. */
export type Moment = { readonly commit: number; readonly at: string };

/**
 * The commit that `--at` names, the newest without it. What is later than now and than the newest commit, whose clock may
 * have been ahead, is refused: nobody means it.
 *
 * @throws time.invalid, time.before_first, time.future, browse.empty
 */
export async function momentAt(state: ArchiveState, at: string | undefined, nowMs: number): Promise<Moment> {
  if (state.head === 0) throw browseErrors.empty();
  const span = at === undefined ? undefined : parseTimeSpan(at, nowMs);
  const commit = span === undefined ? state.head : await state.commitAt(timeOfMilliseconds(span.untilMs));
  if (commit === undefined) throw timeErrors.before_first({ field: 'at', at });
  const times = await timesOf(state, new Set([commit, state.head]));
  const newestMs = Date.parse(times.get(state.head) ?? '') || 0;
  const isFuture = span !== undefined && span.fromMs > Math.max(nowMs, newestMs);
  if (isFuture) throw timeErrors.future({ field: 'at', at, now: new Date(nowMs).toISOString() });
  return { commit, at: times.get(commit) ?? '' };
}

/** What is at a path, one after the other: the entries of a folder, or the entry itself. @throws browse.not_found */
export async function* listPath(
  reader: RestoreReader,
  path: Uint8Array,
  options: { readonly commit: number; readonly deleted: boolean },
): AsyncGenerator<ShownEntry> {
  const names = namesOfPath(path);
  const volumes = await volumesAt(reader, options.commit);
  const below = volumes.flatMap(({ mountNames }) =>
    mountNames.length > names.length && startsWith(mountNames, names) ? [mountNames[names.length]!] : [],
  );
  const mounted = new Map(below.map((name) => stepOf(name, path)).map((step) => [step.path, step]));
  const held = volumeOf(volumes, names);
  const seen = held && (await lookUp(reader, [held.volume.identifier, ...held.below], options));
  if (!seen && mounted.size === 0) throw browseErrors.not_found({ path: pathToText(path) });
  const entry = seen?.found.entry;
  if (seen && entry && !seen.found.directory) {
    yield { ...shown(entry.row, path), isDeleted: seen.isDeleted };
    return;
  }
  if (seen) {
    for await (const listed of listSeen(reader, { ...seen, path }, options)) {
      mounted.delete(listed.path);
      yield listed;
    }
  }
  yield* mounted.values();
}

async function* listSeen(
  reader: RestoreReader,
  { found, ...seen }: SeenPath & { readonly path: Uint8Array },
  options: { readonly deleted: boolean },
): AsyncGenerator<ShownEntry> {
  if (!found.directory) return;
  for await (const item of entriesIn(reader, { place: found.directory, ...seen }, options)) {
    const own = item.place && (await reader.rowAt(item.place, noName, item.seenAt))?.row;
    yield { ...shown(own ?? item.row, item.path), type: item.row.type, isDeleted: item.isDeleted };
  }
}

type Folder = {
  readonly place: DirectoryPlace;
  readonly path: Uint8Array;
  /** The commit it is read at. */
  readonly seenAt: number;
  readonly isDeleted: boolean;
};
type Item = Omit<Folder, 'place'> & {
  readonly name: Uint8Array;
  readonly row: Row;
  readonly place: DirectoryPlace | undefined;
};

const noName = new Uint8Array();

/** The entries of a folder; what is in a deleted one is deleted. */
async function* entriesIn(
  reader: RestoreReader,
  { place, path, seenAt, isDeleted }: Folder,
  { deleted }: { readonly deleted: boolean },
): AsyncGenerator<Item> {
  const itemOf = (name: Uint8Array, row: Row) => ({ name, row, path: joined(path, name), place: placeOf(row) });
  if (!deleted) {
    for await (const { name, row } of reader.list(place, seenAt)) yield { ...itemOf(name, row), seenAt, isDeleted };
    return;
  }
  for await (const last of listWithDeleted(reader, place, seenAt)) {
    yield { ...itemOf(last.name, last.row), seenAt: last.commit, isDeleted: isDeleted || last.isDeleted };
  }
}

/** All versions of a path, oldest first. @throws browse.never_there */
export async function versionsOf(
  state: ArchiveState,
  reader: RestoreReader,
  path: Uint8Array,
): Promise<ShownVersion[]> {
  const names = namesOfPath(path);
  const volumes = state.head === 0 ? [] : await volumesAt(reader, state.head);
  const held = volumeOf(volumes, names);
  const history = held ? await reader.history([held.volume.identifier, ...held.below]) : [];
  if (history.length === 0) throw browseErrors.never_there({ path: pathToText(path) });
  const commits = new Set(history.flatMap(({ from, until }) => [from, until]));
  const times = await timesOf(state, commits);
  return distinct(history).map(({ row, commit, from, until, changed }) => {
    return { ...shown(row, path), commit, from: times.get(from), until: times.get(until), changed };
  });
}

type Distinct = PathVersion & { readonly changed: readonly ChangedField[] | undefined };

/**
 * The versions that differ in something. One that was recorded anew, since a pass was cut short or what it referred to had
 * to be stored again, goes on with the one before. One that was there several times, as its folder was, is as it was last.
 */
function distinct(history: readonly PathVersion[]): readonly Distinct[] {
  const versions: Distinct[] = [];
  const nameOf = ({ commit, directoryNumber }: PathVersion) => `${commit} ${directoryNumber}`;
  const last = new Map(history.map((version) => [nameOf(version), version]));
  for (const version of history) {
    if (last.get(nameOf(version)) !== version) continue;
    const before = versions.at(-1);
    const changed = before?.until === version.from ? changedFields(before.row, version.row) : undefined;
    if (before && changed?.length === 0) versions[versions.length - 1] = { ...before, until: version.until };
    else versions.push({ ...version, changed });
  }
  return versions;
}

/** What to find, and for whom. */
export type FindOptions = {
  readonly commit: number;
  /** Also what was deleted before, as it was last. */
  readonly deleted: boolean;
  readonly signal: AbortSignal;
  /** A folder to begin at besides the roots: the caller's own, which those above may not list. */
  readonly home?: Uint8Array | undefined;
};

/**
 * Every entry whose name (or whole path, where the pattern has a slash) fits a pattern of `*` and `?`.
 *
 * Names are learnt by listing folders, which takes the right to list them; a folder that the pattern itself names, or
 * `home`, takes the right to pass through those above it only, as on the machine itself.
 */
export async function* findEntries(
  reader: RestoreReader,
  pattern: string,
  options: FindOptions,
): AsyncGenerator<ShownEntry> {
  if (!/[^*]/.test(pattern)) throw browseErrors.no_pattern({ field: 'pattern' });
  const matches = matcherOf(pattern);
  const { starts, exact } = await startsOf(reader, pattern, options);
  if (exact) yield { ...shown(exact.row, exact.path), type: exact.type, isDeleted: exact.isDeleted };
  for await (const { name, path, row, place, seenAt, isDeleted } of everything(reader, starts, options)) {
    if (!matches(path, name)) continue;
    const own = place && (await reader.rowAt(place, noName, seenAt))?.row;
    yield { ...shown(own ?? row, path), type: row.type, isDeleted };
  }
}

/**
 * All entries below some folders; those of a directory once, however often the archive holds it. Deleted folders come
 * last: one that was only renamed is entered by the name it has.
 */
async function* everything(
  reader: RestoreReader,
  starts: readonly FindStart[],
  options: FindOptions,
): AsyncGenerator<Item> {
  const open: Folder[] = [];
  const openDeleted: Folder[] = [];
  const add = (folder: Folder) => (folder.isDeleted ? openDeleted : open).push(folder);
  for (const start of starts) add(start);
  const entered = new Set<number>();
  let looked = 0;
  for (let at = open.pop() ?? openDeleted.pop(); at; at = open.pop() ?? openDeleted.pop()) {
    options.signal.throwIfAborted();
    if (entered.has(at.place.directoryNumber)) continue;
    entered.add(at.place.directoryNumber);
    for await (const item of entriesIn(reader, at, options)) {
      // What is at hand is read without waiting, and others ask the agent as well.
      if (++looked % entriesATurn === 0) await setImmediate();
      yield item;
      const { place, path, seenAt, isDeleted } = item;
      if (place) add({ place, path, seenAt, isDeleted });
    }
  }
}

function matcherOf(pattern: string): (path: Uint8Array, name: Uint8Array) => boolean {
  if (!pattern.includes('/')) {
    const matches = compileGlob(pattern);
    return (_, name) => matches(name);
  }
  return compileGlob(pattern.startsWith('/') ? pattern : `**/${pattern}`);
}

/** A folder on the way to where a volume is mounted: the archive has nothing of it but the name. */
function stepOf(name: Uint8Array, parent: Uint8Array): ShownEntry {
  return { ...shown({ type: 'directory' }, joined(parent, name)) };
}

function shown(row: Row, path: Uint8Array): ShownEntry {
  const { modifiedAt, mode, userName, uid } = row;
  const sizeBytes = row.type === 'file' ? (contentOf(row)?.size ?? 0) : undefined;
  return {
    path: pathToText(path),
    type: row.type,
    sizeBytes,
    modifiedAt: modifiedAt && new Date(millisecondsOf(modifiedAt)).toISOString(),
    mode: mode?.toString(8).padStart(4, '0'),
    owner: userName ? pathToText(userName) : uid?.toString(),
    isDeleted: false,
    isFuzzy: isFuzzy(row),
  };
}

async function timesOf(state: ArchiveState, wanted: ReadonlySet<number>): Promise<Map<number, string>> {
  const times = new Map<number, string>();
  for await (const { number, time } of state.commits()) {
    if (wanted.has(number)) times.set(number, new Date(millisecondsOf(time)).toISOString());
  }
  return times;
}
