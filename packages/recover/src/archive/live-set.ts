import { nameOrdinal, type Ordinal } from '../format/bytes.ts';
import { type LivePart, type LiveRange, readLivePart } from '../format/commit.ts';
import { kinds, recordSignatureHolds } from '../format/record.ts';
import type { CommitLog } from './commits.ts';
import type { Findings } from './findings.ts';
import { quietly } from './quietly.ts';
import type { PlaceIndex } from './place-index.ts';
import type { Shelf } from './shelf.ts';

/** What the newest complete live set says; `ranges` by rising first ordinal. */
export type LiveSet = { readonly number: number; readonly commit: number; readonly ranges: readonly LiveRange[] };

const SETS_KEPT = 100_000;
const CHECKED_ORDINALS = 50_000_000;

/** Whether an ordinal is needed: yes outside every range, and within one where a run covers it. */
export function isNeeded(set: LiveSet | undefined, ordinal: Ordinal): boolean {
  const covering = set?.ranges.filter((range) => range.first <= ordinal && ordinal <= range.last) ?? [];
  return covering.length === 0 || covering.some((range) => runHolds(range.runs, ordinal));
}

function runHolds(runs: Float64Array, ordinal: Ordinal): boolean {
  let low = 0;
  let high = runs.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (runs[middle * 2 + 1]! < ordinal) low = middle + 1;
    else high = middle;
  }
  return low < runs.length / 2 && runs[low * 2]! <= ordinal;
}

/**
 * Finds the newest complete live set (§11): signed by the rightful writer of the commit it names, that commit being one
 * of the head's line.
 */
export function findLiveSet(
  shelf: Shelf,
  found: {
    readonly log: CommitLog;
    readonly archiveId: Buffer;
    readonly inLine: (commit: number, hash: Buffer) => boolean;
  },
  findings: Findings,
): LiveSet | undefined {
  const sets = new Map<number, Map<number, LivePart>>();
  for (const place of shelf.index.ofKinds([kinds.live])) {
    const frame = shelf.read(place);
    const part = frame === undefined ? undefined : quietly(() => readLivePart(frame.open));
    if (frame === undefined || part === undefined) continue;
    const writer = found.log.rightfulWriter(part.commit.number);
    const signed = writer !== undefined && recordSignatureHolds(found.archiveId, frame, writer.publicKey);
    if (signed && found.inLine(part.commit.number, part.commit.hash)) addPart(sets, part);
    else {
      const message = `a part of live set ${part.setNumber} is not rightly signed, or its commit is not in the line of the head`;
      findings.add({ severity: 'notice', code: 'live.refused', message, where: shelf.describe(place) });
    }
  }
  return newestComplete(sets);
}

function addPart(sets: Map<number, Map<number, LivePart>>, part: LivePart): void {
  const parts = sets.get(part.setNumber) ?? new Map<number, LivePart>();
  parts.set(part.part, part);
  if (sets.size < SETS_KEPT) sets.set(part.setNumber, parts);
}

function newestComplete(sets: ReadonlyMap<number, ReadonlyMap<number, LivePart>>): LiveSet | undefined {
  for (const [number, parts] of [...sets].sort(([a], [b]) => b - a)) {
    const all = [...parts.values()];
    const [first] = all;
    if (first === undefined || parts.size !== first.parts || all.some((part) => part.parts !== first.parts)) continue;
    const ranges = all.flatMap((part) => part.ranges).sort((a, b) => a.first - b.first);
    const apart = ranges.every((range, index) => index === 0 || range.first > ranges[index - 1]!.last);
    if (apart) return { number, commit: first.commit.number, ranges };
  }
  return undefined;
}

/** Reports the records the live set needs and the folder does not hold: loss, and no compaction. */
export function reportMissing(index: PlaceIndex, set: LiveSet, findings: Findings): void {
  let checked = 0;
  for (const range of set.ranges) {
    for (let run = 0; run < range.runs.length; run += 2) {
      const [first, last] = [range.runs[run]!, range.runs[run + 1]!];
      checked += last - first + 1;
      if (checked > CHECKED_ORDINALS) return;
      reportRun(index, { first, last }, findings);
    }
  }
}

function reportRun(
  index: PlaceIndex,
  run: { readonly first: Ordinal; readonly last: Ordinal },
  findings: Findings,
): void {
  for (let ordinal = run.first; ordinal <= run.last; ordinal += 1) {
    if (index.has(ordinal)) continue;
    const from = ordinal;
    while (ordinal < run.last && !index.has(ordinal + 1)) ordinal += 1;
    const records = from === ordinal ? [nameOrdinal(from)] : [nameOrdinal(from), nameOrdinal(ordinal)];
    findings.add({
      severity: 'notice',
      code: 'records.missing',
      message: `${ordinal - from + 1} records that the live set needs are not in the folder: they are lost, not compacted away`,
      records,
    });
  }
}
