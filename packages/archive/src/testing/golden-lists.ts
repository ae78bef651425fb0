import { ByteWriter } from '../format/cursor.ts';
import { type Extent, lengthOfExtents, type Reference, writeExtent } from '../format/extent.ts';
import { encodeList, type ListEntry } from '../format/list.ts';
import { moveKey } from '../format/map-key.ts';
import { formatOrdinal } from '../format/ordinal.ts';
import { archiveFiles } from './archive-files.ts';
import { type ArchiveMaker, newestOf } from './archive-maker.ts';
import { begin, expectOf, type GoldenArchive, putVolume } from './golden-begin.ts';
import { liveRanges } from './golden-live.ts';
import { golden, owned, prose } from './golden-rows.ts';
import { type GoldenScene, listedStreamOf, storePieces, streamOf, streamsOf } from './golden-scene.ts';

/** Long files in lists of one, two and three levels; pieces and lists that moved, and whose old records are gone. */
export async function makeListsAndMoves(): Promise<GoldenArchive> {
  const scene = begin('lists-and-moves');
  const { maker } = scene;
  const home = putVolume(scene);
  const pieces = Array.from({ length: 60 }, (_, i) => (i % 7 === 3 ? 5000 + i : prose(`stretch ${i}`, 90 + i)));
  const extents = storePieces(maker, pieces, 'bundle');
  const lists: Reference[] = [];
  for (const [name, level] of [
    ['flat', 0],
    ['deep', 1],
    ['deepest', 2],
  ] as const) {
    const { row, kept } = streamsOf(listedStreamOf(extents, pieces, storeLists(maker, extents, level, lists)));
    scene.entry(`${home}/${name}`, { ...owned, type: 'file', ...row }, kept);
  }
  const moving = [prose('first', 700), 300, prose('second', 400)];
  const moved = storePieces(maker, moving, 'bundle');
  const { row, kept } = streamsOf(streamOf('content', moved, moving));
  scene.entry(`${home}/moving`, { ...owned, type: 'file', ...row }, kept);
  await scene.commit({ time: golden(0) });
  // The top list of `flat`, the top of `deepest` and one in the middle of it.
  const movedLists = [lists[0]!, newestOf(lists), newestOf(lists, 1)];
  const [first, , second] = moved;
  moveExtents(scene, [first!, second!]);
  for (const list of movedLists) moveList(scene, list);
  const commit = await scene.commit({ time: golden(60), isCheckpoint: true });
  await scene.commit({ time: golden(90) });
  const goneOrdinals = new Set([first!.ordinal, ...movedLists.map((list) => list.ordinal)]);
  const gone = maker.records.filter(({ ordinal }) => goneOrdinals.has(ordinal));
  maker.live(commit, [liveRanges(maker, gone)]);
  const records = maker.records.filter((record) => !gone.includes(record));
  const files = archiveFiles(maker.archiveId, records, { segments: [{ records, end: 'no parity' }] });
  const notNeeded = gone.map(({ ordinal }) => formatOrdinal(ordinal));
  return { files, keyFile: maker.keyFile(), expected: expectOf(scene, { liveSet: 1, notNeeded }) };
}

/** Lists of 8 extents and, as deep as asked, lists of 3 lists. */
function storeLists(maker: ArchiveMaker, extents: readonly Extent[], level: 0 | 1 | 2, made: Reference[]) {
  const store = (raw: Uint8Array) => {
    const list = maker.store('list', raw);
    made.push(list);
    return list;
  };
  if (level === 0) return { level, list: store(encodeList({ level, extents })) };
  let entries: ListEntry[] = chunk(extents, 8).map((part) => ({
    list: store(encodeList({ level: 0, extents: part })),
    streamBytes: lengthOfExtents(part),
  }));
  if (level === 2) {
    entries = chunk(entries, 3).map((part) => ({
      list: store(encodeList({ level: 1, entries: part })),
      streamBytes: part.reduce((sum, entry) => sum + entry.streamBytes, 0),
    }));
  }
  return { level, list: store(encodeList({ level, entries })) };
}

function chunk<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

/** Seals pieces again, the last first, in one new bundle. */
function moveExtents(scene: GoldenScene, extents: readonly Extent[]): void {
  const { maker } = scene;
  const pieces = extents.map(({ ordinal, offset, length }) => maker.rawOf(ordinal).subarray(offset, offset + length));
  const targets = storePieces(maker, pieces.toReversed(), 'bundle').toReversed();
  for (const [index, { ordinal, offset }] of extents.entries())
    putMove(scene, moveKey(ordinal, offset), targets[index]!);
}

function moveList(scene: GoldenScene, list: Reference): void {
  const raw = scene.maker.rawOf(list.ordinal);
  const target = scene.maker.store('list', raw);
  putMove(scene, moveKey(list.ordinal, 0), { ...target, offset: 0, length: raw.length });
}

function putMove(scene: GoldenScene, key: Uint8Array, target: Extent): void {
  const writer = new ByteWriter(46);
  writeExtent(writer, target);
  scene.putEntry({ key, value: writer.written() });
}
