/**
 * What lay in records that are lost is stored again, under new ordinals: from a destination that still gives it, or from
 * the files, where they have the same bytes at the same place. A move leads every version that needs it there.
 */
import { hash } from 'node:crypto';
import { CodedError, isRetryable } from '@holdfast/base';
import { ByteWriter, compareBytes } from '../format/cursor.ts';
import { type Extent, isHole, writeExtent } from '../format/extent.ts';
import { directoryStart, type FileKey, keySpaces, moveKey, parseFileKey } from '../format/map-key.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { parseRow, type Row } from '../format/row.ts';
import type { StreamRef } from '../format/stream.ts';
import type { MapEntry } from '../format/tree-node.ts';
import { packedBlockBytes } from '../index/block-table.ts';
import { noIntent } from '../index/commit-table.ts';
import type { LocalIndex } from '../index/local-index.ts';
import { streamExtents } from '../index/stream-extents.ts';
import type { ArchiveState } from '../tree/state.ts';
import type { LoadRecord } from '../tree/tree-reader.ts';
import type { CommitWriter } from './commit-writer.ts';
import type { RecordStore } from './content-store.ts';
import type { LocalPieces } from './local-pieces.ts';
import type { Routes } from './routes.ts';
import { ownersOf } from './set-list.ts';

/** Records of data that some destination lost, and what they held. */
export type LostRecords = {
  readonly ordinals: ReadonlySet<Ordinal>;
  /** The newest state: its rows say what lay in them. */
  readonly state: ArchiveState;
  /** The raw bytes of a record, from whatever destination still gives it. */
  readonly rawOf: (ordinal: Ordinal) => Promise<Uint8Array | undefined>;
};

/** What became of them. */
export type StoredAgain = {
  readonly pieces: number;
  readonly bytes: number;
  /** Records with pieces that nothing gave, and a row that needs one of those. */
  readonly left: ReadonlyMap<Ordinal, FileKey>;
};

/** What storing again works with. */
export type StoreAgainPorts = {
  readonly index: LocalIndex;
  readonly local: LocalPieces;
  readonly own: RecordStore;
  readonly flushOwn: () => void;
  /** Waits until more may be handed over. */
  readonly room: () => Promise<void>;
  readonly routes: Routes;
  readonly commits: CommitWriter;
  readonly afterCommit: () => Promise<void>;
  readonly load: LoadRecord;
  readonly signal: AbortSignal | undefined;
};

/** A piece that is looked for: where a row has it, as the row says it and where that lies now. */
type Wanted = {
  readonly key: FileKey;
  readonly row: Row;
  readonly isContent: boolean;
  readonly position: number;
  readonly named: Extent;
  readonly located: Extent;
};

type OpenRecord = {
  readonly instead: Ordinal;
  readonly ordinal: Ordinal;
  readonly sets: readonly number[];
  readonly isBundle: boolean;
  readonly pieces: Extent[];
  readonly bytes: Uint8Array[];
  length: number;
};

type Missing = { readonly located: Extent; readonly key: FileKey; readonly names: Map<string, Extent> };

const movesACommit = 10_000;
const bytesACommit = 64 * 1024 * 1024;
const mostRecordBytes = 1024 * 1024;

/**
 * Stores again what can be had, commits it, and forgets those lost records of which nothing is needed any more. Bytes that
 * are equal to what was lost are found there no more, whatever comes of it.
 *
 * @throws what makes a backup fail
 */
export async function storeAgain(lost: LostRecords, ports: StoreAgainPorts): Promise<StoredAgain> {
  ports.index.forgetPieces([...lost.ordinals]);
  const work = new StoringAgain(lost, ports);
  const report = await work.run();
  ports.index.forgetRecords([...lost.ordinals].filter((ordinal) => !report.left.has(ordinal)));
  return report;
}

class StoringAgain {
  readonly #lost: LostRecords;
  readonly #ports: StoreAgainPorts;
  /** Where pieces lie now that were had, by where they lay. */
  readonly #had = new Map<string, Extent>();
  readonly #missing = new Map<string, Missing>();
  readonly #moved = new Set<string>();
  #open: OpenRecord | undefined;
  #raw: { readonly ordinal: Ordinal; readonly bytes: Uint8Array | undefined } | undefined;
  #closed: OpenRecord[] = [];
  #moves: MapEntry[] = [];
  #uncommittedBytes = 0;
  #pieces = 0;
  #bytes = 0;

  constructor(lost: LostRecords, ports: StoreAgainPorts) {
    this.#lost = lost;
    this.#ports = ports;
  }

