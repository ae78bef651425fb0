import type { Clock } from '@holdfast/base';
import type { Ordinal } from '../format/ordinal.ts';
import { RecordKind } from '../format/record.ts';
import type { Catalogue, SegmentFolder } from './catalogue.ts';
import type { Disk } from './disk.ts';
import type { FolderReader, RecordOrigin } from './folder-reader.ts';
import { type EntryTable, type SegmentEntry, segmentHeadBytes } from './footer.ts';
import { keyCopies, keyFileName, readKeyFiles } from './key-files.ts';
import type { IndexedRecord, OrdinalIndex } from './ordinal-index.ts';
import { scanRecords } from './scan.ts';
import { checkSegment } from './segment.ts';
import type { SegmentSet } from './segment-set.ts';

/** How to go through a folder. */
export type ScrubOptions = {
  /** At most this many bytes a second; as fast as it goes when left out. */
  readonly bytesPerSecond?: number;
  /** Only segments with these numbers; all when left out. */
  readonly segments?: readonly number[];
  readonly signal?: AbortSignal;
};

/** A record that is not whole where it should be. */
export type DamagedRecord = IndexedRecord & {
  /** Where it can still be had from; undefined where it is lost. */
  readonly origin: RecordOrigin | undefined;
};

/** What is wrong with one segment. */
export type ScrubFinding = {
  readonly folder: SegmentFolder;
  readonly segment: number;
  /** `missing`: the file is gone. `footer`: it was sealed and its footer does not hold. `open`: it is not sealed. `body`: all else. */
  readonly fault: 'missing' | 'footer' | 'open' | 'body';
  readonly badBodySectors: readonly number[];
  readonly badParitySectors: readonly number[];
  readonly records: readonly DamagedRecord[];
};

/** What a scrub saw. */
export type ScrubReport = {
  readonly segments: number;
  readonly bytes: number;
  readonly findings: readonly ScrubFinding[];
  /** Header and keyrings some of whose copies are missing or not whole. */
  readonly keyFiles: readonly { readonly name: string; readonly badCopies: readonly number[] }[];
  /** Index entries that were missing or wrong and, where the folder is open for writing, are right now. */
  readonly indexEntries: number;
};

/** A folder, as a scrub and a repair work on it. */
export type ScrubbedFolder = {
  readonly disk: Disk;
  readonly dir: string;
  readonly clock: Clock;
  readonly mode: 'write' | 'read';
  readonly catalogue: Catalogue;
  readonly index: OrdinalIndex;
  readonly segments: SegmentSet;
  readonly copies: SegmentSet;
  readonly reader: FolderReader;
  /** Records that are appended and not yet to be found through the index. */
  readonly pending: ReadonlyMap<Ordinal, unknown>;
};

const indexBatch = 4096;

/** Reads every segment, second copies and keys included, and compares what it finds with footers and index. */
export async function scrubFolder(folder: ScrubbedFolder, options: ScrubOptions): Promise<ScrubReport> {
  const findings: ScrubFinding[] = [];
  const pace = new Pace(folder.clock, options);
  let [segments, indexEntries] = [0, 0];
  for (const set of [folder.segments, folder.copies]) {
    for (const segment of await segmentsOf(set)) {
      options.signal?.throwIfAborted();
      if (options.segments && !options.segments.includes(segment)) continue;
      segments++;
      const { finding, entries } = await scrubSegment(folder, set, segment, pace);
      if (finding) findings.push(finding);
      if (set.folder === 'segments') indexEntries += await correctIndex(folder, segment, entries);
    }
  }
  const keyFiles = await scrubKeys(folder);
  return { segments, bytes: pace.bytes, findings, keyFiles, indexEntries };
}

async function segmentsOf(set: SegmentSet): Promise<number[]> {
  const known = set.sealed().map(({ segment }) => segment);
  return [...new Set([...known, ...(await set.numbers())])].sort((a, b) => a - b);
}

type Scrubbed = { readonly finding: ScrubFinding | undefined; readonly entries: Iterable<SegmentEntry> };

