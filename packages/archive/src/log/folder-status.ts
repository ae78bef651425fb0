/** What a folder holds, by kind of record and by writer. */
import { type Catalogue, type SegmentSummary, summarize } from './catalogue.ts';
import type { OrdinalIndex } from './ordinal-index.ts';
import type { SegmentDamage } from './recover-segment.ts';
import type { SegmentSet } from './segment-set.ts';

/** What a folder holds. */
export type FolderStatus = {
  /** Records and their bytes by kind. */
  readonly kinds: ReadonlyMap<number, { readonly records: number; readonly bytes: number }>;
  /** The greatest sequence number of each writer. */
  readonly highestSequences: ReadonlyMap<number, number>;
  readonly segments: number;
  /** Segments the catalogue knows and that are not there. */
  readonly missingSegments: readonly number[];
  /** Damage to acknowledged records that opening found in segments that were not sealed. */
  readonly damage: readonly SegmentDamage[];
};

/** Counts what the segments' tables say; no record is read. */
export async function folderStatus(segments: SegmentSet, damage: readonly SegmentDamage[]): Promise<FolderStatus> {
  const there = new Set(await segments.numbers());
  const sealed = segments.sealed();
  // One that is being sealed is known both ways for a moment.
  const known = new Set(sealed.map(({ segment }) => segment));
  const open = [...segments.tables].filter(([segment]) => !known.has(segment));
  const summaries = [...sealed, ...open.map(([segment, table]) => summarize(table, openPlace(segment)))];
  const missingSegments = summaries.flatMap(({ segment }) => (there.has(segment) ? [] : [segment]));
  return { ...totals(summaries), segments: there.size, missingSegments, damage };
}

/** Whether sealed segments hold records that the index of ordinals does not know. */
export async function isIndexBehind(catalogue: Catalogue, index: OrdinalIndex): Promise<boolean> {
  const highest = totals(catalogue.of('segments').filter(({ state }) => state === 'sealed')).highestSequences;
  for (const [writer, sequence] of highest) if ((await index.lastSequence(writer)) < sequence) return true;
  return false;
}

function openPlace(segment: number) {
  return { folder: 'segments', segment, state: 'full', endOffset: 0, fileBytes: 0 } as const;
}

function totals(summaries: readonly SegmentSummary[]) {
  const kinds = new Map<number, { records: number; bytes: number }>();
  const highestSequences = new Map<number, number>();
  for (const summary of summaries) {
    for (const [kind, [records, bytes]] of Object.entries(summary.kinds)) {
      const sum = kinds.get(Number(kind)) ?? { records: 0, bytes: 0 };
      kinds.set(Number(kind), { records: sum.records + records, bytes: sum.bytes + bytes });
    }
    for (const [writer, , last] of summary.ranges) {
      highestSequences.set(writer, Math.max(last, highestSequences.get(writer) ?? 0));
    }
  }
  return { kinds, highestSequences };
}
