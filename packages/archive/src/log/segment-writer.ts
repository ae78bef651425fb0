import { Semaphore } from '@holdfast/base';
import { type Catalogue, type SegmentSummary, summarize } from './catalogue.ts';
import { closeAll, type Disk, type DiskFile, isDiskFull } from './disk.ts';
import { logErrors } from './errors.ts';
import { encodeSegmentHead, EntryTable, maxSegmentRecords, segmentHeadBytes } from './footer.ts';
import type { IndexedRecord, OrdinalIndex } from './ordinal-index.ts';
import type { RecordFrame } from './record-frame.ts';
import { recoverSegment, type SegmentDamage } from './recover-segment.ts';
import type { ReadBody } from './body-facts.ts';
import { sealSegment } from './segment.ts';
import type { SegmentSet } from './segment-set.ts';

/** A record to be stored, as it is. */
export type FramedRecord = { readonly frame: RecordFrame; readonly bytes: Uint8Array };

/** Up to where records lie in the newest segment of a folder. */
export type SegmentPosition = { readonly segment: number; readonly bytes: number };

/** What the writer of a folder of segments works with. */
export type SegmentWriterOptions = {
  readonly disk: Disk;
  readonly set: SegmentSet;
  readonly catalogue: Catalogue;
  readonly retiredDirectory: string;
  readonly archiveId: Uint8Array;
  readonly parity: boolean;
  readonly bodyBytes: number;
  /** The index that must know records before their segment counts as sealed; none for second copies. */
  readonly index: OrdinalIndex | undefined;
  /** Called once, when a write or a sync failed: nothing more may be acknowledged. */
  readonly onBroken: (cause: unknown) => void;
};

type OpenSegment = {
  readonly segment: number;
  readonly file: DiskFile;
  /** Of the file, as `Disk.stat` gives it. */
  readonly identity: string | undefined;
  readonly entries: EntryTable;
  position: number;
};

/**
 * Adds records to one folder of segments and seals those that are full, while records go on being added.
 *
 * One call of `append` at a time. What was appended is on stable storage after the next `sync` that begins later.
 */
export class SegmentWriter {
  /** Damage to acknowledged bytes that opening found in segments that were not sealed. */
  readonly damage: SegmentDamage[] = [];
  readonly #options: SegmentWriterOptions;
  readonly #unsynced = new Set<DiskFile>();
  readonly #syncing = new Semaphore(1);
  readonly #sealing = new Semaphore(1);
  readonly #sealings = new Set<Promise<void>>();
  /** Full segments whose sealing failed for want of room. */
  readonly #unsealed: OpenSegment[] = [];
  #open: OpenSegment | undefined;
  #isBehind = false;
  #broken: { readonly cause: unknown } | undefined;
  #lastSegment = 0;

  private constructor(options: SegmentWriterOptions) {
    this.#options = options;
  }

  /** Recovers a folder: seals what was full, brings back what was open, and puts into the index what it may lack. */
  static async open(options: SegmentWriterOptions, acknowledged?: SegmentPosition): Promise<SegmentWriter> {
    const writer = new SegmentWriter(options);
    try {
      await writer.#adoptAll(acknowledged);
    } catch (error) {
      // A file that is left open ends the process when its memory is collected.
      await writer.close();
      throw error;
    }
    for (const segment of writer.#unsealed.splice(0)) writer.#startSealing(segment);
    return writer;
  }

  async #adoptAll(acknowledged: SegmentPosition | undefined): Promise<void> {
    const { set, disk, catalogue, index } = this.#options;
    await disk.makeDirectory(set.directory);
    for (const name of await disk.list(set.directory)) {
      if (name.endsWith('.tmp')) await disk.remove(`${set.directory}/${name}`);
    }
    const numbers = await set.numbers();
    const known = catalogue.of(set.folder);
    this.#lastSegment = Math.max(0, numbers.at(-1) ?? 0, known.at(-1)?.segment ?? 0);
    this.#isBehind = acknowledged !== undefined && (await isBehind(disk, set, acknowledged));
    const summaries: SegmentSummary[] = [];
    for (const segment of numbers) {
      const summary = await this.#adopt(segment, acknowledged);
      if (summary) summaries.push(summary);
    }
    // The names of segments may not have reached the disk before whoever made them died.
    await this.#guarded(() => disk.syncDirectory(set.directory));
    await this.sync();
    await this.#guarded(async () => index?.sync());
    if (summaries.length > 0) await catalogue.put(...summaries);
    for (const { segment } of summaries) await set.changed(segment);
  }

  /** Up to where records were appended; undefined before the first. */
  get position(): SegmentPosition | undefined {
    const open = this.#open;
    if (open) return { segment: open.segment, bytes: open.position };
    return this.#lastSegment > 0 ? { segment: this.#lastSegment + 1, bytes: segmentHeadBytes } : undefined;
  }

