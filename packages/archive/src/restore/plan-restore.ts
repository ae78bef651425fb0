/**
 * What a restore will do, made from names and rows alone, before anything is read or written.
 *
 * The plan goes into a sink entry by entry, so memory does not depend on how much is restored. A part of the archive
 * that cannot be read costs what it holds and is reported; a destination that cannot be reached ends the planning.
 */
import { CodedError } from '@holdfast/base';
import { equalBytes } from '../format/cursor.ts';
import { contentOf, encodeRow, isFuzzy, type Row, rowTypes } from '../format/row.ts';
import { type DirectoryPlace, placeOf } from '../tree/state.ts';
import type { PlanProblem, PlanSink, RestoreReader } from './archive-reader.ts';
import { restoreErrors } from './errors.ts';
import { listWithDeleted } from './list-deleted.ts';
import { type ContentTools, piecesOf, xattrsOf } from './plan-content.ts';
import { type MountedVolume, namesOfPath, startsWith, volumeOf, volumesAt } from './plan-paths.ts';
import { restoredName } from './restored-name.ts';

/** What is to be restored. */
export type RestoreRequest = {
  /** Absolute paths on the machine that was backed up, as bytes; `/` is everything. */
  readonly paths: readonly Uint8Array[];
  /** As it was at this commit. */
  readonly commit: number;
  /** Also what was deleted before, as it was last. */
  readonly deleted: boolean;
  /**
   * Where it goes below the target: `names` puts each path there under its last name, `paths` under its whole path,
   * `contents` what is in a directory right into the target.
   */
  readonly layout: 'names' | 'paths' | 'contents';
};

type Planning = {
  readonly reader: RestoreReader;
  readonly tools: ContentTools;
  readonly request: RestoreRequest;
  readonly sink: PlanSink;
  readonly signal: AbortSignal | undefined;
  readonly volumes: readonly MountedVolume[];
  /** Entries since others had their turn. */
  planned: number;
  /** Directories of the path under way, with the moment they are read at: an archive may hold one in itself. */
  readonly entered: Set<string>;
};

const entriesATurn = 1024;

/**
 * Plans a restore into `sink`.
 *
 * @throws restore.not_found when a path was never there, restore.invalid_path, restore.invalid_commit
 */
export async function planRestore(
  tools: ContentTools,
  request: RestoreRequest,
  sink: PlanSink,
  signal?: AbortSignal,
): Promise<void> {
  const { reader } = tools;
  if (request.commit < 1 || request.commit > reader.head) throw restoreErrors.invalid_commit({ field: 'commit' });
  const volumes = await volumesAt(reader, request.commit);
  const used: Uint8Array[] = [];
  for (const names of distinctPaths(request)) {
    const start = targetNames(request, names, used);
    const planning = { reader, tools, request, sink, signal, volumes, planned: 0, entered: new Set<string>() };
    await planPath(planning, { names, start });
  }
}

/** Each path once; where they keep their places, what lies in another one comes with that. */
function distinctPaths({ paths, layout }: RestoreRequest): Uint8Array[][] {
  const all = paths.map(namesOfPath);
  return all.filter((names, index) =>
    all.every((other, at) => {
      if (at === index || !startsWith(names, other)) return true;
      const isSame = other.length === names.length;
      return isSame ? at > index : layout !== 'paths';
    }),
  );
}

async function planPath(
  planning: Planning,
  { names, start }: { readonly names: readonly Uint8Array[]; readonly start: readonly Uint8Array[] },
): Promise<void> {
  const { request, volumes } = planning;
  const home = volumeOf(volumes, names);
  const found = home && (await findEntry(planning, [home.volume.identifier, ...home.below]));
  if (found) await planFound(planning, found, start);
  const below = volumes.filter(
    (volume) =>
      volume !== home?.volume && volume.mountNames.length > names.length && startsWith(volume.mountNames, names),
  );
  if (!found && below.length === 0) throw restoreErrors.not_found();
  for (const volume of below) {
    const target = [...start, ...volume.mountNames.slice(names.length)];
    if (!enters(planning, volume.place, { directory: 0, name: volume.identifier, commit: request.commit })) continue;
    const own = await planning.reader.rowAt(volume.place, new Uint8Array(0), request.commit);
    const directory = await addDirectories(planning, target, own?.row);
    await planDirectory(planning, volume.place, { directory, commit: request.commit });
  }
}

