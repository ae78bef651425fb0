import { createHash, hash } from 'node:crypto';

import { assert } from '@holdfast/base';

import { joinBytes } from '../format/cursor.ts';
import { contentHashOf, type Extent, holesOf, isHole, lengthOfExtents } from '../format/extent.ts';
import type { ListBuilder } from '../format/list.ts';
import { fileKey } from '../format/map-key.ts';
import { encodeRow, isFuzzy, type Row } from '../format/row.ts';
import type { StreamKind, StreamRef } from '../format/stream.ts';
import type { Time } from '../format/time.ts';
import type { MapEntry } from '../format/tree-node.ts';
import { encodeXattrs, type Xattr } from '../format/xattrs.ts';
import type { ArchiveMaker, CommitPlan, MadeCommit } from './archive-maker.ts';

/** A piece of a content: bytes to store, or the length of a hole. */
export type Piece = Uint8Array | number;

/** A stream that was stored and what it holds. */
export type StoredStream = { readonly stream: StreamRef; readonly pieces: readonly Piece[] };

/** What is said about an entry in `expected.json`; times and numbers as JSON has them. */
export type ExpectedEntry = Readonly<Record<string, unknown>> & { readonly path: string };

type Leaf = { readonly row: Row; readonly streams: readonly StoredStream[]; readonly xattrs: readonly Xattr[] };
type Folder = {
  readonly number: number;
  readonly since: number;
  readonly own: Row;
  readonly xattrs: readonly Xattr[];
  readonly children: Map<string, Leaf | Folder>;
};

/** Names of a path as bytes; the text is latin-1, so that any byte can be written. */
export const namesOf = (path: string): Uint8Array[] => path.split('/').map((name) => Buffer.from(name, 'latin1'));

const nothing = new Uint8Array(0);
const isFolder = (entry: Leaf | Folder | undefined): entry is Folder => entry !== undefined && 'children' in entry;

/**
 * Puts files and directories into an archive being made, and keeps beside it, as plain values, what a reader must find
 * at each commit: the archive's reader has no part in that.
 */
export class GoldenScene {
  readonly maker: ArchiveMaker;
  readonly instants: { readonly commit: MadeCommit; readonly entries: readonly ExpectedEntry[] }[] = [];
  readonly #root: Folder = { number: 0, since: 0, own: { type: 'directory' }, xattrs: [], children: new Map() };
  #puts: MapEntry[] = [];
  #directories = 0;

  constructor(maker: ArchiveMaker) {
    this.maker = maker;
  }

  /** Number of the commit that is being gathered. */
  get commitNumber(): number {
    return (this.maker.commits.at(-1)?.number ?? 0) + 1;
  }

  /** Puts a directory; `own` is its metadata. */
  directory(path: string, own: Partial<Row>, xattrs: readonly Xattr[] = []): void {
    const number = this.maker.writer * 2 ** 32 + ++this.#directories;
    const since = this.commitNumber;
    this.#place(path, { number, since, own: { ...own, type: 'directory' }, xattrs, children: new Map() });
  }

  /** Puts anything but a directory. `kept` says what its streams hold. */
  entry(path: string, row: Row, kept: Partial<Pick<Leaf, 'streams' | 'xattrs'>> = {}): void {
    this.#place(path, { row, streams: kept.streams ?? [], xattrs: kept.xattrs ?? [] });
  }

  /** Puts a deletion. */
  remove(path: string, absence: 'gone' | 'unselected' = 'gone'): Leaf | Folder {
    const { folder, name } = this.#parentOf(path);
    const entry = folder.children.get(name);
    assert(entry !== undefined, 'what is removed is there');
    folder.children.delete(name);
    this.put(folder.number, Buffer.from(name, 'latin1'), { type: 'absent', absence });
    return entry;
  }

  /** Moves an entry to another path: three rows for a directory, whatever is in it. */
  rename(from: string, to: string): void {
    this.#place(to, this.remove(from));
  }

  /** Brings a removed directory back to its place, empty: the same number, a new since. */
  bringBack(path: string, removed: Leaf | Folder): void {
    assert(isFolder(removed), 'a directory comes back');
    this.#place(path, { ...removed, since: this.commitNumber, children: new Map() });
  }

