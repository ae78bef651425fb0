import { type Ordinal, ordinalOf, sequenceOf, writerOf } from '../format/ordinal.ts';
import { closeAll, type Disk, type DiskFile, systemErrorCode } from './disk.ts';
import { segmentHeadBytes } from './footer.ts';

/** Where a record lies. */
export type RecordPlace = { readonly segment: number; readonly offset: number; readonly lengthBytes: number };

/** A record and where it lies. */
export type IndexedRecord = RecordPlace & { readonly ordinal: Ordinal };

const entryBytes = 12;
/** Lookups that are closer together than this share one read. */
const sharedReadBytes = 64 * 1024;
const walkBytes = 256 * 1024;

/**
 * Says in which segment a record lies: a flat file per writer, 12 bytes for each sequence number.
 *
 * It is derived: whoever reads a place must check the record there, and an entry that is missing (zeros) proves nothing.
 * Nothing is kept in memory; another process reads the same files.
 */
export class OrdinalIndex {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #files = new Map<number, Promise<DiskFile>>();
  readonly #unsynced = new Set<number>();
  #isNewName = false;
  readonly #mode: 'read' | 'write';

  constructor(disk: Disk, directory: string, mode: 'read' | 'write') {
    this.#disk = disk;
    this.#directory = directory;
    this.#mode = mode;
  }

  async lookup(ordinal: Ordinal): Promise<RecordPlace | undefined> {
    return (await this.lookupMany([ordinal])).get(ordinal);
  }

  /** Places of those that have one. */
  async lookupMany(ordinals: readonly Ordinal[]): Promise<Map<Ordinal, RecordPlace>> {
    const places = new Map<Ordinal, RecordPlace>();
    const sorted = ordinals.toSorted((a, b) => a - b);
    for (let i = 0; i < sorted.length;) {
      const first = sorted[i]!;
      let end = i + 1;
      while (end < sorted.length && isNear(first, sorted[end]!)) end++;
      await this.#readRun(sorted.slice(i, end), places);
      i = end;
    }
    return places;
  }

  async #readRun(run: readonly Ordinal[], places: Map<Ordinal, RecordPlace>): Promise<void> {
    const file = await this.#fileOf(writerOf(run[0]!), 'read');
    if (!file) return;
    const start = sequenceOf(run[0]!) * entryBytes;
    const bytes = new Uint8Array(sequenceOf(run.at(-1)!) * entryBytes + entryBytes - start);
    await file.read(bytes, start).catch(unless('EIO'));
    for (const ordinal of run) {
      const place = placeAt(bytes, sequenceOf(ordinal) * entryBytes - start);
      if (place) places.set(ordinal, place);
    }
  }

  /** Writes places; runs of sequence numbers share one write. */
  async put(records: readonly IndexedRecord[]): Promise<void> {
    const sorted = records.toSorted((a, b) => a.ordinal - b.ordinal);
    for (let i = 0; i < sorted.length;) {
      let end = i + 1;
      while (
        end < sorted.length &&
        sorted[end]!.ordinal === sorted[end - 1]!.ordinal + 1 &&
        isNear(sorted[i]!.ordinal, sorted[end]!.ordinal)
      )
        end++;
      await this.#writeRun(sorted.slice(i, end));
      i = end;
    }
  }

  async #writeRun(run: readonly IndexedRecord[]): Promise<void> {
    const writer = writerOf(run[0]!.ordinal);
    const file = (await this.#fileOf(writer, 'write'))!;
    const bytes = new Uint8Array(run.length * entryBytes);
    const view = new DataView(bytes.buffer);
    for (const [i, { segment, offset, lengthBytes }] of run.entries()) {
      view.setUint32(i * entryBytes, segment, true);
      view.setUint32(i * entryBytes + 4, offset, true);
      view.setUint32(i * entryBytes + 8, lengthBytes, true);
    }
    await file.write(bytes, sequenceOf(run[0]!.ordinal) * entryBytes);
    this.#unsynced.add(writer);
  }

  /** Numbers of the writers that have a file, rising. */
  async writers(): Promise<number[]> {
    const names = await this.#disk.list(this.#directory);
    return names
      .flatMap((name) => /^(\d+)\.idx$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  /** Every record whose place is in a segment: reads all of a writer's file. */
  async *within(writer: number, segment: number): AsyncGenerator<IndexedRecord> {
    const file = await this.#fileOf(writer, 'read');
    if (!file) return;
    const last = await this.lastSequence(writer);
    const step = Math.floor(walkBytes / entryBytes);
    const bytes = new Uint8Array(step * entryBytes);
    for (let first = 0; first <= last; first += step) {
      bytes.fill(0);
      await file.read(bytes, first * entryBytes).catch(unless('EIO'));
      for (let i = 0; i < Math.min(step, last - first + 1); i++) {
        const place = placeAt(bytes, i * entryBytes);
        if (place?.segment === segment) yield { ordinal: ordinalOf(writer, first + i), ...place };
      }
    }
  }

  /** The greatest sequence number the writer's file has room for; -1 where there is none. */
  async lastSequence(writer: number): Promise<number> {
    const file = await this.#fileOf(writer, 'read');
    return file ? Math.floor((await file.size()) / entryBytes) - 1 : -1;
  }

  /** Returns once all that was put is on stable storage. */
  async sync(): Promise<void> {
    for (const writer of this.#unsynced) {
      this.#unsynced.delete(writer);
      await (await this.#files.get(writer)!).sync();
    }
    if (this.#isNewName) await this.#disk.syncDirectory(this.#directory);
    this.#isNewName = false;
  }

  async close(): Promise<void> {
    const files = await Promise.allSettled(this.#files.values());
    this.#files.clear();
    await closeAll(files.flatMap((file) => (file.status === 'fulfilled' ? [() => file.value.close()] : [])));
  }

  async #fileOf(writer: number, mode: 'read' | 'write'): Promise<DiskFile | undefined> {
    const open = this.#files.get(writer);
    if (open) return open;
    const path = `${this.#directory}/${writer}.idx`;
    if (mode === 'read' && !(await this.#disk.stat(path))) return undefined;
    // Another call may have opened it meanwhile; there must be one handle, or the files would pile up.
    const opening = this.#files.get(writer) ?? this.#open(path);
    this.#files.set(writer, opening);
    opening.catch(() => this.#files.delete(writer));
    return opening;
  }

  async #open(path: string): Promise<DiskFile> {
    if (await this.#disk.stat(path)) return this.#disk.open(path, this.#mode);
    this.#isNewName = true;
    return this.#disk.open(path, 'create');
  }
}

function isNear(first: Ordinal, other: Ordinal): boolean {
  return writerOf(first) === writerOf(other) && (other - first + 1) * entryBytes <= sharedReadBytes;
}

function placeAt(bytes: Uint8Array, at: number): RecordPlace | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, entryBytes);
  const [segment, offset, lengthBytes] = [view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true)];
  return segment > 0 && offset >= segmentHeadBytes && lengthBytes > 0 ? { segment, offset, lengthBytes } : undefined;
}

function unless(code: string): (error: unknown) => void {
  return (error) => {
    if (systemErrorCode(error) !== code) throw error;
  };
}
