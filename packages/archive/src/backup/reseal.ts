/**
 * What lies in old records is sealed again under new ordinals, in the newest epoch, and moves lead there. Old is what lies
 * below an ordinal: a writer's numbers rise, so what it made before it began an epoch lies below that epoch's keyring.
 *
 * The bytes come from the destinations, never from the files: those may have others by now. Nodes of the tree and commits
 * are no part of it, since a whole checkpoint stands for all of them: see `closePast`.
 */
import { CodedError, isRetryable } from '@holdfast/base';
import { archiveErrors } from '../errors.ts';
import { type Extent, isHole, type Reference } from '../format/extent.ts';
import { parseList } from '../format/list.ts';
import { directoryStart, type FileKey, keySpaces, parseFileKey } from '../format/map-key.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { parseRow } from '../format/row.ts';
import type { OpenKeys } from '../format/seal.node.ts';
import type { StreamRef } from '../format/stream.ts';
import type { LocalIndex } from '../index/local-index.ts';
import type { ArchiveState } from '../tree/state.ts';
import type { LoadRecord } from '../tree/tree-reader.ts';
import type { CommitWriter } from './commit-writer.ts';
import type { RecordStore } from './content-store.ts';
import { bundledBelowBytes } from './content-store.ts';
import type { ReadableDestination } from './destination.ts';
import { leadingTo, type MoveSources, type Place, sourcesOf } from './move-sources.ts';
import { MovedRecords } from './moved-records.ts';
import { type OldPiece, OldPieces, type ReadPieces } from './old-pieces.ts';
import type { Routes } from './routes.ts';
import { ownersOf } from './set-list.ts';

/** A stretch of resealing: it ends after so many bytes, so that files are looked at in between. */
export type ResealRequest = {
  /** Records below this ordinal are old. */
  readonly below: Ordinal;
  /** Key of the row to begin at; the first one where left out. */
  readonly from?: Uint8Array;
  /** It ends at a commit after so many raw bytes. */
  readonly mostBytes: number;
  /** The newest acknowledged state, at each call. */
  readonly state: () => ArchiveState;
  /** Waits as long as is to be waited after so many milliseconds of work. */
  readonly pace: (busyMs: number) => Promise<void>;
  readonly onProgress: (done: Resealed) => void;
};

/** What was sealed again, and what was not. */
export type Resealed = {
  readonly records: number;
  /** Raw bytes. */
  readonly bytes: number;
  readonly lists: number;
  /** Old records that nobody gave whole, with a row that needs each; of a list nobody gave, the list. */
  readonly left: ReadonlyMap<Ordinal, FileKey>;
  /** The key of the row to go on at; undefined at the end. */
  readonly next: Uint8Array | undefined;
};

/** What resealing works with. */
export type ResealPorts = {
  readonly index: LocalIndex;
  readonly own: RecordStore;
  readonly flushOwn: () => void;
  /** Waits until more may be handed over. */
  readonly room: () => Promise<void>;
  readonly routes: Routes;
  readonly commits: CommitWriter;
  readonly afterCommit: () => Promise<void>;
  readonly load: LoadRecord;
  readonly keys: OpenKeys;
  readonly destinations: () => readonly ReadableDestination[];
  readonly monotonicMs: () => number;
  readonly signal: AbortSignal | undefined;
};

const movesACommit = 10_000;
const bytesACommit = 64 * 1024 * 1024;
const lostCodes: readonly string[] = ['archive.record_missing', 'archive.key_missing'];

/**
 * Seals a stretch of the past again. Killed anywhere it is begun again, and passes over what commits have moved by then.
 *
 * @throws what makes a backup fail, and what reading from the destinations throws
 */
export async function resealStretch(request: ResealRequest, ports: ResealPorts): Promise<Resealed> {
  // What is equal to old bytes is stored anew from now on: it must not make an old record be needed again.
  if (!request.from) ports.index.forgetPiecesBelow(request.below);
  return new Resealing(request, ports).run();
}

class Resealing {
  readonly #request: ResealRequest;
  readonly #ports: ResealPorts;
  readonly #left = new Map<Ordinal, FileKey>();
  readonly #waiting = new OldPieces();
  #state: ArchiveState;
  #sources: MoveSources = new Map();
  #moved: MovedRecords;
  #busyFromMs: number;
  #records = 0;
  #bytes = 0;
  #lists = 0;

  constructor(request: ResealRequest, ports: ResealPorts) {
    this.#request = request;
    this.#ports = ports;
    this.#state = request.state();
    this.#moved = new MovedRecords(ports.own);
    this.#busyFromMs = ports.monotonicMs();
  }

