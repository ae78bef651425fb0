/**
 * The versions that only a branch has become versions of the line: what lay in records of the branch is sealed again under
 * ordinals of this writer, and rows are put that come before the present one. What is there now stays the newest version.
 */
import { hash } from 'node:crypto';
import { CodedError, isRetryable } from '@holdfast/base';
import { archiveErrors, corrupt } from '../errors.ts';
import type { BranchVersion } from '../branch/branch-versions.ts';
import { compareBytes } from '../format/cursor.ts';
import { type Extent, isHole } from '../format/extent.ts';
import { fileKey } from '../format/map-key.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { encodeRow, type Row } from '../format/row.ts';
import type { StreamRef } from '../format/stream.ts';
import type { MapEntry } from '../format/tree-node.ts';
import type { OwnedRecords } from '../index/block-table.ts';
import { noIntent } from '../index/commit-table.ts';
import { streamExtents } from '../index/stream-extents.ts';
import type { ArchiveState } from '../tree/state.ts';
import type { LoadRecord } from '../tree/tree-reader.ts';
import type { CommitWriter } from './commit-writer.ts';
import { bundledBelowBytes, type ContentStore, type RecordStore } from './content-store.ts';
import { makeStream } from './make-row.ts';
import { isSameVersion } from './same-version.ts';
import { isCredentialPath } from './selection.ts';
import { TakenPlaces } from './taken-places.ts';

/** A branch, as far as its versions are to be taken in. */
export type BranchContent = {
  /** Its own newest state. */
  readonly state: ArchiveState;
  /** In the order of its commits. */
  readonly versions: () => AsyncIterable<BranchVersion>;
  /** Loads lists of the branch. */
  readonly load: LoadRecord;
  /** The raw bytes of a record of the branch; undefined where it is not there, or altered. */
  readonly rawOf: (ordinal: Ordinal) => Promise<Uint8Array | undefined>;
  /** Number of the newest commit when this branch began to be taken in: folders made since are gone on with. */
  readonly since: number;
  readonly onProgress?: (done: Readonly<TakenCounts>) => void;
};

/** How far taking in has come. */
export type TakenCounts = {
  /** Versions that are new in the line. */
  versions: number;
  /** Versions that the line has already. */
  knownVersions: number;
  /** Bytes of pieces that were stored. */
  storedBytes: number;
};

/** A version that could not be taken in. */
export type LeftVersion = { readonly names: readonly Uint8Array[]; readonly commit: number; readonly code: string };

/** What became of a branch's versions. */
export type TakenIn = Readonly<TakenCounts> & {
  readonly leftCount: number;
  /** At most a hundred. */
  readonly left: readonly LeftVersion[];
};

/** What taking in works with. */
export type TakeInPorts = {
  readonly own: RecordStore;
  readonly content: ContentStore;
  readonly flushOwn: () => void;
  /** Waits until more may be handed over. */
  readonly room: () => Promise<void>;
  readonly commits: CommitWriter;
  readonly spread: (owned: readonly OwnedRecords[]) => Promise<void>;
  readonly afterCommit: () => Promise<void>;
  /** The newest state of the line. */
  readonly state: () => ArchiveState;
  /** A number for a directory that the line never had. */
  readonly newDirectory: () => number;
  readonly signal: AbortSignal | undefined;
};

/** Versions of one name that come before what has it now. */
type Waiting = { readonly directory: number; readonly name: Uint8Array; readonly rows: Row[] };

const rowBytesACommit = 512 * 1024;
const storedBytesACommit = 64 * 1024 * 1024;
/** Each version of a name in one commit takes a number of its own. */
const versionsACommit = 64;
const listedLeft = 100;
const leftCodes: readonly string[] = ['archive.record_missing', 'archive.key_missing', 'backup.nowhere_to_go'];

/**
 * Takes in the versions of a branch that the line has not. It may be ended anywhere and be begun again: each commit has its
 * versions and the present rows over them, or nothing.
 *
 * @throws what makes a backup fail
 */
