/**
 * The local index from nothing but the archive and the files that are there: what was stored is not read again.
 *
 * Walks all rows for where bytes lie, then the directories in force beside the file system: an entry whose size and times
 * are those of its row is taken as known. All else the next whole pass looks at, and finds its bytes among the known ones.
 */
import { CodedError } from '@holdfast/base';
import { bundledBelowBytes } from '../backup/content-store.ts';
import { digestOf } from '../backup/make-row.ts';
import { mountedRoot, withPlace } from '../backup/open-place.ts';
import { DirectoryPacker } from '../backup/packed-directory.ts';
import { birthOf } from '../backup/pass-directories.ts';
import { ownersOf, setsDigestOf } from '../backup/set-list.ts';
import { emptySourceAttributes, type Source, type SourceAttributes } from '../backup/source.ts';
import type { DirectoryPlace as MachinePlace, MountedRoot } from '../backup/messages.ts';
import { directoryStart, parseFileKey } from '../format/map-key.ts';
import { contentOf, encodeRow, isFuzzy, parseRow, type Row } from '../format/row.ts';
import { compareTimes, type Time } from '../format/time.ts';
import { type Extent, isHole } from '../format/extent.ts';
import type { OpenKeys } from '../format/seal.node.ts';
import { type ArchiveState, type DirectoryPlace, listLoader, placeOf, rootDirectory } from '../tree/state.ts';
import type { LoadRecord } from '../tree/tree-reader.ts';
import { type OwnedRecords, packedBlockBytes } from './block-table.ts';
import { type KeptCommit, noIntent } from './commit-table.ts';
import type { LocalIndex } from './local-index.ts';
import { factsOf, readState } from './read-state.ts';
import { streamExtents } from './stream-extents.ts';

/** What rebuilding needs. */
export type RebuildRequest = {
  /** Emptied first. */
  readonly index: LocalIndex;
  readonly keys: OpenKeys;
  /** From the newest checkpoint to the head, by rising number; empty for an archive without commits. */
  readonly commits: readonly KeptCommit[];
  readonly load: LoadRecord;
  readonly source: Source;
  readonly signal?: AbortSignal;
  readonly onProgress?: (counts: Readonly<RebuildCounts>) => void;
};

/** What was found so far. */
export type RebuildCounts = { rows: number; pieces: number; directories: number; adoptedEntries: number };

const noName = new Uint8Array();
const batchPieces = 4096;
const stretchNames = 4096;
/** What changed so shortly before the head may have changed again within one tick of its clock: no whole pass came since. */
const untrustedSeconds = 25 * 3600;

/** Rebuilds the index. It may be stopped or killed anywhere: `isRebuilding` then says so, and it is begun again. */
export async function rebuildIndex(request: RebuildRequest): Promise<RebuildCounts> {
  const { index, commits, keys, load } = request;
  index.clear();
  index.set('rebuilding', 1);
  const facts = commits.map(({ record }) => factsOf(record, keys));
  index.adoptHead(commits, facts);
  const counts: RebuildCounts = { rows: 0, pieces: 0, directories: 0, adoptedEntries: 0 };
  const state = readState(index, keys, load);
  await learnPieces(request, state, counts);
  const headAt = facts.at(-1)?.time.seconds ?? 0;
  await new DirectoryWalk(request, { state, counts, trustedBefore: headAt - untrustedSeconds }).run();
  index.dropFormerOfPresent();
  index.remove('rebuilding');
  return counts;
}

/** Whether an earlier rebuilding did not come to its end. */
export function isRebuilding(index: LocalIndex): boolean {
  return index.getNumber('rebuilding') !== undefined;
}

/** Makes known where the bytes of every kept version lie, and which directory was the last to have each place. */
async function learnPieces(request: RebuildRequest, state: ArchiveState, counts: RebuildCounts): Promise<void> {
  const { index, signal, onProgress } = request;
  let batch = new PieceBatch();
  let places: FormerPlace[] = [];
  const learn = () => {
    index.learn({ ...noIntent, blocks: batch.blocks, records: batch.records() });
    index.putFormer(places);
    counts.pieces += batch.blocks.length;
    batch = new PieceBatch();
    places = [];
  };
  for await (const { key, value } of state.range(directoryStart(0), Uint8Array.of(2))) {
    counts.rows++;
    const row = parseRow(value);
    const { directoryNumber: parent, name } = parseFileKey(key);
    // By rising commit: of several at one place the last stays.
    const place = name.length === 0 ? undefined : placeOf(row);
    if (place) places.push({ parent, name, number: place.directoryNumber });
    for await (const extent of piecesOf(row, state, request.load)) batch.add(extent, ownersOf(row.sets ?? []));
    if (batch.blocks.length + places.length < batchPieces) continue;
    signal?.throwIfAborted();
    learn();
    onProgress?.(counts);
  }
  learn();
}