  /** Whether what was there when it was opened ended before what was acknowledged: an older copy, or one that was cut. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** @throws log.moved where the open segment has lost its name, or bytes: what is written to it, nobody would find again */
  async expectInPlace(): Promise<void> {
    const open = this.#open;
    if (!open) return;
    const { position } = open;
    const facts = await this.#options.disk.stat(this.#options.set.pathOf(open.segment));
    const isThere = facts?.identity === open.identity && facts !== undefined && facts.sizeBytes >= position;
    if (!isThere) throw logErrors.moved({ segment: open.segment });
  }

  /** Writes records behind the last one; a segment that would grow too long is left to be sealed. */
  async append(records: readonly FramedRecord[]): Promise<IndexedRecord[]> {
    const placed: IndexedRecord[] = [];
    for (let i = 0; i < records.length;) {
      const open = await this.#segmentFor(records[i]!.bytes.length);
      let end = i;
      let bytes = 0;
      while (end < records.length && this.#fits(open, bytes + records[end]!.bytes.length, end - i + 1)) {
        bytes += records[end++]!.bytes.length;
      }
      placed.push(...(await this.#write(open, records.slice(i, end))));
      i = end;
    }
    return placed;
  }

  /** Returns once all that was appended before the call is on stable storage. A failure breaks the writer for good. */
  async sync(): Promise<void> {
    await this.#syncing.use(async () => {
      const files = [...this.#unsynced];
      this.#unsynced.clear();
      const results = await Promise.allSettled(files.map((file) => file.sync()));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed) throw this.#broke(failed.reason);
    });
  }

  /** Seals the open segment, whatever its length, and waits for all sealing under way. Call only between appends. */
  async seal(): Promise<void> {
    const open = this.#open;
    if (open && open.entries.count > 0) {
      this.#open = undefined;
      this.#startSealing(open);
    }
    for (const segment of this.#unsealed.splice(0)) this.#startSealing(segment);
    await this.settle();
  }

  /** Waits until no sealing is under way. */
  async settle(): Promise<void> {
    while (this.#sealings.size > 0) await Promise.all(this.#sealings);
  }

  async close(): Promise<void> {
    await this.settle();
    const open = [...(this.#open ? [this.#open] : []), ...this.#unsealed.splice(0)];
    this.#open = undefined;
    await closeAll(
      open.map(
        ({ file }) =>
          () =>
            file.close(),
      ),
    );
  }

  /** Makes a segment known; the summary of one that is sealed and was not in the catalogue. */
  async #adopt(segment: number, acknowledged: SegmentPosition | undefined): Promise<SegmentSummary | undefined> {
    const { set, disk, catalogue } = this.#options;
    const line = catalogue.get(set.folder, segment);
    const facts = await disk.stat(set.pathOf(segment));
    if (line?.state === 'sealed' && line.fileBytes === facts?.sizeBytes) return undefined;
    // A segment that was being sealed is sealed anew: of what a crash left of that, anything may be missing.
    const discovered = line?.state === 'full' ? undefined : await set.discover(segment);
    if (discovered) {
      await this.#record(segment, discovered.footer.entries);
      return discovered.summary;
    }
    await this.#recover(segment, acknowledgedIn(segment, line?.endOffset, acknowledged));
    return undefined;
  }

  async #recover(segment: number, acknowledgedBytes: number | undefined): Promise<void> {
    const { set, disk, archiveId, retiredDirectory, bodyBytes } = this.#options;
    const path = set.pathOf(segment);
    const place = { directory: set.directory, retiredDirectory, path, archiveId, segment };
    const recovered = await recoverSegment({ disk, ...place, acknowledgedBytes });
    this.damage.push(...recovered.damage);
    await set.changed(segment);
    await this.#record(segment, recovered.entries);
    set.tables.set(segment, recovered.entries);
    const identity = (await disk.stat(path))?.identity;
    const file = await disk.open(path, 'write');
    // What is kept was perhaps never synced by whoever wrote it.
    this.#unsynced.add(file);
    const open = { segment, file, identity, entries: recovered.entries, position: recovered.endOffset };
    const isNewest = segment === this.#lastSegment;
    if (isNewest && recovered.isAppendable && recovered.endOffset < bodyBytes) this.#open = open;
    else this.#unsealed.push(open);
  }

  async #record(segment: number, entries: EntryTable): Promise<void> {
    const { index } = this.#options;
    if (!index || entries.count === 0) return;
    await index.put(
      [...entries].map(({ ordinal, offset, lengthBytes }) => ({ ordinal, segment, offset, lengthBytes })),
    );
  }

  async #segmentFor(lengthBytes: number): Promise<OpenSegment> {
    const open = this.#open;
    if (open && this.#fits(open, lengthBytes, 1)) return open;
    if (open) {
      this.#open = undefined;
      this.#startSealing(open);
    }
    for (const segment of this.#unsealed.splice(0)) this.#startSealing(segment);
    return (this.#open = await this.#create(this.#lastSegment + 1));
  }

  async #create(segment: number): Promise<OpenSegment> {
    const { disk, set, archiveId } = this.#options;
    const path = set.pathOf(segment);
    const entries = new EntryTable();
    const file = await disk.open(path, 'create');
    try {
      await file.write(encodeSegmentHead(archiveId, segment), 0);
    } catch (error) {
      await file.close();
      await disk.remove(path).catch(() => undefined);
      throw this.#judged(error);
    }
    try {
      const identity = await this.#guarded(async () => {
        await disk.syncDirectory(set.directory);
        return (await disk.stat(path))?.identity;
      });
      this.#lastSegment = segment;
      this.#unsynced.add(file);
      set.tables.set(segment, entries);
      return { segment, file, identity, entries, position: segmentHeadBytes };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  #fits(open: OpenSegment, lengthBytes: number, records: number): boolean {
    // A record that is longer than a whole segment may be (in tests only) gets one of its own.
    if (open.entries.count === 0 && records === 1) return true;
    const isShort = open.position + lengthBytes <= this.#options.bodyBytes;
    return isShort && open.entries.count + records <= maxSegmentRecords;
  }

  async #write(open: OpenSegment, records: readonly FramedRecord[]): Promise<IndexedRecord[]> {
    const { segment, file } = open;
    await this.#guarded(() => this.expectInPlace());
    try {
      await file.write(joined(records), open.position);
      // Only now: a sync that began during the write has not covered it.
      this.#unsynced.add(file);
    } catch (error) {
      // The next append writes over what was left; this only spares readers the sight of it.
      await file.truncate(open.position).catch(() => undefined);
      throw this.#judged(error);
    }
    return records.map(({ frame, bytes }) => {
      const place = { ordinal: frame.ordinal, offset: open.position, lengthBytes: bytes.length };
      open.entries.push({ ...place, kind: frame.kind, crc32: frame.crc32 });
      open.position += bytes.length;
      return { ...place, segment };
    });
  }

