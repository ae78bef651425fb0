/**
 * Partial rows: what was stored of a long file since the last commit, while its reading goes on.
 *
 * They are never listed. They say where those bytes lie to whoever rebuilds a lost index, so that a file that takes days
 * to send is not begun again. Each holds pieces that those before it do not; the row of the whole file replaces them all.
 */
import type { Extent } from '../format/extent.ts';
import { encodeRow } from '../format/row.ts';
import { packedBlockBytes } from '../index/block-table.ts';
import type { PendingRow } from './commit-writer.ts';
import type { RecordStore } from './content-store.ts';
import { makeStream } from './make-row.ts';
import type { FreshBlocks } from './messages.ts';

/** A long file that is being read: where its row will be, and who selected it. */
export type LongFile = {
  readonly directory: number;
  readonly name: Uint8Array;
  readonly sets: readonly number[];
};

/** The long files of one pass, by numbers that its jobs carry. */
export class LongFiles {
  readonly #files = new Map<number, LongFile>();
  #next = 1;

  /** Takes a file in, and gives its number. */
  begin(file: LongFile): number {
    this.#files.set(this.#next, file);
    return this.#next++;
  }

  /**
   * The partial rows for these blocks; none for a file whose own row is among `rows`. Lists of more pieces than a row
   * holds are handed to `records`.
   */
  partialRows(blocks: readonly FreshBlocks[], rows: readonly PendingRow[], records: RecordStore): PendingRow[] {
    const extents = new Map<LongFile, Extent[]>();
    for (const { packed, longFile } of blocks) {
      const file = longFile === undefined ? undefined : this.#files.get(longFile);
      if (!file) continue;
      const stored = extents.get(file) ?? [];
      extents.set(file, stored);
      for (const extent of unpackBlocks(packed)) stored.push(extent);
    }
    if (extents.size === 0) return [];
    const whole = new Set(rows.map(keyOf));
    return [...extents]
      .filter(([file]) => !whole.has(keyOf(file)))
      .map(([{ directory, name, sets }, stored]) => {
        const streams = [makeStream('content', stored, records)];
        return { directory, name, row: encodeRow({ type: 'partial', sets, streams }) };
      });
  }
}

/** One key for rows of one name. */
export function keyOf({ directory, name }: Pick<PendingRow, 'directory' | 'name'>): string {
  return `${directory}/${Buffer.from(name).toString('latin1')}`;
}

function unpackBlocks(packed: Uint8Array): Extent[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  return Array.from({ length: packed.length / packedBlockBytes }, (_, place) => {
    const at = place * packedBlockBytes;
    return {
      sha256: packed.subarray(at, at + 32),
      ordinal: view.getFloat64(at + 32, true),
      offset: view.getUint32(at + 40, true),
      length: view.getUint32(at + 44, true),
    };
  });
}