  /** Puts a row that no listing shows, as it is. */
  put(directoryNumber: number, name: Uint8Array, row: Row): void {
    this.#puts.push({ key: fileKey(directoryNumber, name, this.commitNumber), value: encodeRow(row) });
  }

  /** Puts any entry of the map. */
  putEntry(entry: MapEntry): void {
    this.#puts.push(entry);
  }

  /** Forgets what was put since the last commit. */
  dropPuts(): void {
    this.#puts = [];
  }

  /** Number of the directory at a path. */
  numberOf(path: string): number {
    const { folder, name } = this.#parentOf(path);
    const entry = folder.children.get(name);
    assert(isFolder(entry), 'a directory is there');
    return entry.number;
  }

  /** Commits what was put, and keeps what there is now. */
  async commit(plan: Omit<CommitPlan, 'puts'>): Promise<MadeCommit> {
    const puts = this.#puts;
    this.#puts = [];
    const commit = await this.maker.commit({ ...plan, puts });
    if (plan.writer === undefined) this.instants.push({ commit, entries: this.#list() });
    return commit;
  }

  #place(path: string, entry: Leaf | Folder): void {
    const { folder, name } = this.#parentOf(path);
    const nameBytes = Buffer.from(name, 'latin1');
    folder.children.set(name, entry);
    if (!isFolder(entry)) return this.put(folder.number, nameBytes, entry.row);
    const place = { directoryNumber: entry.number, since: entry.since };
    const { sets } = entry.own;
    this.put(folder.number, nameBytes, { type: 'directory', ...(sets && { sets }), ...place });
    const parent = { directoryNumber: folder.number, name: nameBytes };
    this.put(entry.number, nothing, { ...entry.own, ...place, parent });
  }

  #parentOf(path: string): { folder: Folder; name: string } {
    const names = path.split('/');
    let folder = this.#root;
    for (const name of names.slice(0, -1)) {
      const child = folder.children.get(name);
      assert(isFolder(child), `${name} is a directory`);
      folder = child;
    }
    return { folder, name: names.at(-1) ?? '' };
  }

  #list(): ExpectedEntry[] {
    const entries: ExpectedEntry[] = [];
    const walk = (folder: Folder, path: string): void => {
      for (const [name, entry] of [...folder.children].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
        const here = path + escapeName(name);
        entries.push(isFolder(entry) ? expectFolder(here, entry) : expectLeaf(here, entry));
        if (isFolder(entry)) walk(entry, `${here}/`);
      }
    };
    walk(this.#root, '');
    return entries;
  }
}

/** Stores pieces in order and gives their extents: bytes in a record each, or all in one bundle. */
export function storePieces(maker: ArchiveMaker, pieces: readonly Piece[], kind: 'block' | 'bundle'): Extent[] {
  const bytesOf = pieces.filter((piece) => typeof piece !== 'number');
  const bundle = kind === 'bundle' ? maker.store('bundle', joinBytes(...bytesOf)) : undefined;
  let offset = 0;
  return pieces.flatMap((piece) => {
    if (typeof piece === 'number') return holesOf(piece);
    const { ordinal } = bundle ?? maker.store('block', piece);
    const extent = { ordinal, offset, length: piece.length, sha256: hash('sha256', piece, 'buffer') };
    if (bundle !== undefined) offset += piece.length;
    return [extent];
  });
}

/** A stream in the row with these extents; `pieces` is what they hold. */
export function streamOf(kind: StreamKind, extents: readonly Extent[], pieces: readonly Piece[]): StoredStream {
  const size = lengthOfExtents(extents);
  const isPlain = extents.length === 0 || (extents.length === 1 && !isHole(extents[0]!));
  const contentHash = isPlain ? {} : { contentHash: contentHashOf(extents, () => createHash('sha256')) };
  return { stream: { kind, size, ...(size > 0 && { extents }), ...contentHash }, pieces };
}

/** A stream whose extents lie in lists that the builder made. */
export function listedStreamOf(
  extents: readonly Extent[],
  pieces: readonly Piece[],
  list: ReturnType<ListBuilder['finish']>,
): StoredStream {
  const contentHash = contentHashOf(extents, () => createHash('sha256'));
  return { stream: { kind: 'content', size: lengthOfExtents(extents), list, contentHash }, pieces };
}