  async run(): Promise<Resealed> {
    const { from = directoryStart(0), mostBytes } = this.#request;
    const start = this.#state;
    this.#sources = await sourcesOf(start, { has: (ordinal) => this.#isOld(ordinal) });
    let next: Uint8Array | undefined;
    // Rows stay as they are meanwhile; only where their bytes lie is asked of the newest state.
    for await (const { key, value } of start.range(from, Uint8Array.of(keySpaces.commits))) {
      this.#ports.signal?.throwIfAborted();
      if (this.#bytes + this.#waiting.bytes >= mostBytes) next = key.slice();
      if (next) break;
      const row = parseRow(value);
      for (const stream of row.streams ?? []) await this.#look(stream, parseFileKey(key), ownersOf(row.sets ?? []));
      // Of a very long file the rest is for the next stretch: what was moved by then is passed over.
      if (this.#bytes >= mostBytes) next = key.slice();
      if (next) break;
    }
    await this.#read();
    await this.#commit();
    return this.#report(next);
  }

  #report(next: Uint8Array | undefined): Resealed {
    return { records: this.#records, bytes: this.#bytes, lists: this.#lists, left: this.#left, next };
  }

  #isOld(ordinal: Ordinal): boolean {
    return ordinal < this.#request.below;
  }

  async #look(stream: StreamRef, key: FileKey, sets: readonly number[]): Promise<void> {
    for await (const named of this.#extentsOf(stream, key)) {
      if (isHole(named)) continue;
      if (this.#bytes >= this.#request.mostBytes) break;
      const lies = await this.#state.resolveExtent(named);
      if (this.#isOld(lies.ordinal)) await this.#want(named, lies, { key, sets });
    }
  }

  async *#extentsOf(stream: StreamRef, key: FileKey): AsyncGenerator<Extent> {
    yield* stream.extents ?? [];
    if (stream.list) yield* this.#listed(stream.list.list, stream.list.level, key);
  }

  async *#listed(named: Reference, level: number, key: FileKey): AsyncGenerator<Extent> {
    const lies = await this.#state.resolveList(named);
    const raw = await this.#listAt(lies, key);
    if (!raw) return;
    const list = parseList(raw);
    if (list.level !== level) throw archiveErrors.corrupt({ what: `a list is of level ${list.level}, not ${level}` });
    if (this.#isOld(lies.ordinal)) await this.#moveList(named, { ...lies, offset: 0, length: raw.length }, raw);
    if (list.level === 0) yield* list.extents;
    else for (const entry of list.entries) yield* this.#listed(entry.list, level - 1, key);
  }

  /** Undefined where nobody gives it whole: the other files are sealed again all the same. */
  async #listAt(lies: Reference, key: FileKey): Promise<Uint8Array | undefined> {
    try {
      return await this.#ports.load(lies);
    } catch (error) {
      if (!(error instanceof CodedError) || isRetryable(error)) throw error;
      if (error.kind !== 'corrupt' && !lostCodes.includes(error.code)) throw error;
      this.#left.set(lies.ordinal, copyOf(key));
      return undefined;
    }
  }

  async #moveList(named: Reference, lies: Extent, raw: Uint8Array): Promise<void> {
    const copied = { ...lies, sha256: lies.sha256.slice() };
    let now = this.#moved.now(lies);
    if (!now) {
      now = this.#moved.storeList(copied, raw);
      this.#lists++;
      this.#bytes += raw.length;
    }
    this.#lead([{ ordinal: named.ordinal, offset: 0 }], copied, now);
    await this.#ports.room();
    await this.#commitIfDue();
  }

  async #want(named: Extent, lies: Extent, of: { key: FileKey; sets: readonly number[] }): Promise<void> {
    const name = { ordinal: named.ordinal, offset: named.offset };
    const now = this.#moved.now(lies);
    if (now) return this.#lead([name], lies, now);
    const waiting = this.#waiting.at(lies);
    if (waiting) return void waiting.names.push(name);
    const copied = { ...lies, sha256: lies.sha256.slice() };
    this.#waiting.add({ lies: copied, key: copyOf(of.key), sets: of.sets, names: [name] });
    if (!this.#waiting.isFull) return;
    await this.#read();
    await this.#commitIfDue();
  }

  async #read(): Promise<void> {
    const { destinations, keys, signal, monotonicMs } = this.#ports;
    const reading = this.#waiting.read(destinations(), keys, signal);
    for (;;) {
      const { done, value } = await reading.next();
      if (done) {
        for (const { lies, key } of value) this.#left.set(lies.ordinal, key);
        break;
      }
      await this.#store(value);
    }
    await this.#request.pace(monotonicMs() - this.#busyFromMs);
    this.#busyFromMs = monotonicMs();
    this.#request.onProgress(this.#report(undefined));
  }

  async #store({ pieces, raw }: ReadPieces): Promise<void> {
    const { index, routes, room } = this.#ports;
    const [{ lies, key, sets: ofRow }] = pieces as [OldPiece];
    const known = index.recordOwners(lies.ordinal);
    const sets = ownersOf(known?.sets ?? ofRow);
    if (!routes.canStore(sets)) return void this.#left.set(lies.ordinal, key);
    const isBundle = known?.isBundle ?? (lies.offset > 0 || lies.length < bundledBelowBytes);
    const withBytes = pieces.map((piece) => {
      const { offset, length } = piece.lies;
      return { lies: piece.lies, bytes: raw.subarray(offset, offset + length) };
    });
    this.#moved.storePieces(withBytes, { sets, isBundle, destinations: routes.sendsTo(sets) & routes.ready });
    for (const piece of pieces) this.#lead(piece.names, piece.lies, this.#moved.now(piece.lies)!);
    this.#records++;
    this.#bytes += pieces.reduce((sum, piece) => sum + piece.lies.length, 0);
    await room();
  }

  /** Leads on the names that rows have, and those of moves that led to where it lay. */
  #lead(names: readonly Place[], lay: Extent, to: Extent): void {
    this.#moved.lead([...names, ...leadingTo(this.#sources, lay)], to);
  }

  async #commitIfDue(): Promise<void> {
    if (this.#moved.moves < movesACommit && this.#moved.bytes < bytesACommit) return;
    await this.#read();
    await this.#commit();
  }

  async #commit(): Promise<void> {
    if (this.#moved.moves === 0) return;
    const { flushOwn, commits, afterCommit, own } = this.#ports;
    flushOwn();
    await commits.write(this.#moved.content());
    await afterCommit();
    this.#moved = new MovedRecords(own);
    this.#state = this.#request.state();
  }
}

function copyOf({ directoryNumber, name, commit }: FileKey): FileKey {
  return { directoryNumber, name: name.slice(), commit };
}
