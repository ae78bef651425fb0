import type { Ordinal } from '../format/ordinal.ts';
import {
  type Catalogue,
  mayHold,
  type SegmentFolder,
  type SegmentSummary,
  type SequenceRange,
  summarize,
} from './catalogue.ts';
import { type Disk, type DiskFile, systemErrorCode } from './disk.ts';
import { FilePool } from './file-pool.ts';
import { EntryTable, type SegmentEntry, type SegmentFooter } from './footer.ts';
import type { RecordPlace } from './ordinal-index.ts';
import { isWholeRecord } from './record-frame.ts';
import { scanRecords } from './scan.ts';
import { readFooter } from './segment.ts';
import { isRecordOf, readChecked } from './segment-repair.ts';

const idleFiles = 32;
const footersKept = 4;

/** A record's bytes as they came off the disk, checked. */
export type ReadBytes = { readonly bytes: Uint8Array; readonly isHealed: boolean };

/** The segments of one folder, as something to read from. */
export class SegmentSet {
  readonly folder: SegmentFolder;
  readonly disk: Disk;
  readonly directory: string;
  /** Records of the segments that are not sealed. */
  readonly tables = new Map<number, EntryTable>();
  readonly #catalogue: Catalogue;
  /** What footers said where the catalogue has no line. */
  readonly #uncatalogued = new Map<number, SegmentSummary>();
  readonly #footers = new Map<number, SegmentFooter>();
  readonly #pool: FilePool;
  readonly #lookedBytes = new Map<number, number>();

  constructor(disk: Disk, dir: string, folder: SegmentFolder, catalogue: Catalogue) {
    this.folder = folder;
    this.disk = disk;
    this.directory = `${dir}/${folder}`;
    this.#catalogue = catalogue;
    this.#pool = new FilePool(disk, idleFiles);
  }

  pathOf(segment: number): string {
    return `${this.directory}/${segment.toString().padStart(10, '0')}.seg`;
  }

  /** Numbers of the segments that are there, rising. */
  async numbers(): Promise<number[]> {
    const names = await this.disk.list(this.directory);
    return names.flatMap((name) => (/^\d{10}\.seg$/.test(name) ? [Number(name.slice(0, 10))] : []));
  }

