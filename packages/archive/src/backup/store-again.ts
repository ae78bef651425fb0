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
import { type ArchiveState, listLoader } from '../tree/state.ts';
import type { LoadRecord } from '../tree/tree-reader.ts';
import type { CommitWriter } from './commit-writer.ts';
import type { RecordStore } from './content-store.ts';
import type { LocalPieces } from './local-pieces.ts';
import { leadingTo, type MoveSources, nameOf, type Place, sourcesOf } from './move-sources.ts';
import type { Routes } from './routes.ts';
import { ownersOf } from './set-list.ts';

/** Records of data that some destination lost, and what they held. */
export type LostRecords = {
  readonly ordinals: ReadonlySet<Ordinal>;
  /** The newest state: its rows say what lay in them. */
  readonly state: ArchiveState;
  /** The raw bytes of a record as one destination after the other gives them; which of them are right is seen by their pieces. */
  readonly rawsOf: (ordinal: Ordinal) => AsyncIterable<Uint8Array>;
};

/** What became of them. */
export type StoredAgain = {
  readonly pieces: number;
  readonly bytes: number;
  /**
   * Records with pieces that nothing gave, and a row that needs one of those. Where a list of pieces is lost itself, also
   * every record of which no piece was stored, and a row with such a list: what it names cannot be known.
   */
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
  /** Where moves lead from there, step by step: more than one where a chain was left behind, until something is not lost. */
  readonly places: readonly Extent[];
  /** The last of these. */
  readonly located: Extent;
};

/** What destinations gave for a record, as far as they were asked. */
type GivenRaws = {
  readonly ordinal: Ordinal;
  readonly seen: Uint8Array[];
  readonly more: AsyncIterator<Uint8Array>;
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

/** What nothing gave: a row that needs it, the lost records on the way to it, and the names under which rows look for it. */
type Missing = {
  readonly key: FileKey;
  readonly ordinals: Set<Ordinal>;
  readonly names: Map<string, Place>;
};

const movesACommit = 10_000;
const bytesACommit = 64 * 1024 * 1024;
const mostRecordBytes = 1024 * 1024;
/** A chain of moves gets longer by one where mending is cut short and what it stored is lost, too. */
const mostSteps = 16;
const lostCodes: readonly string[] = ['archive.record_missing', 'archive.key_missing'];

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
  // What an unread list names may lie in any of them, and a destination that still gives it be sent to others one day.
  if (!work.isListLost) ports.index.forgetRecords([...lost.ordinals].filter((ordinal) => !report.left.has(ordinal)));
  return report;
}

class StoringAgain {
  readonly #lost: LostRecords;
  readonly #ports: StoreAgainPorts;
  /** Where pieces lie now that were had, by where they lay. */
  readonly #had = new Map<string, Extent>();
  readonly #missing = new Map<string, Missing>();
  readonly #moved = new Set<string>();
  /** Records of which something was had. */
  readonly #hadOf = new Set<Ordinal>();
  #sources: MoveSources = new Map();
  /** A row with a list of pieces that is lost itself. */
  #unread: FileKey | undefined;
  #open: OpenRecord | undefined;
  #raws: GivenRaws | undefined;
  #closed: OpenRecord[] = [];
  #moves: MapEntry[] = [];
  #uncommittedBytes = 0;
  #pieces = 0;
  #bytes = 0;

  constructor(lost: LostRecords, ports: StoreAgainPorts) {
    this.#lost = lost;
    this.#ports = ports;
  }

  get isListLost(): boolean {
    return this.#unread !== undefined;
  }