  #startSealing(open: OpenSegment): void {
    const sealing = this.#sealing
      .use(() => this.#sealNow(open))
      .catch((error: unknown) => {
        this.#unsealed.push(open);
        this.#judged(error);
      });
    const tracked = sealing.finally(() => this.#sealings.delete(tracked));
    this.#sealings.add(tracked);
  }

  async #sealNow(open: OpenSegment): Promise<void> {
    const { set, catalogue, parity, index, disk } = this.#options;
    const { segment, file, entries, position } = open;
    const place = { folder: set.folder, segment, endOffset: position } as const;
    // Syncs take turns: from here on nobody else syncs this file, so a failure cannot be told to the wrong one, and a footer
    // stands only behind a body that is on stable storage.
    await this.sync();
    // A sync that failed before this one may have dropped bytes that this one knows nothing of.
    if (this.#broken) throw this.#broken.cause;
    await catalogue.put(summarize(entries, { ...place, state: 'full', fileBytes: 0 }));
    const path = set.pathOf(segment);
    const readBody: ReadBody | undefined = disk.readBody && ((...facts) => disk.readBody!(path, ...facts));
    const { fileBytes } = await sealSegment(file, position, entries, { parity, ...(readBody && { readBody }) });
    await this.#record(segment, entries);
    await this.#guarded(async () => index?.sync());
    await catalogue.put(summarize(entries, { ...place, state: 'sealed', fileBytes }));
    await set.changed(segment);
    set.tables.delete(segment);
    await file.close();
  }

  /** Runs a sync that must not fail. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#broke(error);
    }
  }

  /** A full disk leaves what is there sound; any other failure to write does not. */
  #judged(error: unknown): unknown {
    return isDiskFull(error) ? error : this.#broke(error);
  }

  #broke(cause: unknown): unknown {
    this.#broken ??= { cause };
    this.#options.onBroken(cause);
    return cause;
  }
}

/** The records' bytes back to back: as they are, when they lie so in one fragment. */
function joined(records: readonly FramedRecord[]): Uint8Array {
  const first = records[0]!.bytes;
  let end = first.byteOffset;
  for (const { bytes } of records) {
    if (bytes.buffer !== first.buffer || bytes.byteOffset !== end) return Buffer.concat(records.map((r) => r.bytes));
    end += bytes.length;
  }
  return new Uint8Array(first.buffer, first.byteOffset, end - first.byteOffset);
}

/** Whether the segments that are there end before a position that was acknowledged. */
async function isBehind(disk: Disk, set: SegmentSet, { segment, bytes }: SegmentPosition): Promise<boolean> {
  const numbers = await set.numbers();
  const facts = numbers.includes(segment) ? await disk.stat(set.pathOf(segment)) : undefined;
  if (facts) return facts.sizeBytes < bytes;
  // A segment that nothing was written to need not be there, but the one before it was.
  return bytes > segmentHeadBytes || (segment > 1 && !numbers.includes(segment - 1));
}

/** Up to where a segment was acknowledged, as far as the last acknowledged position says. */
function acknowledgedIn(segment: number, fullAt: number | undefined, acknowledged: SegmentPosition | undefined) {
  if (fullAt !== undefined) return fullAt;
  if (!acknowledged || segment < acknowledged.segment) return undefined;
  return segment === acknowledged.segment ? acknowledged.bytes : segmentHeadBytes;
}
