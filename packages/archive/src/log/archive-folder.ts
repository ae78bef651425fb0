import { type Clock, Semaphore } from '@holdfast/base';
import type { Ordinal } from '../format/ordinal.ts';
import { RecordKind } from '../format/record.ts';
import { Catalogue, type SequenceRange } from './catalogue.ts';
import { closeAll, type Disk, isDiskFull } from './disk.ts';
import { logErrors } from './errors.ts';
import { folderStatus, type FolderStatus, isIndexBehind } from './folder-status.ts';
import { FolderReader, type ReadOutcome } from './folder-reader.ts';
import { archiveOfHead, maxBodyBytes, segmentHeadBytes, type SegmentEntry } from './footer.ts';
import { splitFragment } from './fragment.ts';
import { expectKeyNameFree, keyFileName, writeKeyFiles } from './key-files.ts';
import { GroupRun } from './group-run.ts';
import { type IndexedRecord, OrdinalIndex } from './ordinal-index.ts';
import { repairFolder, type RepairReport } from './repair.ts';
import { keyRecordsIn, type ScrubbedFolder, scrubFolder, type ScrubOptions, type ScrubReport } from './scrub.ts';
import { SegmentSet } from './segment-set.ts';
import { type FramedRecord, type SegmentPosition, SegmentWriter } from './segment-writer.ts';

/** Up to where a folder's records are on stable storage and indexed: what may be acknowledged. */
export type FolderPosition = { readonly segments: SegmentPosition; readonly copies?: SegmentPosition };

/** What opening a folder needs. */
export type FolderOptions = {
  readonly dir: string;
  readonly archiveId: Uint8Array;
  readonly disk: Disk;
  readonly clock: Clock;
  /** `read` changes nothing on the disk, and sees what another process has synced. */
  readonly mode: 'write' | 'read';
  /** Whether segments get parity when they are sealed: for stores without redundancy of their own. */
  readonly parity: boolean;
  /** Whether records other than blocks and bundles are kept twice. */
  readonly copies: boolean;
  /** The last position `sync` gave that the caller has on stable storage; left out where nobody knows. */
  readonly acknowledged?: FolderPosition;
  /** When a segment is full; 64 MiB, less in tests. */
  readonly segmentBodyBytes?: number;
};

/** What `append` did with each record. */
export type Appended = {
  /** Records written, in the order in which they came. */
  readonly written: readonly { readonly ordinal: Ordinal; readonly kind: number; readonly lengthBytes: number }[];
  /** Records that were here already, with the same bytes. */
  readonly repeated: readonly Ordinal[];
};

/** Bytes that `examine` has looked at: whole records, which of them are here already, and what `append` need not find out again. */
export type ExaminedFragment = {
  readonly records: readonly { readonly bytes: Uint8Array; readonly isKnown: boolean }[];
  readonly framed: readonly FramedRecord[];
  readonly known: ReadonlySet<Ordinal>;
  /** How often records had been added before. */
  readonly afterAppends: number;
};

type Parts = {
  readonly options: FolderOptions;
  readonly catalogue: Catalogue;
  readonly index: OrdinalIndex;
  readonly segments: SegmentSet;
  readonly copies: SegmentSet;
};

type Writers = { readonly segments: SegmentWriter; readonly copies?: SegmentWriter };

/**
 * The folder in which an archive's records lie (§13 of the format): appended to by one writer, read by many.
 *
 * A record may be acknowledged once a `sync` that began after its `append` has returned: then it is on stable storage,
 * indexed, and found by any process that opens the folder. Whatever fails to be synced closes the folder for good
 * (`log.poisoned`); opening it again recovers it. Memory does not grow with the number of records.
 */