/** Extended attributes in the row. */
export function inlineXattrs(xattrs: readonly Xattr[]): StoredStream {
  const bytes = encodeXattrs(xattrs);
  return { stream: { kind: 'xattrs', size: bytes.length, bytes }, pieces: [bytes] };
}

/** A file's row fields of streams, and what is expected of them. */
export function streamsOf(...streams: StoredStream[]): { row: Pick<Row, 'streams'>; kept: Pick<Leaf, 'streams'> } {
  return { row: { streams: streams.map(({ stream }) => stream) }, kept: { streams } };
}

function expectFolder(path: string, { own, xattrs }: Folder): ExpectedEntry {
  return { path, type: 'directory', ...expectMetadata(own), ...expectXattrs(xattrs) };
}

function expectLeaf(path: string, { row, streams, xattrs }: Leaf): ExpectedEntry {
  const content = streams.find(({ stream }) => stream.kind === 'content');
  const others = streams.filter(({ stream }) => stream.kind !== 'content' && stream.kind !== 'xattrs');
  const { device, linkGroup, target } = row;
  return {
    path,
    type: row.type,
    ...expectMetadata(row),
    ...(row.type === 'file' && expectContent(content)),
    ...(others.length > 0 && {
      streams: others.map(({ stream, pieces }) => ({
        kind: stream.kind,
        name: escapeName(Buffer.from(stream.name ?? nothing).toString('latin1')),
        ...expectContent({ stream, pieces }),
      })),
    }),
    ...(target && { target: escapeName(Buffer.from(target).toString('latin1')) }),
    ...(device && { device: [device.major, device.minor] }),
    ...(linkGroup !== undefined && { linkGroup }),
    ...(isFuzzy(row) && { fuzzy: true }),
    ...expectXattrs(xattrs),
  };
}

function expectMetadata(row: Row): Readonly<Record<string, unknown>> {
  const text = (bytes: Uint8Array) => escapeName(Buffer.from(bytes).toString('latin1'));
  return {
    ...(row.mode !== undefined && { mode: row.mode.toString(8).padStart(4, '0') }),
    ...(row.uid !== undefined && { uid: row.uid }),
    ...(row.gid !== undefined && { gid: row.gid }),
    ...(row.userName && { user: text(row.userName) }),
    ...(row.groupName && { group: text(row.groupName) }),
    ...(row.modifiedAt && { modifiedAt: expectTime(row.modifiedAt) }),
    ...(row.changedAt && { changedAt: expectTime(row.changedAt) }),
    ...(row.bornAt && { bornAt: expectTime(row.bornAt) }),
    ...(row.sets && { sets: row.sets }),
    ...(row.mountPoint && { mountPoint: text(row.mountPoint) }),
  };
}

/** Whole seconds and nanoseconds, as a pair. */
export function expectTime(time: Time): [number, number] {
  return [time.seconds, time.nanoseconds];
}

function expectXattrs(xattrs: readonly Xattr[]): Readonly<Record<string, unknown>> {
  if (xattrs.length === 0) return {};
  const pairs = xattrs.map(({ name, value }) => [
    Buffer.from(name).toString('latin1'),
    Buffer.from(value).toString('hex'),
  ]);
  return { xattrs: Object.fromEntries(pairs) };
}

/** Hashing more than this takes too long for a test: there only the content hash is expected. */
const hashedBelowBytes = 2 ** 30;

function expectContent(stored: StoredStream | undefined): Readonly<Record<string, unknown>> {
  const pieces = stored?.pieces ?? [];
  const size = pieces.reduce<number>((sum, piece) => sum + (typeof piece === 'number' ? piece : piece.length), 0);
  if (size >= hashedBelowBytes) return { size };
  const sha256 = createHash('sha256');
  for (const piece of pieces) sha256.update(typeof piece === 'number' ? new Uint8Array(piece) : piece);
  return { size, sha256: sha256.digest('hex') };
}

/** A name as text that can be turned back: `%XX` for `%` and for every byte that is not printable ASCII. */
export function escapeName(latin1: string): string {
  return latin1.replaceAll(
    /[^ -$&-~]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`,
  );
}