  /** Sealed segments, by rising number. */
  sealed(): SegmentSummary[] {
    const known = this.#catalogue.of(this.folder).filter(({ state }) => state === 'sealed');
    return [...known, ...this.#uncatalogued.values()].sort((a, b) => a.segment - b.segment);
  }

  /** Looks at a segment somebody else writes, unless it is as long as the last time. */
  async look(segment: number): Promise<void> {
    const facts = await this.disk.stat(this.pathOf(segment));
    if (!facts || this.#lookedBytes.get(segment) === facts.sizeBytes) return;
    await this.changed(segment);
    this.tables.delete(segment);
    if (!(await this.discover(segment))) this.tables.set(segment, await this.scan(segment));
    this.#lookedBytes.set(segment, facts.sizeBytes);
  }

  /** Looks at a segment the catalogue does not know: remembers what its footer says; undefined where it is not sealed. */
  async discover(segment: number): Promise<{ summary: SegmentSummary; footer: SegmentFooter } | undefined> {
    const [footer, facts] = [await this.footerOf(segment), await this.disk.stat(this.pathOf(segment))];
    if (!footer || !facts) return undefined;
    const entries = footer.entries;
    const last = entries.count > 0 ? entries.at(entries.count - 1) : undefined;
    const endOffset = last ? last.offset + last.lengthBytes : 0;
    const place = { folder: this.folder, segment, state: 'sealed', endOffset, fileBytes: facts.sizeBytes } as const;
    const summary = summarize(entries, place);
    this.#uncatalogued.set(segment, summary);
    return { summary, footer };
  }

  /** A segment changed on the disk, or its line was written: forgets what was read of it. */
  async changed(segment: number): Promise<void> {
    this.#footers.delete(segment);
    this.#uncatalogued.delete(segment);
    await this.#pool.drop(this.pathOf(segment));
  }

  /** The footer of a sealed segment; undefined where it has none that holds. */
  async footerOf(segment: number): Promise<SegmentFooter | undefined> {
    const known = this.#footers.get(segment);
    if (known) return known;
    const footer = await this.withSegment(segment, readFooter).catch(undefinedIfGone);
    if (!footer) return undefined;
    this.#footers.set(segment, footer);
    const oldest = this.#footers.keys().next().value;
    if (this.#footers.size > footersKept && oldest !== undefined) this.#footers.delete(oldest);
    return footer;
  }

  async withSegment<T>(segment: number, work: (file: DiskFile) => Promise<T>): Promise<T> {
    return this.#pool.use(this.pathOf(segment), work);
  }

  /** All entries of that kind, or of every kind, in storage order. */
  async *entries(
    kind?: number,
    mayMatter: (ranges: readonly SequenceRange[]) => boolean = () => true,
  ): AsyncGenerator<SegmentEntry & { readonly segment: number }> {
    const ofKind = this.sealed().filter((summary) => kind === undefined || summary.kinds[kind]);
    const sealed = ofKind.filter(({ ranges }) => mayMatter(ranges));
    const segments = new Set([...sealed.map(({ segment }) => segment), ...this.tables.keys()]);
    for (const segment of [...segments].sort((a, b) => a - b)) {
      for (const entry of await this.#entriesOf(segment)) {
        if (kind === undefined || entry.kind === kind) yield { ...entry, segment };
      }
    }
  }

  /** Places where the record may lie as footers and open segments say, newest first, without the index. */
  async *placesOf(ordinal: Ordinal): AsyncGenerator<RecordPlace> {
    for (const [segment, table] of [...this.tables].toReversed()) {
      const entry = table.find(ordinal);
      if (entry) yield { segment, offset: entry.offset, lengthBytes: entry.lengthBytes };
    }
    for (const { segment } of this.sealed()
      .filter((summary) => mayHold(summary, ordinal))
      .toReversed()) {
      const entry = (await this.#entriesOf(segment)).find(ordinal);
      if (entry) yield { segment, offset: entry.offset, lengthBytes: entry.lengthBytes };
    }
  }

  /** The record at a place, mended from parity where it must be; undefined where it is not there or is lost. */
  async readAt(ordinal: Ordinal, place: RecordPlace): Promise<ReadBytes | undefined> {
    const bytes = new Uint8Array(place.lengthBytes);
    const got = await this.withSegment(place.segment, (file) => file.read(bytes, place.offset)).catch(undefinedIfGone);
    if (got === bytes.length && isWholeRecord(bytes, ordinal)) return { bytes, isHealed: false };
    return this.#readMended(ordinal, place);
  }

  async #readMended(ordinal: Ordinal, { segment, offset, lengthBytes }: RecordPlace): Promise<ReadBytes | undefined> {
    const footer = await this.footerOf(segment);
    const entry = footer?.entries.find(ordinal);
    if (!footer || entry?.offset !== offset || entry.lengthBytes !== lengthBytes) return undefined;
    const checked = await this.withSegment(segment, (file) => readChecked(file, footer, offset, lengthBytes));
    return isRecordOf(checked.bytes, entry) ? { bytes: checked.bytes, isHealed: true } : undefined;
  }

  async #entriesOf(segment: number): Promise<EntryTable> {
    const table = this.tables.get(segment);
    if (table) return table;
    const footer = await this.footerOf(segment);
    return footer?.entries ?? this.scan(segment);
  }

  /** Records a segment holds by reading all of it: for one that lost its footer, or that another process writes. */
  async scan(segment: number): Promise<EntryTable> {
    const table = new EntryTable();
    const seen = new Set<Ordinal>();
    await this.withSegment(segment, async (file) => {
      for await (const finding of scanRecords(file)) {
        // What a sealing that was cut short left behind may repeat records.
        if (finding.found === 'damage' || seen.has(finding.ordinal)) continue;
        seen.add(finding.ordinal);
        table.push(finding);
      }
    }).catch(undefinedIfGone);
    return table;
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }
}

/** A segment that is not there, or cannot be read where it was asked, holds nothing. */
export function undefinedIfGone(error: unknown): undefined {
  if (!['ENOENT', 'EIO'].includes(systemErrorCode(error) ?? '')) throw error;
}