export class ArchiveFolder {
  readonly #parts: Parts;
  readonly #reader: FolderReader;
  /** Records that were appended and are not yet indexed. */
  readonly #pending = new Map<Ordinal, IndexedRecord>();
  /** Headers and keyrings that were appended and are not yet in the keys folder. */
  readonly #pendingKeys = new Set<Uint8Array>();
  readonly #turn = new Semaphore(1);
  readonly #syncing = new GroupRun(() => this.#syncNow());
  #writers: Writers | undefined;
  #broken: { readonly cause: unknown } | undefined;
  #isClosed = false;
  /** Of the folder itself, as `Disk.stat` gives it. */
  #identity: string | undefined;
  /** How often records were added. */
  #appends = 0;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.#reader = new FolderReader({ ...parts, disk: parts.options.disk, keysDirectory: `${parts.options.dir}/keys` });
  }

  /**
   * Opens a folder, or makes it, and recovers it from a crash: see `recoverSegment`. Index and catalogue are made again
   * where they are missing or behind.
   *
   * @throws log.other_archive where the folder is of another archive.
   */
  static async open(options: FolderOptions): Promise<ArchiveFolder> {
    const { disk, dir, mode } = options;
    const indexDirectory = `${dir}/index`;
    if (mode === 'write') for (const name of ['keys', 'index']) await disk.makeDirectory(`${dir}/${name}`);
    const catalogue = await Catalogue.open(disk, indexDirectory);
    const index = new OrdinalIndex(disk, indexDirectory, mode);
    const segments = new SegmentSet(disk, dir, 'segments', catalogue);
    const copies = new SegmentSet(disk, dir, 'copies', catalogue);
    const folder = new ArchiveFolder({ options, catalogue, index, segments, copies });
    try {
      await folder.#expectArchive();
      if (mode === 'write') await folder.#recover();
      else await folder.#refresh();
    } catch (error) {
      await folder.#release();
      throw folder.#declared(error);
    }
    return folder;
  }

  /**
   * Adds the records that `bytes` are, back to back; whole records only. They are not acknowledged before `sync`.
   *
   * Records that are here with the same bytes are passed over, so a fragment may be sent again. Either all are taken or none.
   * What `examine` gave is taken as it is, unchecked: its bytes must not have changed since.
   * @throws log.record_invalid, log.ordinal_known, log.keyring_known (nothing changed); log.disk_full (may be tried again);
   * log.poisoned.
   */
  async append(bytes: Uint8Array | ExaminedFragment): Promise<Appended> {
    this.#writable();
    const examined = bytes instanceof Uint8Array ? undefined : bytes;
    const records = bytes instanceof Uint8Array ? splitFragment(bytes) : bytes.framed;
    return this.#turn.use(async () => {
      const writers = this.#writable();
      const isFresh = examined?.afterAppends === this.#appends;
      const known = isFresh ? examined.known : await this.#knownOf(records);
      const fresh = records.filter(({ frame }) => !known.has(frame.ordinal));
      this.#appends++;
      try {
        await this.#write(writers, fresh);
      } catch (error) {
        throw this.#declared(error);
      }
      return {
        written: fresh.map(({ frame: { ordinal, kind, lengthBytes } }) => ({ ordinal, kind, lengthBytes })),
        repeated: [...known],
      };
    });
  }

  /** The records `bytes` are, and which of them are here already; adds nothing. @throws as `append` does before it writes. */
  async examine(bytes: Uint8Array): Promise<ExaminedFragment> {
    this.#usable();
    const framed = splitFragment(bytes);
    const afterAppends = this.#appends;
    const known = await this.#knownOf(framed);
    const records = framed.map(({ frame, bytes: record }) => ({ bytes: record, isKnown: known.has(frame.ordinal) }));
    return { records, framed, known, afterAppends };
  }

  /** Whether less was here when it was opened than was acknowledged: an older copy took its place, or its end is lost. */
  get isBehind(): boolean {
    return this.#writers?.segments.isBehind ?? false;
  }

  /** @throws log.moved where the folder, or what was written last, is not where it was: renamed, removed, unmounted */
  async expectInPlace(): Promise<void> {
    const { disk, dir } = this.#parts.options;
    const writers = this.#writable();
    if ((await disk.stat(dir))?.identity !== this.#identity) throw logErrors.moved({ dir });
    await writers.segments.expectInPlace();
    await writers.copies?.expectInPlace();
  }

  /** Returns once all that was appended before is on stable storage and indexed. Calls that come meanwhile share one sync. */
  sync(): Promise<FolderPosition> {
    return this.#syncing.run();
  }

  /** Whether a record of that ordinal was stored here; it is not read. */
  async has(ordinal: Ordinal): Promise<boolean> {
    this.#usable();
    return (await this.#reader.locate(ordinal)) !== undefined;
  }

  /** Reads records in storage order, each asked for once: checked, mended from parity or copies where needed, or named as lost. */
  async *read(ordinals: readonly Ordinal[]): AsyncGenerator<ReadOutcome> {
    this.#usable();
    yield* this.#reader.read(ordinals);
  }

  /** Where files of this folder have records, by the index alone and unread, in storage order; see `Destination.locate`. */
  async locate(ordinals: readonly Ordinal[]): ReturnType<FolderReader['places']> {
    this.#usable();
    return this.#reader.places(ordinals);
  }

  async readOne(ordinal: Ordinal): Promise<ReadOutcome> {
    this.#usable();
    return this.#reader.readOne(ordinal);
  }

  /**
   * Entries of all records of a kind (of every kind when left out), in storage order; appended ones too.
   *
   * Segments whose ranges `mayHold` denies are passed over unread.
   */
  async *list(
    kind?: number,
    mayHold?: (ranges: readonly SequenceRange[]) => boolean,
  ): AsyncGenerator<SegmentEntry & { readonly segment: number }> {
    this.#usable();
    if (this.#parts.options.mode === 'read') await this.#refresh();
    yield* this.#parts.segments.entries(kind, mayHold);
  }

  async status(): Promise<FolderStatus> {
    this.#usable();
    if (this.#parts.options.mode === 'read') await this.#refresh();
    return folderStatus(this.#parts.segments, this.#writers?.segments.damage ?? []);
  }

  /** Reads everything and says what is damaged; changes nothing but index entries that are wrong. */
  async scrub(options: ScrubOptions = {}): Promise<ScrubReport> {
    this.#usable();
    return scrubFolder(this.#scrubbed(), options);
  }

  /** Mends what a scrub finds: see `repairFolder`. Only where the folder is open for writing. */
  async repair(options: ScrubOptions = {}): Promise<RepairReport> {
    this.#writable();
    const report = await this.scrub(options);
    const { archiveId, parity } = this.#parts.options;
    const storeAgain = (bytes: Uint8Array) => this.#appendAgain(bytes);
    const repaired = await repairFolder({ folder: this.#scrubbed(), archiveId, parity, storeAgain }, report);
    await this.sync();
    return repaired;
  }

  /** Seals the open segments now, so that parity covers all that was appended, and waits for all sealing under way. */
  async seal(): Promise<void> {
    await this.sync();
    await this.#turn.use(async () => {
      const writers = this.#writable();
      await writers.segments.seal();
      await writers.copies?.seal();
      this.#writable();
    });
  }

  /** Waits until no segment is being sealed. */
  async settle(): Promise<void> {
    await this.#writers?.segments.settle();
    await this.#writers?.copies?.settle();
  }

  /** Closes the folder. What was appended and not synced may be lost. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#syncing.settle();
    await this.#turn.use(() => this.#release());
  }

  async #knownOf(records: readonly FramedRecord[]): Promise<Set<Ordinal>> {
    const known = new Set<Ordinal>();
    const places = await this.#parts.index.lookupMany(records.map(({ frame }) => frame.ordinal));
    for (const { frame, bytes } of records) {
      const { ordinal } = frame;
      const place = this.#pending.get(ordinal) ?? places.get(ordinal);
      if (!place) continue;
      const stored =
        (await this.#parts.segments.readAt(ordinal, place))?.bytes ?? foundBytes(await this.#reader.readOne(ordinal));
      // What was lost is taken again from whoever still has it, if it is as long as what was here.
      if (!stored && place.lengthBytes === bytes.length) continue;
      if (!stored || Buffer.compare(stored, bytes) !== 0) throw logErrors.ordinal_known({ ordinal });
      known.add(ordinal);
    }
    return known;
  }

  /** Second copies go first: when the records themselves fail then, they are not known, and will be sent again. */
  async #write(writers: Writers, records: readonly FramedRecord[]): Promise<void> {
    const { disk, dir } = this.#parts.options;
    const keys = records.flatMap(({ bytes }) => (keyFileName(bytes) ? [Uint8Array.from(bytes)] : []));
    for (const record of keys) await expectKeyNameFree(disk, `${dir}/keys`, record, this.#pendingKeys);
    await writers.copies?.append(records.filter(({ frame }) => isKeptTwice(frame.kind)));
    const placed = await writers.segments.append(records);
    for (const record of placed) this.#pending.set(record.ordinal, record);
    for (const record of keys) this.#pendingKeys.add(record);
  }

  async #appendAgain(bytes: Uint8Array): Promise<void> {
    await this.#turn.use(async () => {
      this.#appends++;
      for (const record of await this.#writable().segments.append(splitFragment(bytes))) {
        this.#pending.set(record.ordinal, record);
      }
    });
  }

  async #syncNow(): Promise<FolderPosition> {
    const writers = this.#writable();
    const taken = [...this.#pending.values()];
    const keys = [...this.#pendingKeys];
    const copies = writers.copies?.position;
    const position = { segments: writers.segments.position ?? firstPosition, ...(copies ? { copies } : {}) };
    try {
      await Promise.all([writers.segments.sync(), writers.copies?.sync()]);
      await this.#writeKeys(keys);
      await this.#parts.index.put(taken);
      await this.expectInPlace();
    } catch (error) {
      if (!isDiskFull(error)) this.#break(error);
      throw this.#declared(error);
    }
    for (const { ordinal } of taken) this.#pending.delete(ordinal);
    // Sealing may have broken the folder meanwhile; then nobody knows what the disk still takes.
    this.#writable();
    return position;
  }

  /** Only after their records are on stable storage, so that a crash leaves no keyring that the log does not have. */
  async #writeKeys(records: readonly Uint8Array[]): Promise<void> {
    const { disk, dir } = this.#parts.options;
    for (const record of records) {
      await writeKeyFiles(disk, `${dir}/keys`, record);
      this.#pendingKeys.delete(record);
    }
  }

  #break(cause: unknown): void {
    this.#broken ??= { cause };
  }

  #usable(): void {
    if (this.#isClosed) throw logErrors.closed();
  }

  #writable(): Writers {
    this.#usable();
    if (this.#broken) throw logErrors.poisoned({}, this.#broken.cause);
    if (!this.#writers) throw logErrors.read_only();
    return this.#writers;
  }

  /** A failure of the disk as one of the folder's own errors. */
  #declared(error: unknown): unknown {
    if (this.#broken) return logErrors.poisoned({}, this.#broken.cause);
    return isDiskFull(error) ? logErrors.disk_full({}, error) : error;
  }

  async #recover(): Promise<void> {
    const { options, catalogue, index, segments, copies } = this.#parts;
    const { disk, dir, archiveId, parity, acknowledged } = options;
    this.#identity = (await disk.stat(dir))?.identity;
    for (const name of ['keys', 'index']) await disk.syncDirectory(`${dir}/${name}`);
    if (await isIndexBehind(catalogue, index)) await catalogue.dropSealed();
    const shared = {
      disk,
      catalogue,
      archiveId,
      parity,
      retiredDirectory: `${dir}/retired`,
      bodyBytes: options.segmentBodyBytes ?? maxBodyBytes,
      onBroken: (cause: unknown) => this.#break(cause),
    };
    const main = await SegmentWriter.open({ ...shared, set: segments, index }, acknowledged?.segments);
    this.#writers = { segments: main };
    await this.#writeKeys([...(await keyRecordsIn(segments)).values()]);
    if (!options.copies) return this.#refreshSet(copies);
    const second = { ...shared, set: copies, index: undefined };
    this.#writers = { segments: main, copies: await SegmentWriter.open(second, acknowledged?.copies) };
  }

  async #refresh(): Promise<void> {
    await this.#refreshSet(this.#parts.segments);
    await this.#refreshSet(this.#parts.copies);
  }

  /** Looks at segments that came, grew or were sealed since the last time. */
  async #refreshSet(set: SegmentSet): Promise<void> {
    const sealed = new Set(set.sealed().map(({ segment }) => segment));
    for (const segment of await set.numbers()) {
      if (sealed.has(segment)) continue;
      await set.look(segment);
    }
  }

  async #expectArchive(): Promise<void> {
    const { segments, options } = this.#parts;
    const [first] = await segments.numbers();
    if (first === undefined) return;
    const head = new Uint8Array(segmentHeadBytes);
    await segments.withSegment(first, (file) => file.read(head, 0)).catch(() => undefined);
    const archiveId = archiveOfHead(head);
    if (archiveId && Buffer.compare(archiveId, options.archiveId) !== 0) throw logErrors.other_archive();
  }

  #scrubbed(): ScrubbedFolder {
    const { options, ...parts } = this.#parts;
    const { disk, dir, clock, mode } = options;
    return { ...parts, disk, dir, clock, mode, reader: this.#reader, pending: this.#pending };
  }

  async #release(): Promise<void> {
    const { catalogue, index, segments, copies } = this.#parts;
    const parts = [this.#writers?.segments, this.#writers?.copies, catalogue, index, segments, copies];
    await closeAll(parts.map((part) => async () => part?.close()));
  }
}

const firstPosition: SegmentPosition = { segment: 1, bytes: segmentHeadBytes };

function isKeptTwice(kind: number): boolean {
  return kind !== RecordKind.block && kind !== RecordKind.bundle;
}

function foundBytes(outcome: ReadOutcome): Uint8Array | undefined {
  return outcome.status === 'found' ? outcome.bytes : undefined;
}