/** Two paths of one last name get different ones, whatever the policy for conflicts is. */
function targetNames({ layout }: RestoreRequest, names: readonly Uint8Array[], used: Uint8Array[]): Uint8Array[] {
  const last = names.at(-1);
  if (layout === 'paths') return [...names];
  if (layout === 'contents' || last === undefined) return [];
  let name = last;
  for (let attempt = 1; used.some((other) => equalBytes(other, name)); attempt++) name = restoredName(last, attempt);
  used.push(name);
  return [name];
}

/** Something to restore: its row, and the moment from which what is in it is taken. */
type Found = { readonly row?: Row; readonly place?: DirectoryPlace; readonly own?: Row; readonly commit: number };

async function findEntry(planning: Planning, names: readonly Uint8Array[]): Promise<Found | undefined> {
  const { reader, request } = planning;
  const found = await lookup(reader, names, request.commit);
  if (found || !request.deleted) return found;
  const versions = await reader.history(names);
  const last = versions.findLast(({ from }) => from <= request.commit);
  return last && lookup(reader, names, last.until - 1);
}

async function lookup(reader: RestoreReader, names: readonly Uint8Array[], commit: number): Promise<Found | undefined> {
  const found = await reader.lookup(names, commit);
  if (!found) return undefined;
  const { entry, directory, own } = found;
  return {
    ...(entry && { row: entry.row }),
    ...(directory && { place: directory }),
    ...(own && { own: own.row }),
    commit,
  };
}

async function planFound(planning: Planning, found: Found, start: readonly Uint8Array[]): Promise<void> {
  const { request, sink } = planning;
  if (found.place) {
    enters(planning, found.place, { directory: 0, name: noName, commit: found.commit });
    const directory = await addDirectories(planning, start, found.own);
    if (start.length === 0 && found.own) {
      sink.describeRoot(
        strippedRow(found.own),
        await xattrsOrReport(planning, found.own, { directory: 0, name: noName }),
      );
    }
    await planDirectory(planning, found.place, { directory, commit: found.commit });
    return;
  }
  if (request.layout === 'contents') throw restoreErrors.invalid_path({ field: 'path', reason: 'it is no folder' });
  const directory = await addDirectories(planning, start.slice(0, -1), undefined);
  await planEntry(planning, directory, start.at(-1)!, found.row!);
}

const noName = new Uint8Array(0);

/** Plans the directories of a target path. Those on the way have metadata where they keep their whole paths. */
async function addDirectories(planning: Planning, names: readonly Uint8Array[], own: Row | undefined): Promise<number> {
  let parent = 0;
  for (const [index, name] of names.entries()) {
    const isLast = index === names.length - 1;
    const row = isLast && own ? own : await rowOnTheWay(planning, names.slice(0, index + 1));
    parent = await addDirectory(planning, parent, name, row);
  }
  return parent;
}

async function rowOnTheWay({ reader, request, volumes }: Planning, names: readonly Uint8Array[]) {
  const home = request.layout === 'paths' ? volumeOf(volumes, names) : undefined;
  if (home === undefined) return undefined;
  return (await reader.lookup([home.volume.identifier, ...home.below], request.commit))?.own?.row;
}

async function addDirectory(planning: Planning, parent: number, name: Uint8Array, own: Row | undefined) {
  const xattrs = own ? await xattrsOrReport(planning, own, { directory: parent, name }) : noName;
  return planning.sink.addDirectory({ parent, name, row: own ? strippedRow(own) : noName, xattrs });
}

async function planDirectory(
  planning: Planning,
  place: DirectoryPlace,
  { directory, commit }: { readonly directory: number; readonly commit: number },
): Promise<void> {
  const { reader, request, signal, sink } = planning;
  try {
    const entries = request.deleted ? listWithDeleted(reader, place, commit) : listAt(reader, place, commit);
    for await (const entry of entries) {
      await giveWay(planning);
      if (signal?.aborted) throw restoreErrors.stopped();
      await planChild(planning, directory, entry);
    }
  } catch (error) {
    sink.report({ directory, name: noName }, problemOf(error));
  }
}

