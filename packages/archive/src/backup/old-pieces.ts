/** Pieces that lie in old records, gathered until they are read: each record once, from whoever has it whole. */
import { hash } from 'node:crypto';
import { CodedError } from '@holdfast/base';
import { compareBytes } from '../format/cursor.ts';
import type { Extent } from '../format/extent.ts';
import type { FileKey } from '../format/map-key.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { parseRecordHeader } from '../format/record.ts';
import { type OpenKeys, openRecordSync } from '../format/seal.node.ts';
import type { ReadableDestination } from './destination.ts';
import type { Place } from './move-sources.ts';

/** A piece of an old record, and the names under which rows look for it. */
export type OldPiece = {
  /** Where it lies, and its hash. */
  readonly lies: Extent;
  readonly key: FileKey;
  readonly sets: readonly number[];
  readonly names: Place[];
};

/** The pieces of one record with its raw bytes; each has its hash. */
export type ReadPieces = { readonly pieces: readonly OldPiece[]; readonly raw: Uint8Array };

const mostRecords = 256;
const mostBytes = 16 * 1024 * 1024;

/** Old pieces that wait to be read. */
export class OldPieces {
  #waiting = new Map<Ordinal, Map<number, OldPiece>>();
  #bytes = 0;

  /** Bytes of the pieces that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether so much waits that it is to be read. */
  get isFull(): boolean {
    return this.#waiting.size >= mostRecords || this.#bytes >= mostBytes;
  }

  /** The piece that waits at this place; undefined where there is none. One place has one piece: see the format's moves. */
  at({ ordinal, offset }: Place): OldPiece | undefined {
    return this.#waiting.get(ordinal)?.get(offset);
  }

  add(piece: OldPiece): void {
    const { ordinal, offset, length } = piece.lies;
    const of = this.#waiting.get(ordinal) ?? new Map<number, OldPiece>();
    this.#waiting.set(ordinal, of.set(offset, piece));
    this.#bytes += length;
  }

  /**
   * Reads what waits, from one destination after the other; what it returns at the end nobody gave.
   *
   * @throws what reading from a destination throws, where something was left for it to give; the signal's reason
   */
  async *read(
    from: readonly Pick<ReadableDestination, 'read'>[],
    keys: OpenKeys,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ReadPieces, readonly OldPiece[]> {
    const left = this.#waiting;
    this.#waiting = new Map();
    this.#bytes = 0;
    let failure: unknown;
    for (const destination of from) {
      if (left.size === 0) break;
      try {
        yield* wholeOf(destination.read([...left.keys()], signal), left, keys);
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof CodedError)) throw error;
        failure ??= error;
      }
    }
    if (left.size > 0 && failure) throw failure;
    return [...left.values()].flatMap((pieces) => [...pieces.values()]);
  }
}

/** Those that give all of what waits for them; it waits no more. */
async function* wholeOf(
  records: AsyncIterable<Uint8Array>,
  left: Map<Ordinal, Map<number, OldPiece>>,
  keys: OpenKeys,
): AsyncGenerator<ReadPieces> {
  for await (const record of records) {
    const found = wholeIn(record, left, keys);
    if (found) left.delete(found.ordinal);
    if (found) yield found;
  }
}

/** What a record gives of what waits for it; undefined unless it gives all of it as it was stored. */
function wholeIn(
  record: Uint8Array,
  wanted: ReadonlyMap<Ordinal, ReadonlyMap<number, OldPiece>>,
  keys: OpenKeys,
): (ReadPieces & { readonly ordinal: Ordinal }) | undefined {
  const { ordinal } = parseRecordHeader(record);
  const pieces = wanted.get(ordinal);
  const raw = pieces && rawOf(record, keys);
  if (!raw) return undefined;
  const isWhole = [...pieces.values()].every(({ lies: { offset, length, sha256 } }) => {
    const bytes = raw.subarray(offset, offset + length);
    return bytes.length === length && compareBytes(hash('sha256', bytes, 'buffer'), sha256) === 0;
  });
  return isWhole ? { ordinal, pieces: [...pieces.values()], raw } : undefined;
}

function rawOf(record: Uint8Array, keys: OpenKeys): Uint8Array | undefined {
  try {
    return openRecordSync(record, keys).raw;
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}