  async run(): Promise<StoredAgain> {
    const { state, ordinals } = this.#lost;
    this.#sources = await sourcesOf(state, ordinals);
    for await (const { key, value } of state.range(directoryStart(0), Uint8Array.of(keySpaces.commits))) {
      this.#ports.signal?.throwIfAborted();
      const row = parseRow(value);
      for (const stream of row.streams ?? []) await this.#look(stream, parseFileKey(key), row);
    }
    await this.#commit();
    const left = new Map<Ordinal, FileKey>();
    const unread = this.#unread;
    for (const ordinal of unread ? ordinals : []) if (!this.#hadOf.has(ordinal)) left.set(ordinal, unread!);
    for (const { ordinals: on, key } of this.#missing.values()) for (const ordinal of on) left.set(ordinal, key);
    return { pieces: this.#pieces, bytes: this.#bytes, left };
  }

  async #look(stream: StreamRef, key: FileKey, row: Row): Promise<void> {
    const { ordinals } = this.#lost;
    const isContent = stream.kind === 'content';
    let position = 0;
    for await (const named of this.#piecesOf(stream, key)) {
      const places = isHole(named) ? [named] : await this.#placesOf(named);
      const [lay] = places;
      const located = places.at(-1) ?? named;
      if (lay && ordinals.has(lay.ordinal)) await this.#want({ key, row, isContent, position, named, places, located });
      position += named.length;
    }
  }

  /** The pieces of a stream, as far as they are known: what comes behind a list that is lost itself is not. */
  async *#piecesOf(stream: StreamRef, key: FileKey): AsyncGenerator<Extent> {
    try {
      yield* streamExtents(stream, listLoader(this.#lost.state, this.#ports.load));
    } catch (error) {
      // Whoever gives something else for a list must not keep the other files from being mended.
      if (!(error instanceof CodedError) || isRetryable(error)) throw error;
      if (error.kind !== 'corrupt' && !lostCodes.includes(error.code)) throw error;
      this.#unread ??= copyOf(key);
    }
  }

  /** Readers follow one move; from what is lost, what was cut short may have gone on. */
  async #placesOf(named: Extent): Promise<Extent[]> {
    const { ordinals, state } = this.#lost;
    const places = [await state.resolveExtent(named)];
    for (let at = places[0]!; ordinals.has(at.ordinal) && places.length < mostSteps; at = places.at(-1)!) {
      const next = await state.resolveExtent(at);
      if (nameOf(next) === nameOf(at)) break;
      places.push(next);
    }
    return places;
  }

  async #want(wanted: Wanted): Promise<void> {
    const { key, named, places, located } = wanted;
    const at = nameOf(located);
    let now = this.#lost.ordinals.has(located.ordinal) ? this.#had.get(at) : located;
    if (!now) {
      const bytes = await this.#bytesOf(wanted);
      now = bytes && (await this.#store(located, bytes, wanted));
    }
    const missing = this.#missing.get(at) ?? { key: copyOf(key), ordinals: new Set(), names: new Map<string, Place>() };
    missing.names.set(nameOf(named), named);
    for (const { ordinal } of places) if (this.#lost.ordinals.has(ordinal)) missing.ordinals.add(ordinal);
    if (!now) return void this.#missing.set(at, missing);
    this.#missing.delete(at);
    this.#lead([...missing.names.values(), ...places.flatMap((place) => leadingTo(this.#sources, place))], now);
    for (const ordinal of missing.ordinals) this.#hadOf.add(ordinal);
    if (this.#moves.length >= movesACommit || this.#uncommittedBytes >= bytesACommit) await this.#commit();
  }

  /** A move may not lead to what is moved itself: every name of the same bytes gets one of its own, all in one commit. */
  #lead(names: readonly Place[], to: Extent): void {
    for (const name of names) this.#move(name, to);
  }

  #move(from: Place, to: Extent): void {
    const name = nameOf(from);
    if (this.#moved.has(name)) return;
    this.#moved.add(name);
    const writer = new ByteWriter();
    writeExtent(writer, to);
    this.#moves.push({ key: moveKey(from.ordinal, from.offset), value: writer.written() });
  }

  async #bytesOf({ key, row, isContent, position, located }: Wanted): Promise<Uint8Array | undefined> {
    const kept = await this.#given(located);
    if (kept) return kept;
    if (row.type !== 'file' || !isContent) return undefined;
    const local = this.#ports.local.read(key, { offset: position, length: located.length });
    return local && isPiece(local, located) ? local : undefined;
  }

  /** The piece as one of the destinations has it. Each is asked once for a record, in turn until a piece is right. */
  async #given(located: Extent): Promise<Uint8Array | undefined> {
    const { ordinal, offset, length } = located;
    if (this.#raws?.ordinal !== ordinal) {
      this.#raws = { ordinal, seen: [], more: this.#lost.rawsOf(ordinal)[Symbol.asyncIterator]() };
    }
    const { seen, more } = this.#raws;
    for (let place = 0; ; place++) {
      if (place === seen.length) {
        const next = await more.next();
        if (next.done) return undefined;
        seen.push(next.value);
      }
      const piece = seen[place]!.subarray(offset, offset + length);
      if (isPiece(piece, located)) return piece;
    }
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