  async run(): Promise<StoredAgain> {
    const { state } = this.#lost;
    for await (const { key, value } of state.range(directoryStart(0), Uint8Array.of(keySpaces.commits))) {
      this.#ports.signal?.throwIfAborted();
      const row = parseRow(value);
      if (row.streams) await this.#look(parseFileKey(key), row);
    }
    await this.#commit();
    const left = new Map<Ordinal, FileKey>();
    for (const { located, key } of this.#missing.values()) left.set(located.ordinal, key);
    return { pieces: this.#pieces, bytes: this.#bytes, left };
  }

  async #look(key: FileKey, row: Row): Promise<void> {
    try {
      for (const stream of row.streams ?? []) await this.#lookInto(stream, key, row);
    } catch (error) {
      // A list of pieces that is lost itself: what it names cannot be known.
      if (!(error instanceof CodedError) || isRetryable(error)) throw error;
      if (!['archive.corrupt', 'archive.record_missing'].includes(error.code)) throw error;
    }
  }

  async #lookInto(stream: StreamRef, key: FileKey, row: Row): Promise<void> {
    const { ordinals, state } = this.#lost;
    const isContent = stream.kind === 'content';
    let position = 0;
    for await (const named of streamExtents(stream, this.#ports.load)) {
      const located = isHole(named) ? named : await state.resolveExtent(named);
      if (ordinals.has(located.ordinal)) await this.#want({ key, row, isContent, position, named, located });
      position += named.length;
    }
  }

  async #want(wanted: Wanted): Promise<void> {
    const { key, named, located } = wanted;
    const at = nameOf(located);
    let now = this.#had.get(at);
    if (!now) {
      const bytes = await this.#bytesOf(wanted);
      now = bytes && (await this.#store(located, bytes, wanted));
    }
    const missing = this.#missing.get(at) ?? { located, key: copyOf(key), names: new Map<string, Extent>() };
    missing.names.set(nameOf(named), named);
    if (!now) return void this.#missing.set(at, missing);
    this.#missing.delete(at);
    // A move may not lead to what is moved itself: every name of these bytes gets one of its own.
    for (const name of missing.names.values()) this.#move(name, now);
    if (this.#moves.length >= movesACommit || this.#uncommittedBytes >= bytesACommit) await this.#commit();
  }

  #move(from: Extent, to: Extent): void {
    const name = nameOf(from);
    if (this.#moved.has(name)) return;
    this.#moved.add(name);
    const writer = new ByteWriter();
    writeExtent(writer, to);
    this.#moves.push({ key: moveKey(from.ordinal, from.offset), value: writer.written() });
  }

  async #bytesOf({ key, row, isContent, position, located }: Wanted): Promise<Uint8Array | undefined> {
    const raw = await this.#rawOf(located.ordinal);
    const kept = raw?.subarray(located.offset, located.offset + located.length);
    if (kept && isPiece(kept, located)) return kept;
    if (row.type !== 'file' || !isContent) return undefined;
    const local = this.#ports.local.read(key, { offset: position, length: located.length });
    return local && isPiece(local, located) ? local : undefined;
  }

  async #rawOf(ordinal: Ordinal): Promise<Uint8Array | undefined> {
    if (this.#raw?.ordinal !== ordinal) this.#raw = { ordinal, bytes: await this.#lost.rawOf(ordinal) };
    return this.#raw.bytes;
  }

  /** Puts a piece into a record of those that shared one before; undefined where none of their destinations is there. */
  async #store(located: Extent, bytes: Uint8Array, { row }: Wanted): Promise<Extent | undefined> {
    const open = this.#open;
    if (open && (open.instead !== located.ordinal || open.length + bytes.length > mostRecordBytes)) this.#close();
    this.#open ??= this.#begin(located, row);
    if (!this.#open) return undefined;
    const { ordinal, pieces, bytes: parts, length } = this.#open;
    const extent = { ordinal, offset: length, length: bytes.length, sha256: located.sha256.slice() };
    pieces.push(extent);
    parts.push(bytes.slice());
    this.#open.length += bytes.length;
    this.#had.set(nameOf(located), extent);
    this.#pieces++;
    this.#bytes += bytes.length;
    this.#uncommittedBytes += bytes.length;
    await this.#ports.room();
    return extent;
  }

  #begin({ ordinal: instead }: Extent, row: Row): OpenRecord | undefined {
    const { index, routes, own } = this.#ports;
    const known = index.recordOwners(instead);
    const sets = ownersOf(known?.sets ?? row.sets ?? []);
    if (!routes.canStore(sets)) return undefined;
    const isBundle = known?.isBundle ?? true;
    return { instead, ordinal: own.reserve(), sets, isBundle, pieces: [], bytes: [], length: 0 };
  }

  #close(): void {
    const record = this.#open;
    if (!record) return;
    this.#open = undefined;
    const { routes, own } = this.#ports;
    const raw = new Uint8Array(Buffer.concat(record.bytes));
    const destinations = routes.sendsTo(record.sets) & routes.ready;
    own.put({ kind: record.isBundle ? 'bundle' : 'block', ordinal: record.ordinal, raw, destinations });
    record.bytes.length = 0;
    this.#closed.push(record);
  }

  async #commit(): Promise<void> {
    this.#close();
    const moves = this.#moves.toSorted((a, b) => compareBytes(a.key, b.key));
    const closed = this.#closed;
    this.#moves = [];
    this.#closed = [];
    this.#uncommittedBytes = 0;
    if (moves.length === 0) return;
    const { flushOwn, commits, afterCommit } = this.#ports;
    flushOwn();
    const { puts: _none, ...nothingElse } = noIntent;
    await commits.write({
      ...nothingElse,
      rows: [],
      entries: moves,
      blocks: closed.map(({ pieces }) => packPieces(pieces)),
      records: closed.map(({ sets, isBundle, ordinal }) => ({ sets, isBundle, ordinals: [ordinal] })),
    });
    await afterCommit();
  }
}

function nameOf({ ordinal, offset }: Extent): string {
  return `${ordinal} ${offset}`;
}

function copyOf({ directoryNumber, name, commit }: FileKey): FileKey {
  return { directoryNumber, name: name.slice(), commit };
}

function isPiece(bytes: Uint8Array, { length, sha256 }: Extent): boolean {
  return bytes.length === length && compareBytes(hash('sha256', bytes, 'buffer'), sha256) === 0;
}

function packPieces(pieces: readonly Extent[]): Uint8Array {
  const packed = new Uint8Array(pieces.length * packedBlockBytes);
  const view = new DataView(packed.buffer);
  for (const [place, { sha256, ordinal, offset, length }] of pieces.entries()) {
    const at = place * packedBlockBytes;
    packed.set(sha256, at);
    view.setFloat64(at + 32, ordinal, true);
    view.setUint32(at + 40, offset, true);
    view.setUint32(at + 44, length, true);
  }
  return packed;
}
