import { corrupt } from '../errors.ts';
import { equalBytes } from '../format/cursor.ts';
import { createContentHasher, type Extent, isHole, type Reference } from '../format/extent.ts';
import { lengthOfList, type List, parseList } from '../format/list.ts';
import { sha256Of } from '../format/open.ts';
import type { Ordinal } from '../format/ordinal.ts';
import type { StreamRef } from '../format/stream.ts';
import type { ReadTools } from './record-source.ts';
import type { ArchiveState } from './state.ts';

/** A piece of a stream in order: bytes, or a hole of so many zeros. */
export type StreamPiece = { readonly length: number; readonly bytes: Uint8Array | undefined };

/** How records are had by ordinal. */
export type StreamSource = {
  /** Raw bytes checked against the reference. */
  readonly load: (reference: Reference) => Promise<Uint8Array>;
  /** Raw bytes of a block or bundle, as its own seal holds them. */
  readonly readRaw: (ordinal: Ordinal) => Promise<Uint8Array>;
  readonly tools: Pick<ReadTools, 'createSha256'>;
};

const keptRecords = 8;

/** Reads streams of files piece by piece; every piece is checked, and at the end the content hash and the length. */
export class StreamReader {
  readonly #state: ArchiveState;
  readonly #source: StreamSource;
  readonly #recent = new Map<Ordinal, Promise<Uint8Array>>();

  constructor(state: ArchiveState, source: StreamSource) {
    this.#state = state;
    this.#source = source;
  }

  /** The extents of a stream in order, lists and moves resolved; lengths that do not fit are refused. */
  async *extents(stream: StreamRef): AsyncGenerator<Extent> {
    const { extents, list } = stream;
    if (extents !== undefined) for (const extent of extents) yield this.#state.resolveExtent(extent);
    if (list !== undefined) yield* this.#listed(list.list, list.level, stream.size);
  }

  /** The pieces of a stream in order. @throws archive.corrupt at the first that is not what the row says, or at the end. */
  async *pieces(stream: StreamRef): AsyncGenerator<StreamPiece> {
    const hasher = createContentHasher(this.#source.tools.createSha256);
    if (stream.bytes !== undefined) {
      yield { length: stream.size, bytes: stream.bytes };
      const sha256 = await sha256Of(stream.bytes);
      hasher.add({ ordinal: 0, offset: 0, length: stream.size, sha256 });
    }
    let length = stream.bytes?.length ?? 0;
    for await (const extent of this.extents(stream)) {
      yield { length: extent.length, bytes: isHole(extent) ? undefined : await this.#bytesOf(extent) };
      hasher.add(extent);
      length += extent.length;
    }
    if (length !== stream.size) throw corrupt('stream: its pieces are not as long as its size');
    const { contentHash } = stream;
    if (contentHash !== undefined && !equalBytes(hasher.digest(), contentHash)) {
      throw corrupt('stream: the content hash does not hold');
    }
  }

  async *#listed(reference: Reference, level: number, streamBytes: number): AsyncGenerator<Extent> {
    const list: List = parseList(await this.#source.load(await this.#state.resolveList(reference)));
    if (list.level !== level) throw corrupt('list: it is of another level than its reference says');
    if (lengthOfList(list) !== streamBytes) throw corrupt('list: it covers another length than its reference says');
    if (list.level === 0) for (const extent of list.extents) yield this.#state.resolveExtent(extent);
    else for (const entry of list.entries) yield* this.#listed(entry.list, level - 1, entry.streamBytes);
  }

  async #bytesOf(extent: Extent): Promise<Uint8Array> {
    const raw = await this.#raw(extent.ordinal);
    if (extent.offset + extent.length > raw.length) throw corrupt('extent: it ends behind its record');
    const bytes = raw.subarray(extent.offset, extent.offset + extent.length);
    if (!equalBytes(await sha256Of(bytes), extent.sha256))
      throw corrupt('extent: the SHA-256 of its bytes does not hold');
    return bytes;
  }

  /** A bundle holds many files that follow each other: the last few stay. */
  #raw(ordinal: Ordinal): Promise<Uint8Array> {
    const known = this.#recent.get(ordinal);
    this.#recent.delete(ordinal);
    const raw = known ?? this.#source.readRaw(ordinal);
    this.#recent.set(ordinal, raw);
    raw.catch(() => this.#recent.delete(ordinal));
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= keptRecords) break;
      this.#recent.delete(oldest);
    }
    return raw;
  }
}