/** Pieces on their way into the index, and who needs the records they lie in. */
class PieceBatch {
  readonly blocks: Uint8Array[] = [];
  readonly #owned = new Map<string, { sets: readonly number[]; isBundle: boolean; ordinals: Set<number> }>();

  add(extent: Extent, sets: readonly number[]): void {
    this.blocks.push(packBlock(extent));
    // A row does not say of what kind a record is; what may be a bundle is taken for one and never copied alone.
    const isBundle = extent.offset > 0 || extent.length < bundledBelowBytes;
    const key = `${isBundle}:${sets.join()}`;
    const owned = this.#owned.get(key);
    if (owned) owned.ordinals.add(extent.ordinal);
    else this.#owned.set(key, { sets, isBundle, ordinals: new Set([extent.ordinal]) });
  }

  records(): readonly OwnedRecords[] {
    return [...this.#owned.values()].map(({ ordinals, ...of }) => ({ ...of, ordinals: [...ordinals] }));
  }
}

type FormerPlace = { readonly parent: number; readonly name: Uint8Array; readonly number: number };

/** The pieces of all streams of a row, where they lie now. */
async function* piecesOf(row: Row, state: ArchiveState, load: LoadRecord): AsyncGenerator<Extent> {
  for (const stream of row.streams ?? []) {
    for await (const extent of streamExtents(stream, listLoader(state, load))) {
      if (!isHole(extent)) yield await state.resolveExtent(extent);
    }
  }
}

function packBlock(extent: Extent): Uint8Array {
  const packed = new Uint8Array(packedBlockBytes);
  const view = new DataView(packed.buffer);
  packed.set(extent.sha256);
  view.setFloat64(32, extent.ordinal, true);
  view.setUint32(40, extent.offset, true);
  view.setUint32(44, extent.length, true);
  return packed;
}

type NamedRow = { readonly name: Uint8Array; readonly row: Row };

/** Rows of a directory from one name on to before another. */
type Stretch = { readonly rows: readonly NamedRow[]; readonly from: Uint8Array; readonly until?: Uint8Array };

type Visit = {
  readonly place: DirectoryPlace;
  readonly parent: number;
  readonly name: Uint8Array;
  /** Where it lies on the machine; undefined where its volume is not mounted. */
  readonly machine: MachinePlace | undefined;
};

/** Goes through the directories that are in force, with the file system beside it. */
class DirectoryWalk {
  readonly #request: RebuildRequest;
  readonly #state: ArchiveState;
  readonly #counts: RebuildCounts;
  readonly #trustedBefore: number;
  readonly #waiting: Visit[] = [];

  constructor(
    request: RebuildRequest,
    known: { readonly state: ArchiveState; readonly counts: RebuildCounts; readonly trustedBefore: number },
  ) {
    this.#request = request;
    this.#state = known.state;
    this.#counts = known.counts;
    this.#trustedBefore = known.trustedBefore;
  }