export async function takeIn(branch: BranchContent, ports: TakeInPorts): Promise<TakenIn> {
  return new TakingIn(branch, ports).run();
}

class TakingIn {
  readonly #branch: BranchContent;
  readonly #ports: TakeInPorts;
  readonly #counts: TakenCounts = { versions: 0, knownVersions: 0, storedBytes: 0 };
  readonly #left: LeftVersion[] = [];
  #leftCount = 0;
  #state: ArchiveState;
  #places: TakenPlaces;
  /** By their paths. */
  #waiting = new Map<string, Waiting>();
  readonly #folderKeys = new Set<string>();
  #rowBytes = 0;
  #uncommittedBytes = 0;
  #raw: { readonly ordinal: Ordinal; readonly bytes: Uint8Array | undefined } | undefined;

  constructor(branch: BranchContent, ports: TakeInPorts) {
    this.#branch = branch;
    this.#ports = ports;
    this.#state = ports.state();
    this.#places = this.#newPlaces();
  }

  async run(): Promise<TakenIn> {
    for await (const version of this.#branch.versions()) {
      this.#ports.signal?.throwIfAborted();
      await this.#take(version);
      this.#branch.onProgress?.(this.#counts);
    }
    await this.#commit();
    return { ...this.#counts, leftCount: this.#leftCount, left: this.#left };
  }

  async #take(version: BranchVersion): Promise<void> {
    const { folders } = version;
    if (!folders) return this.#leave(version, 'archive.record_missing');
    const names = namesOf(version);
    const keys = keysOf(names);
    const key = keys.pop()!;
    // What was a file and a folder by turns cannot be both under one number.
    if (this.#folderKeys.has(key) || keys.some((each) => this.#waiting.has(each))) await this.#commit();
    const before = await this.#state.history(names);
    const waiting = this.#waiting.get(key);
    const rows = [...before.map(({ row }) => row), ...(waiting?.rows ?? [])];
    if (rows.some((row) => isSameVersion(row, version.row))) return void this.#counts.knownVersions++;
    const row = await this.#stored(version, names);
    if (typeof row === 'string') return this.#leave(version, row);
    const entry = waiting ?? { ...(await this.#places.placeOf(folders, version.name)), rows: [] };
    this.#waiting.set(key, entry);
    for (const each of keys) this.#folderKeys.add(each);
    entry.rows.push(row);
    this.#rowBytes += encodeRow(row).length + version.name.length + 64;
    this.#counts.versions++;
    if (this.#isCommitDue(entry)) await this.#commit();
  }

  #isCommitDue({ rows }: Waiting): boolean {
    const isMuchSaid = this.#rowBytes + this.#places.rowBytes >= rowBytesACommit;
    return isMuchSaid || this.#uncommittedBytes >= storedBytesACommit || rows.length >= versionsACommit;
  }

  #leave(version: BranchVersion, code: string): void {
    this.#leftCount++;
    const { commit } = version;
    if (this.#left.length < listedLeft) this.#left.push({ names: namesOf(version), commit, code });
  }

  /** The version's row with its content where the line has it; the code of what is in the way where it cannot be had. */
  async #stored({ row }: BranchVersion, names: readonly Uint8Array[]): Promise<Row | string> {
    // Whoever else was of the group is a version of his own time.
    const { linkGroup: _group, streams = [], ...facts } = row;
    const isCredential = isCredentialPath(Buffer.concat(names.flatMap((name) => [Buffer.from('/'), name])));
    const stored: StreamRef[] = [];
    try {
      for (const stream of streams) stored.push(await this.#stream(stream, row, isCredential));
    } catch (error) {
      if (!(error instanceof CodedError) || isRetryable(error)) throw error;
      if (error.kind !== 'corrupt' && !leftCodes.includes(error.code)) throw error;
      return error.code;
    }
    return { ...facts, ...(stored.length > 0 && { streams: stored }) };
  }

  async #stream(stream: StreamRef, row: Row, isCredential: boolean): Promise<StreamRef> {
    if (!stream.extents && !stream.list) return stream;
    const extents: Extent[] = [];
    let position = 0;
    for await (const named of streamExtents(stream, this.#branch.load)) {
      // What a list gave lies in a buffer that goes with it.
      const piece = { ...named, sha256: named.sha256.slice() };
      extents.push(isHole(piece) ? piece : await this.#piece(piece, { stream, row, isCredential, position }));
      position += piece.length;
    }
    const { extents: _extents, list: _list, ...kept } = stream;
    const made = makeStream(stream.kind, extents, this.#ports.own);
    const isSame =
      !stream.contentHash || compareBytes(stream.contentHash, made.contentHash ?? stream.contentHash) === 0;
    if (!isSame || made.size !== stream.size) throw corrupt('stream: its pieces are not those of its content hash');
    return { ...made, ...kept };
  }

  async #piece(
    named: Extent,
    of: { readonly stream: StreamRef; readonly row: Row; readonly isCredential: boolean; readonly position: number },
  ): Promise<Extent> {
    const { content, room } = this.#ports;
    const sets = of.row.sets ?? [];
    const known = content.known(named.sha256, named.length, sets);
    if (known) return known;
    const { ordinal, offset, length } = await this.#branch.state.resolveExtent(named);
    const piece = (await this.#rawOf(ordinal))?.subarray(offset, offset + length);
    if (!piece || compareBytes(hash('sha256', piece, 'buffer'), named.sha256) !== 0) {
      throw archiveErrors.record_missing({ ordinal });
    }
    await room();
    this.#counts.storedBytes += length;
    this.#uncommittedBytes += length;
    if (of.stream.size >= bundledBelowBytes) return content.storePiece(piece, of.position === 0, sets);
    return content.storeSmall(piece, { uid: of.row.uid ?? 0, isCredential: of.isCredential, sets });
  }

  /** Pieces of one bundle follow each other. */
  async #rawOf(ordinal: Ordinal): Promise<Uint8Array | undefined> {
    if (this.#raw?.ordinal !== ordinal) this.#raw = { ordinal, bytes: await this.#branch.rawOf(ordinal) };
    return this.#raw.bytes;
  }

  /**
   * Versions stand under the numbers of empty commits made for them, and what has their name now under that of the commit
   * that puts both: no moment shows a version of the branch as the newest.
   */
  async #commit(): Promise<void> {
    const { content, flushOwn, commits, spread, afterCommit } = this.#ports;
    content.flush();
    flushOwn();
    const blocks = [content.takeFresh()];
    const records = content.takeOwned();
    const waiting = [...this.#waiting.values()];
    if (waiting.length === 0) return;
    await spread(records);
    const first = await commits.reserveNumbers(Math.max(...waiting.map(({ rows }) => rows.length)));
    const { puts: _none, ...nothingElse } = noIntent;
    const { folders, present } = this.#places;
    const entries = [...folders, ...waiting.flatMap((each) => versionsAt(first, each))];
    await commits.write({ ...nothingElse, rows: present, entries, blocks, records });
    await afterCommit();
    this.#waiting = new Map();
    this.#folderKeys.clear();
    [this.#rowBytes, this.#uncommittedBytes] = [0, 0];
    this.#state = this.#ports.state();
    this.#places = this.#newPlaces();
  }

  #newPlaces(): TakenPlaces {
    const { newDirectory } = this.#ports;
    const { since } = this.#branch;
    return new TakenPlaces(this.#state, { first: this.#state.head + 1, since, newDirectory });
  }
}

function namesOf({ folders = [], name }: BranchVersion): readonly Uint8Array[] {
  return [...folders.map((folder) => folder.name), name];
}

/** A text for each step of a path that is that step's alone. */
function keysOf(names: readonly Uint8Array[]): string[] {
  let key = '';
  return names.map((name) => (key += `/${Buffer.from(name).toString('hex')}`));
}

function versionsAt(first: number, { directory, name, rows }: Waiting): MapEntry[] {
  return rows.map((row, place) => ({ key: fileKey(directory, name, first + place), value: encodeRow(row) }));
}
