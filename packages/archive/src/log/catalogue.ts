import { crc32 } from 'node:zlib';
import { Semaphore } from '@holdfast/base';
import { type Ordinal, sequenceOf, writerOf } from '../format/ordinal.ts';
import { type Disk, type DiskFile, readSmallFile, replaceFile } from './disk.ts';
import type { EntryTable } from './footer.ts';
import { isSegmentSummary, jsonOrNone } from './stored-shapes.ts';

/** The two folders of segments: all records, and second copies of those other than blocks and bundles. */
export type SegmentFolder = 'segments' | 'copies';

/** The least and the greatest sequence number of one writer in a segment. */
export type SequenceRange = readonly [writer: number, first: number, last: number];

/** What is worth knowing of a segment without opening it. */
export type SegmentSummary = {
  readonly folder: SegmentFolder;
  readonly segment: number;
  /** `full`: no record is added any more, and its body is on stable storage. `sealed`: its footer is too, and its index entries. */
  readonly state: 'full' | 'sealed';
  /** Where its last record ends. */
  readonly endOffset: number;
  /** Size of the file; 0 while it is not sealed. */
  readonly fileBytes: number;
  /** Number of records and their bytes, by kind. */
  readonly kinds: Readonly<Record<string, readonly [records: number, bytes: number]>>;
  readonly ranges: readonly SequenceRange[];
};

const limitBytes = 256 * 1024 * 1024;
const lineName = 'catalogue';

/** Sums up the records of a segment. */
export function summarize(
  entries: EntryTable,
  place: Pick<SegmentSummary, 'folder' | 'segment' | 'state' | 'endOffset' | 'fileBytes'>,
): SegmentSummary {
  const kinds: Record<string, [number, number]> = {};
  const ranges = new Map<number, [number, number, number]>();
  for (const { kind, ordinal, lengthBytes } of entries) {
    const sum = (kinds[kind] ??= [0, 0]);
    sum[0]++;
    sum[1] += lengthBytes;
    const sequence = sequenceOf(ordinal);
    const range = ranges.get(writerOf(ordinal));
    if (!range) ranges.set(writerOf(ordinal), [writerOf(ordinal), sequence, sequence]);
    else [range[1], range[2]] = [Math.min(range[1], sequence), Math.max(range[2], sequence)];
  }
  return { ...place, kinds, ranges: [...ranges.values()] };
}

/** Whether a segment may hold that record. */
export function mayHold(summary: SegmentSummary, ordinal: Ordinal): boolean {
  const [writer, sequence] = [writerOf(ordinal), sequenceOf(ordinal)];
  return summary.ranges.some(([of, first, last]) => of === writer && first <= sequence && sequence <= last);
}

/**
 * The list of segments that are full or sealed: one line each in `index/catalogue`, with a checksum.
 *
 * Derived: a line that is missing or damaged is made again from the segment's footer. A line stands only for what is
 * already on stable storage, the segment's index entries included, so whatever has no line is looked at when opening.
 */
export class Catalogue {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #summaries = new Map<string, SegmentSummary>();
  #file: DiskFile | undefined;
  #position = 0;
  #isTidy = true;
  readonly #turn = new Semaphore(1);

  private constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  /** Reads what lines hold. */
  static async open(disk: Disk, directory: string): Promise<Catalogue> {
    const catalogue = new Catalogue(disk, directory);
    const bytes = await readSmallFile(disk, `${directory}/${lineName}`, limitBytes).catch(() => undefined);
    if (!bytes) catalogue.#isTidy = false;
    for (const line of Buffer.from(bytes ?? [])
      .toString('utf8')
      .split('\n')) {
      if (line === '') continue;
      const summary = parseLine(line);
      if (summary) catalogue.#remember(summary);
      else catalogue.#isTidy = false;
    }
    return catalogue;
  }

  get(folder: SegmentFolder, segment: number): SegmentSummary | undefined {
    return this.#summaries.get(keyOf(folder, segment));
  }

  /** Those of one folder, by rising number. */
  of(folder: SegmentFolder): SegmentSummary[] {
    return [...this.#summaries.values()].filter((s) => s.folder === folder).sort((a, b) => a.segment - b.segment);
  }

  /** Adds or replaces lines; returns once they are on stable storage. */
  async put(...summaries: readonly SegmentSummary[]): Promise<void> {
    await this.#turn.use(() => this.#put(summaries));
  }

  async #put(summaries: readonly SegmentSummary[]): Promise<void> {
    for (const summary of summaries) this.#remember(summary);
    if (!this.#file || !this.#isTidy) return this.#rewrite();
    const lines = Buffer.concat(summaries.map(formatLine));
    // A failure may leave half a line: the next time the whole file is written anew.
    this.#isTidy = false;
    await this.#file.write(lines, this.#position);
    await this.#file.sync();
    this.#isTidy = true;
    this.#position += lines.length;
  }

  /** Forgets all sealed segments, so that opening looks at each of them; returns once the file says the same. */
  async dropSealed(): Promise<void> {
    for (const [key, { state }] of this.#summaries) if (state === 'sealed') this.#summaries.delete(key);
    await this.#turn.use(() => this.#rewrite());
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #rewrite(): Promise<void> {
    await this.close();
    const bytes = Buffer.concat([...this.#summaries.values()].map(formatLine));
    await replaceFile(this.#disk, this.#directory, lineName, bytes);
    this.#file = await this.#disk.open(`${this.#directory}/${lineName}`, 'write');
    this.#position = bytes.length;
    this.#isTidy = true;
  }

  #remember(summary: SegmentSummary): void {
    this.#summaries.set(keyOf(summary.folder, summary.segment), summary);
  }
}

function keyOf(folder: SegmentFolder, segment: number): string {
  return `${folder}/${segment}`;
}

function formatLine(summary: SegmentSummary): Buffer {
  const text = JSON.stringify(summary);
  return Buffer.from(`${crc32(text).toString(16).padStart(8, '0')} ${text}\n`);
}

function parseLine(line: string): SegmentSummary | undefined {
  const text = line.slice(9);
  if (line.slice(0, 9) !== `${crc32(text).toString(16).padStart(8, '0')} `) return undefined;
  const value = jsonOrNone(text);
  return isSegmentSummary(value) ? value : undefined;
}