  async run(): Promise<void> {
    const { signal, onProgress } = this.#request;
    for await (const { name, row } of this.#state.list(rootDirectory, this.#state.head)) {
      const place = placeOf(row);
      if (!place) continue;
      const mountPoint = (await this.#state.rowAt(place, noName, this.#state.head))?.row.mountPoint;
      const root = mountPoint && this.#rootOf(name, mountPoint);
      const machine = root && { root, names: [] };
      this.#waiting.push({ place, parent: 0, name, machine });
    }
    // An archive may hold a directory in itself.
    const entered = new Set<number>();
    for (let visit = this.#waiting.pop(); visit; visit = this.#waiting.pop()) {
      if (entered.has(visit.place.directoryNumber)) continue;
      entered.add(visit.place.directoryNumber);
      await this.#visit(visit);
      this.#counts.directories++;
      onProgress?.(this.#counts);
      signal?.throwIfAborted();
    }
  }

  /** The root of a volume, where it is mounted as it was. */
  #rootOf(identifier: Uint8Array, mountPoint: Uint8Array): MountedRoot | undefined {
    try {
      return mountedRoot(this.#request.source, mountPoint, Buffer.from(identifier).toString());
    } catch (error) {
      if (error instanceof CodedError) return undefined;
      throw error;
    }
  }

  /** Takes in a directory stretch by stretch: it may have any number of names. */
  async #visit(visit: Visit): Promise<void> {
    const own = await this.#state.rowAt(visit.place, noName, this.#state.head);
    let stretch: NamedRow[] = [];
    let from: Uint8Array = noName;
    for await (const { name, row } of this.#state.list(visit.place, this.#state.head)) {
      if (stretch.length >= stretchNames) {
        this.#learn(visit, own?.row, { rows: stretch, from, until: name });
        [stretch, from] = [[], name];
      }
      stretch.push({ name, row });
      const place = placeOf(row);
      if (!place) continue;
      const machine = visit.machine && { ...visit.machine, names: [...visit.machine.names, name] };
      this.#waiting.push({ place, parent: visit.place.directoryNumber, name, machine });
    }
    this.#learn(visit, own?.row, { rows: stretch, from });
  }

  #learn(visit: Visit, own: Row | undefined, { rows, from, until }: Stretch): void {
    const { place, parent, name } = visit;
    const number = place.directoryNumber;
    const there = this.#look(visit, rows);
    this.#request.index.learn({
      ...noIntent,
      links: there.links.map((link) => ({ ...link, directory: number })),
      directories: [
        {
          number,
          parent,
          name,
          since: place.since,
          device: there.own?.device ?? 0,
          inode: there.own?.inode ?? 0n,
          birth: there.own ? birthOf(there.own) : '',
          own: own ? digestOf(encodeRow(own)) : noName,
        },
      ],
      seen: [{ directory: number, from, ...(until && { until }), entries: there.entries }],
    });
  }

  /** Packs the entries of a directory: as they are on the machine where that is what was stored. */
  #look({ machine }: Visit, rows: readonly NamedRow[]) {
    const { source } = this.#request;
    const links: { inode: bigint; device: number; name: Uint8Array; linkGroup: number }[] = [];
    const packer = new DirectoryPacker();
    const pack = (fd: number | undefined) => {
      for (const { name, row } of rows) {
        const now = fd === undefined ? undefined : statOrNone(source, fd, name);
        const isSame = now !== undefined && isAsRecorded(row, now);
        if (isSame) this.#counts.adoptedEntries++;
        if (isSame && row.linkGroup !== undefined && row.type === 'file') {
          links.push({ inode: now.inode, device: now.device, name, linkGroup: row.linkGroup });
        }
        const isTrusted = isSame && now.ctimeSeconds < this.#trustedBefore;
        packer.add(name, isSame ? { ...now } : unknownEntry(row), {
          isRacy: !isTrusted,
          rowDigest: digestOf(encodeRow(row)),
          setsDigest: setsDigestOf(row.sets ?? []),
        });
      }
      return fd === undefined ? undefined : source.statDescriptor(fd, emptySourceAttributes());
    };
    let own: SourceAttributes | undefined;
    try {
      own = machine ? withPlace(source, machine, pack) : pack(undefined);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      packer.take();
      own = pack(undefined);
    }
    return { own, links, entries: packer.take() };
  }
}

function statOrNone(source: Source, fd: number, name: Uint8Array): SourceAttributes | undefined {
  try {
    return source.statAt(fd, name, emptySourceAttributes());
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}

/** Whether what is there is what the row says: type, size, and both times to the nanosecond; a directory by its type. */
function isAsRecorded(row: Row, now: SourceAttributes): boolean {
  if (row.type !== now.type || now.mountRoot) return false;
  if (row.type === 'directory') return true;
  if (row.type === 'file' && (contentOf(row)?.size ?? 0) !== now.sizeBytes) return false;
  const modifiedAt = { seconds: now.mtimeSeconds, nanoseconds: now.mtimeNanoseconds };
  const changedAt = { seconds: now.ctimeSeconds, nanoseconds: now.ctimeNanoseconds };
  return !isFuzzy(row) && isSameTime(row.modifiedAt, modifiedAt) && isSameTime(row.changedAt, changedAt);
}

function isSameTime(recorded: Time | undefined, now: Time): boolean {
  return recorded !== undefined && compareTimes(recorded, now) === 0;
}

/** An entry that the next pass finds changed, or gone. */
function unknownEntry(row: Row): SourceAttributes {
  const type = row.type === 'absent' || row.type === 'partial' ? 'file' : row.type;
  return { ...emptySourceAttributes(), type };
}
