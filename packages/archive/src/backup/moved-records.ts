/** Records that are sealed again, and the moves that lead to them, until a commit makes both true. */
import { ByteWriter, compareBytes } from '../format/cursor.ts';
import { type Extent, writeExtent } from '../format/extent.ts';
import { moveKey } from '../format/map-key.ts';
import type { Ordinal } from '../format/ordinal.ts';
import type { MapEntry } from '../format/tree-node.ts';
import { packedBlockBytes } from '../index/block-table.ts';
import { noIntent } from '../index/commit-table.ts';
import type { CommitContent } from './commit-writer.ts';
import type { RecordStore } from './content-store.ts';
import { nameOf, type Place } from './move-sources.ts';
import type { DestinationMask } from './routes.ts';

/** Who needs a record, and where it goes. */
export type RecordClass = {
  readonly sets: readonly number[];
  readonly isBundle: boolean;
  readonly destinations: DestinationMask;
};

/** A piece with its bytes. */
export type PieceBytes = { readonly lies: Extent; readonly bytes: Uint8Array };

const mostRecordBytes = 1024 * 1024;

/** What one commit is to move. */
export class MovedRecords {
  readonly #own: RecordStore;
  /** Where something lies now, by where it lay. */
  readonly #now = new Map<string, Extent>();
  readonly #moved = new Set<string>();
  readonly #blocks: Uint8Array[] = [];
  readonly #records: { sets: readonly number[]; isBundle: boolean; ordinals: Ordinal[] }[] = [];
  readonly #moves: MapEntry[] = [];
  bytes = 0;

  constructor(own: RecordStore) {
    this.#own = own;
  }

  get moves(): number {
    return this.#moves.length;
  }

  /** Where it lies now, as far as this commit moves it. */
  now(place: Place): Extent | undefined {
    return this.#now.get(nameOf(place));
  }

  /** Leads readers on, from all these places. A move may not lead to what is moved itself: each gets one of its own. */
  lead(names: Iterable<Place>, to: Extent): void {
    for (const name of names) {
      if (this.#moved.has(nameOf(name))) continue;
      this.#moved.add(nameOf(name));
      const writer = new ByteWriter();
      writeExtent(writer, to);
      this.#moves.push({ key: moveKey(name.ordinal, name.offset), value: writer.written() });
    }
  }

  /** Seals pieces of one record in as few new ones as hold them; together they were not longer than a record may be. */
  storePieces(pieces: readonly PieceBytes[], { sets, isBundle, destinations }: RecordClass): void {
    for (let at = 0; at < pieces.length;) {
      const ordinal = this.#own.reserve();
      const [parts, from]: [Uint8Array[], number] = [[], at];
      let length = 0;
      while (at < pieces.length && (at === from || length + pieces[at]!.bytes.length <= mostRecordBytes)) {
        const { lies, bytes } = pieces[at++]!;
        this.#learn({ ordinal, offset: length, length: bytes.length, sha256: lies.sha256 }, lies);
        parts.push(bytes);
        length += bytes.length;
      }
      const raw = new Uint8Array(Buffer.concat(parts));
      this.#own.put({ kind: isBundle ? 'bundle' : 'block', ordinal, raw, destinations });
      this.#records.push({ sets, isBundle, ordinals: [ordinal] });
      this.bytes += length;
    }
  }

  /** Seals a list again. */
  storeList(lies: Extent, raw: Uint8Array): Extent {
    const now = { ...lies, ordinal: this.#own.reserve() };
    this.#own.put({ kind: 'list', ordinal: now.ordinal, raw, sha256: lies.sha256 });
    this.#now.set(nameOf(lies), now);
    this.bytes += raw.length;
    return now;
  }

  /** What a commit says of all that; no rows. */
  content(): CommitContent {
    const { puts: _none, ...nothingElse } = noIntent;
    const entries = this.#moves.toSorted((a, b) => compareBytes(a.key, b.key));
    return { ...nothingElse, rows: [], entries, blocks: this.#blocks, records: this.#records };
  }

  #learn(now: Extent, lies: Extent): void {
    this.#now.set(nameOf(lies), now);
    this.#blocks.push(packPiece(now));
  }
}

/** A piece as the index takes it. */
export function packPiece({ sha256, ordinal, offset, length }: Extent): Uint8Array {
  const packed = new Uint8Array(packedBlockBytes);
  const view = new DataView(packed.buffer);
  packed.set(sha256);
  view.setFloat64(32, ordinal, true);
  view.setUint32(40, offset, true);
  view.setUint32(44, length, true);
  return packed;
}