async function* listAt(reader: RestoreReader, place: DirectoryPlace, commit: number) {
  for await (const { name, row } of reader.list(place, commit)) yield { name, row, commit };
}

async function planChild(
  planning: Planning,
  directory: number,
  { name, row, commit }: { readonly name: Uint8Array; readonly row: Row; readonly commit: number },
): Promise<void> {
  const place = placeOf(row);
  if (place === undefined) return planEntry(planning, directory, name, row);
  if (!enters(planning, place, { directory, name, commit })) return;
  let own: Row | undefined;
  try {
    own = (await planning.reader.rowAt(place, noName, commit))?.row;
  } catch (error) {
    planning.sink.report({ directory, name }, problemOf(error));
  }
  const number = await addDirectory(planning, directory, name, own);
  await planDirectory(planning, place, { directory: number, commit });
}

/** Whether a directory comes up for the first time; a second time is reported, and what is in it is planned once. */
function enters(
  { entered, sink }: Planning,
  { directoryNumber }: DirectoryPlace,
  { directory, name, commit }: { readonly directory: number; readonly name: Uint8Array; readonly commit: number },
): boolean {
  const key = `${directoryNumber} ${commit}`;
  if (entered.has(key)) {
    const { code, message } = restoreErrors.directory_twice();
    sink.report({ directory, name }, { code, message });
    return false;
  }
  entered.add(key);
  return true;
}

/** What is at hand is read without waiting: so that a million entries do not stop everything else, others get their turn. */
async function giveWay(planning: Planning): Promise<void> {
  if (++planning.planned % entriesATurn === 0) await new Promise((resolve) => setTimeout(resolve, 0));
}

async function planEntry(planning: Planning, directory: number, name: Uint8Array, row: Row): Promise<void> {
  const { sink, tools } = planning;
  const content = row.type === 'file' ? contentOf(row) : undefined;
  const { entry, isLink } = sink.addEntry({
    directory,
    name,
    type: rowTypes.indexOf(row.type),
    row: strippedRow(row),
    xattrs: await xattrsOrReport(planning, row, { directory, name }),
    sizeBytes: content?.size ?? 0,
    ...(row.linkGroup !== undefined && { linkGroup: row.linkGroup, linkKey: linkKeyOf(row) }),
    isFuzzy: isFuzzy(row),
  });
  if (content === undefined || isLink) return;
  try {
    for await (const piece of piecesOf(tools, content)) sink.addPiece(entry, piece);
  } catch (error) {
    sink.fail(entry, problemOf(error));
  }
}

async function xattrsOrReport(
  { tools, sink }: Planning,
  row: Row,
  at: { readonly directory: number; readonly name: Uint8Array },
): Promise<Uint8Array> {
  try {
    return await xattrsOf(tools, row);
  } catch (error) {
    const cause = problemOf(error);
    const { code, message } = restoreErrors.attributes_damaged();
    sink.report(at, { code, message: `${message}: ${cause.message}` });
    return noName;
  }
}

/** What a worker needs of a row: all but contents. */
function strippedRow(row: Row): Uint8Array {
  const { type, mode, uid, gid, modifiedAt, device, target } = row;
  return encodeRow({
    type,
    ...(mode !== undefined && { mode }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(modifiedAt && { modifiedAt }),
    ...(device && { device }),
    ...(target && { target }),
  });
}

/** Equal for names that may be one file: the type, and hash and length of the content or the target. */
function linkKeyOf(row: Row): Uint8Array {
  const content = contentOf(row);
  const hash = content?.contentHash ?? content?.extents?.[0]?.sha256 ?? row.target ?? noName;
  const key = new Uint8Array(9 + hash.length);
  key[0] = rowTypes.indexOf(row.type);
  new DataView(key.buffer).setFloat64(1, content?.size ?? 0);
  key.set(hash, 9);
  return key;
}

/** What costs only what it concerns; everything else ends the planning. */
function problemOf(error: unknown): PlanProblem {
  const isLocal = error instanceof CodedError && (error.kind === 'corrupt' || error.code === 'archive.record_missing');
  if (!isLocal) throw error;
  return { code: error.code, message: error.message };
}