async function scrubSegment(folder: ScrubbedFolder, set: SegmentSet, segment: number, pace: Pace): Promise<Scrubbed> {
  const about = { folder: set.folder, segment };
  if (!(await folder.disk.stat(set.pathOf(segment)))) {
    const records = await damagedIn(folder, set, segment, [[segmentHeadBytes, Infinity]]);
    return { finding: { ...about, fault: 'missing', ...noSectors, records }, entries: [] };
  }
  const table = set.tables.get(segment);
  if (table) return scrubOpen(folder, set, segment, table);
  await set.changed(segment);
  const footer = await set.footerOf(segment);
  if (!footer) return scrubWithoutFooter(folder, set, segment);
  const check = await set.withSegment(segment, (file) => checkSegment(file, footer, (bytes) => pace.spend(bytes)));
  const gaps = gapsOf(footer.entries, endOf(set, segment) ?? 0);
  const records = [
    ...(await originsOf(folder, set, segment, check.badRecords)),
    ...(await damagedIn(folder, set, segment, gaps)),
  ];
  const isSound = check.isWhole && check.badParitySectors.length === 0 && records.length === 0;
  const { badBodySectors, badParitySectors } = check;
  const finding = isSound ? undefined : { ...about, fault: 'body' as const, badBodySectors, badParitySectors, records };
  return { finding, entries: footer.entries };
}

const noSectors = { badBodySectors: [], badParitySectors: [] } as const;

/** An open segment: what should be there is what its table says, and what the index says lies where the table has nothing. */
async function scrubOpen(
  folder: ScrubbedFolder,
  set: SegmentSet,
  segment: number,
  table: EntryTable,
): Promise<Scrubbed> {
  const expected = [...table];
  const bad: SegmentEntry[] = [];
  for (const entry of expected) {
    const place = { segment, offset: entry.offset, lengthBytes: entry.lengthBytes };
    if (!(await set.readAt(entry.ordinal, place))) bad.push(entry);
  }
  const spans = gapsOf(expected, Infinity);
  const records = [...(await originsOf(folder, set, segment, bad)), ...(await damagedIn(folder, set, segment, spans))];
  const finding = { folder: set.folder, segment, fault: 'open' as const, ...noSectors, records };
  return { finding: records.length > 0 ? finding : undefined, entries: expected };
}

async function scrubWithoutFooter(folder: ScrubbedFolder, set: SegmentSet, segment: number): Promise<Scrubbed> {
  const entries: SegmentEntry[] = [];
  await set.withSegment(segment, async (file) => {
    for await (const finding of scanRecords(file)) if (finding.found === 'record') entries.push(finding);
  });
  const end = endOf(set, segment) ?? Infinity;
  const inBody = entries.filter(({ offset }) => offset < end);
  const records = await damagedIn(folder, set, segment, gapsOf(inBody, end));
  return { finding: { folder: set.folder, segment, fault: 'footer', ...noSectors, records }, entries: inBody };
}

/** Where the last record of a sealed segment ended when it was sealed, as far as that is known. */
function endOf(set: SegmentSet, segment: number): number | undefined {
  return set.sealed().find((summary) => summary.segment === segment)?.endOffset;
}

/** Stretches in front of, between and behind records. */
function gapsOf(entries: Iterable<SegmentEntry>, end: number): [number, number][] {
  const gaps: [number, number][] = [];
  let at = segmentHeadBytes;
  for (const { offset, lengthBytes } of entries) {
    if (offset > at) gaps.push([at, offset]);
    at = Math.max(at, offset + lengthBytes);
  }
  if (end > at) gaps.push([at, end]);
  return gaps;
}

/** Records the index puts into these stretches of a segment, and that are not there. */
async function damagedIn(
  folder: ScrubbedFolder,
  set: SegmentSet,
  segment: number,
  stretches: readonly (readonly [number, number])[],
): Promise<DamagedRecord[]> {
  const damaged: DamagedRecord[] = [];
  // Second copies are not indexed: what is gone from them is still where it belongs.
  if (set.folder === 'copies' || stretches.length === 0) return damaged;
  for (const writer of await folder.index.writers()) {
    for await (const record of folder.index.within(writer, segment)) {
      if (!stretches.some(([from, to]) => record.offset >= from && record.offset < to)) continue;
      const outcome = await folder.reader.readOne(record.ordinal);
      if (outcome.status === 'found' && outcome.origin === 'segment') continue;
      damaged.push({ ...record, origin: outcome.status === 'found' ? outcome.origin : undefined });
    }
  }
  return damaged;
}

