import type { Ordinal } from '../format/ordinal.ts';
import type { Disk } from './disk.ts';
import { findKeyRecord } from './key-files.ts';
import type { IndexedRecord, OrdinalIndex, RecordPlace } from './ordinal-index.ts';
import { isWholeRecord } from './record-frame.ts';
import { type SegmentSet, undefinedIfGone } from './segment-set.ts';

/** Where the bytes of a record came from: as stored, mended from parity, from its second copy, from the keys folder. */
export type RecordOrigin = 'segment' | 'parity' | 'copy' | 'keys';

/** What became of asking for one record. */
export type ReadOutcome =
  | {
      readonly status: 'found';
      readonly ordinal: Ordinal;
      readonly bytes: Uint8Array;
      readonly origin: RecordOrigin;
      /** Where the index said it lies, when it had to be found without the index's help or elsewhere. */
      readonly damagedPlace?: RecordPlace;
    }
  /** It was here, and neither parity nor a copy gives it back. */
  | ({ readonly status: 'lost'; readonly ordinal: Ordinal } & RecordPlace)
  | { readonly status: 'unknown'; readonly ordinal: Ordinal };

const runBytes = 1024 * 1024;
const gapBytes = 32 * 1024;

/** Finds and reads records of an archive folder; every record is checked before it is handed out. */
export class FolderReader {
  readonly #disk: Disk;
  readonly #keysDirectory: string;
  readonly #index: OrdinalIndex;
  readonly #segments: SegmentSet;
  readonly #copies: SegmentSet;

  constructor(parts: {
    disk: Disk;
    keysDirectory: string;
    index: OrdinalIndex;
    segments: SegmentSet;
    copies: SegmentSet;
  }) {
    this.#disk = parts.disk;
    this.#keysDirectory = parts.keysDirectory;
    this.#index = parts.index;
    this.#segments = parts.segments;
    this.#copies = parts.copies;
  }

  /** Where the record lies, by the index, else by what segments list; it is not read. */
  async locate(ordinal: Ordinal): Promise<RecordPlace | undefined> {
    const indexed = await this.#index.lookup(ordinal);
    if (indexed) return indexed;
    for await (const place of this.#segments.placesOf(ordinal)) return place;
    return undefined;
  }

  async readOne(ordinal: Ordinal): Promise<ReadOutcome> {
    for await (const outcome of this.read([ordinal])) return outcome;
    return { status: 'unknown', ordinal };
  }

  /** Where the index says that records lie, in storage order; what it does not know is left out, and nothing is read. */
  async places(ordinals: readonly Ordinal[]): Promise<readonly (IndexedRecord & { readonly file: string })[]> {
    const placed = inStorageOrder(await this.#index.lookupMany([...new Set(ordinals)]));
    return placed.map((place) => ({ ...place, file: this.#segments.pathOf(place.segment) }));
  }

  /** Reads records in the order in which they are stored, each once; those the index does not know come last. */
  async *read(ordinals: readonly Ordinal[]): AsyncGenerator<ReadOutcome> {
    const wanted = [...new Set(ordinals)];
    const places = await this.#index.lookupMany(wanted);
    for (const run of runsOf(inStorageOrder(places))) yield* this.#readRun(run);
    for (const ordinal of wanted) if (!places.has(ordinal)) yield this.#search(ordinal, undefined);
  }

  async *#readRun(run: readonly IndexedRecord[]): AsyncGenerator<ReadOutcome> {
    const { segment, offset: start } = run[0]!;
    const end = run.reduce((most, { offset, lengthBytes }) => Math.max(most, offset + lengthBytes), 0);
    const buffer = new Uint8Array(end - start);
    const got = await this.#segments.withSegment(segment, (file) => file.read(buffer, start)).catch(undefinedIfGone);
    for (const { ordinal, offset, lengthBytes } of run) {
      const bytes = buffer.subarray(offset - start, offset - start + lengthBytes);
      const isThere = got !== undefined && offset - start + lengthBytes <= got && isWholeRecord(bytes, ordinal);
      if (isThere) yield { status: 'found', ordinal, bytes, origin: 'segment' };
      else yield this.#search(ordinal, { segment, offset, lengthBytes });
    }
  }

  /** Looks everywhere a record may be, the nearest first. */
  async #search(ordinal: Ordinal, indexed: RecordPlace | undefined): Promise<ReadOutcome> {
    let place = indexed;
    const found = (bytes: Uint8Array, origin: RecordOrigin): ReadOutcome => {
      return { status: 'found', ordinal, bytes, origin, ...(place ? { damagedPlace: place } : {}) };
    };
    const mended = indexed && (await this.#segments.readAt(ordinal, indexed));
    if (mended) return found(mended.bytes, mended.isHealed ? 'parity' : 'segment');
    for await (const other of this.#segments.placesOf(ordinal)) {
      place ??= other;
      const read = await this.#segments.readAt(ordinal, other);
      if (read) return found(read.bytes, read.isHealed ? 'parity' : 'segment');
    }
    const elsewhere = await this.readElsewhere(ordinal);
    if (elsewhere) return found(elsewhere.bytes, elsewhere.origin);
    return place ? { status: 'lost', ordinal, ...place } : { status: 'unknown', ordinal };
  }

  /** The record from second copies or the keys folder. */
  async readElsewhere(ordinal: Ordinal): Promise<{ bytes: Uint8Array; origin: RecordOrigin } | undefined> {
    for await (const place of this.#copies.placesOf(ordinal)) {
      const read = await this.#copies.readAt(ordinal, place);
      if (read) return { bytes: read.bytes, origin: 'copy' };
    }
    const bytes = await findKeyRecord(this.#disk, this.#keysDirectory, ordinal);
    return bytes && { bytes, origin: 'keys' };
  }
}

function inStorageOrder(places: ReadonlyMap<Ordinal, RecordPlace>): IndexedRecord[] {
  const placed = Array.from(places, ([ordinal, place]) => ({ ordinal, ...place }));
  return placed.sort((a, b) => a.segment - b.segment || a.offset - b.offset);
}

/** Records that lie close together, to be read at once. */
function* runsOf(placed: readonly IndexedRecord[]): Generator<IndexedRecord[]> {
  let run: IndexedRecord[] = [];
  for (const record of placed) {
    const [first, last] = [run[0], run.at(-1)];
    const joins =
      first &&
      last &&
      record.segment === first.segment &&
      record.offset - (last.offset + last.lengthBytes) <= gapBytes &&
      record.offset + record.lengthBytes - first.offset <= runBytes;
    if (!joins && run.length > 0) {
      yield run;
      run = [];
    }
    run.push(record);
  }
  if (run.length > 0) yield run;
}