async function originsOf(
  folder: ScrubbedFolder,
  set: SegmentSet,
  segment: number,
  entries: readonly SegmentEntry[],
): Promise<DamagedRecord[]> {
  const damaged: DamagedRecord[] = [];
  for (const { ordinal, offset, lengthBytes } of entries) {
    const place = { segment, offset, lengthBytes };
    const origin = (await set.readAt(ordinal, place)) ? 'parity' : await originElsewhere(folder, set, ordinal);
    damaged.push({ ordinal, ...place, origin });
  }
  return damaged;
}

async function originElsewhere(folder: ScrubbedFolder, set: SegmentSet, ordinal: Ordinal) {
  if (set.folder === 'segments') return (await folder.reader.readElsewhere(ordinal))?.origin;
  const outcome = await folder.reader.readOne(ordinal);
  return outcome.status === 'found' ? outcome.origin : undefined;
}

/** Puts right what the index says of records a segment lists: places that are missing or wrong within that segment. */
async function correctIndex(folder: ScrubbedFolder, segment: number, entries: Iterable<SegmentEntry>): Promise<number> {
  let corrected = 0;
  let batch: IndexedRecord[] = [];
  const settle = async () => {
    const places = await folder.index.lookupMany(batch.map(({ ordinal }) => ordinal));
    const wrong = batch.filter(({ ordinal, offset }) => {
      const place = places.get(ordinal);
      return !place || (place.segment === segment && place.offset !== offset);
    });
    if (folder.mode === 'write') await folder.index.put(wrong);
    corrected += wrong.length;
    batch = [];
  };
  for (const { ordinal, offset, lengthBytes } of entries) {
    if (folder.pending.has(ordinal)) continue;
    batch.push({ ordinal, segment, offset, lengthBytes });
    if (batch.length === indexBatch) await settle();
  }
  await settle();
  return corrected;
}

/** Copies of headers and keyrings that are missing or not whole, those of records without any copy included. */
async function scrubKeys({ disk, dir, segments }: ScrubbedFolder) {
  const files = await readKeyFiles(disk, `${dir}/keys`);
  const bad = files.filter(({ badCopies }) => badCopies.length > 0).map(({ name, badCopies }) => ({ name, badCopies }));
  const names = new Set(files.map(({ name }) => name));
  for (const name of (await keyRecordsIn(segments)).keys()) {
    if (!names.has(name)) bad.push({ name, badCopies: Array.from({ length: keyCopies }, (_, i) => i + 1) });
  }
  return bad;
}

/** Header and keyrings by the name of their files, as segments hold them. */
export async function keyRecordsIn(segments: SegmentSet): Promise<Map<string, Uint8Array>> {
  const records = new Map<string, Uint8Array>();
  for (const kind of [RecordKind.header, RecordKind.keyring]) {
    for await (const entry of segments.entries(kind)) {
      const read = await segments.readAt(entry.ordinal, entry);
      const name = read && keyFileName(read.bytes);
      if (name) records.set(name, read.bytes);
    }
  }
  return records;
}

/** Bytes per second, kept by waiting between steps. */
class Pace {
  bytes = 0;
  readonly #clock: Clock;
  readonly #options: ScrubOptions;
  readonly #startedMs: number;

  constructor(clock: Clock, options: ScrubOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#startedMs = clock.monotonic();
  }

  async spend(bytes: number): Promise<void> {
    this.bytes += bytes;
    this.#options.signal?.throwIfAborted();
    const { bytesPerSecond } = this.#options;
    if (bytesPerSecond === undefined) return;
    const dueMs = this.#startedMs + (this.bytes / bytesPerSecond) * 1000;
    const waitMs = dueMs - this.#clock.monotonic();
    if (waitMs > 0) await this.#clock.sleep(waitMs, this.#options.signal);
  }
}
