/**
 * The end of resealing: a checkpoint whose whole tree is new, so that no older node and no older commit is needed, and a
 * live set that leaves out what lies below an ordinal and is not needed. Destinations keep that for their hold.
 */
import { hash } from 'node:crypto';
import type { Reference } from '../format/extent.ts';
import { encodeLive, type LivePart, type LiveRange, packLiveRange } from '../format/live.ts';
import { type Ordinal, ordinalOf, sequenceOf } from '../format/ordinal.ts';
import type { OrdinalSet } from '../format/ordinal-set.ts';
import type { LocalIndex } from '../index/local-index.ts';
import { type NeededBelow, neededRecords } from '../index/needed-records.ts';
import type { ArchiveState } from '../tree/state.ts';
import type { LoadRecord } from '../tree/tree-reader.ts';
import { resealTree } from '../tree/reseal-tree.ts';
import { updateTree } from '../tree/update-tree.ts';
import type { CommitWriter } from './commit-writer.ts';
import type { RecordSealer } from './record-sealer.ts';

/** Ordinals of one writer that the live set is to speak of, both included. */
export type CoveredOrdinals = { readonly writer: number; readonly first: number; readonly last: number };

/** What is to be closed. */
export type ClosePastRequest = {
  /** Records below this ordinal are old. */
  readonly below: Ordinal;
  /**
   * What the live set covers; none is written where left out. It must not cover what a commit reaches that is no part of
   * the newest state: see branches in the format document.
   */
  readonly live?: { readonly covered: readonly CoveredOrdinals[]; readonly after: number };
  readonly state: () => ArchiveState;
};

/** What became of it. */
export type ClosedPast = {
  /** Old records that are needed still: they could not be sealed again. */
  readonly needed: NeededBelow;
  /** Number of the live set that leaves the others out; undefined where none was written. */
  readonly liveSet: number | undefined;
};

/** What closing works with. */
export type ClosePastPorts = {
  readonly index: LocalIndex;
  readonly sealer: RecordSealer;
  readonly room: () => Promise<void>;
  readonly flush: () => void;
  readonly commits: CommitWriter;
  readonly load: LoadRecord;
  /** Signs a live record and sends it to every destination that is there. */
  readonly sendLive: (open: Uint8Array) => Promise<void>;
  readonly nowMs: number;
  readonly signal: AbortSignal | undefined;
};

/** Where the index keeps the number of the last live set. */
const liveKey = 'live.number';
const forgottenAtOnce = 10_000;
const nodesAtOnce = 512;

/** Closes the past as far as it was sealed again. @throws what makes a backup fail */
export async function closePast(request: ClosePastRequest, ports: ClosePastPorts): Promise<ClosedPast> {
  const { below, live, state } = request;
  const { index, load, signal } = ports;
  await writeWholeCheckpoint(below, ports);
  const needed = await neededRecords(state(), load, { below, signal });
  forgetOld(index, needed.ordinals, below);
  const liveSet = live && (await writeLiveSet(live, needed.ordinals, ports));
  return { needed: needed.below, liveSet };
}

/** Writes a checkpoint of all that commits put so far, none of whose nodes is old. */
async function writeWholeCheckpoint(below: Ordinal, ports: ClosePastPorts): Promise<void> {
  const { index, sealer, flush, commits, signal } = ports;
  const { root } = index.head();
  const dropped: Ordinal[] = [];
  const stored = new Map<Ordinal, Uint8Array>();
  const store = {
    isOld: (ordinal: Ordinal) => ordinal < below,
    load: async (reference: Reference) =>
      stored.get(reference.ordinal) ?? index.node(reference.ordinal) ?? (await ports.load(reference)),
    store: async (raw: Uint8Array<ArrayBuffer>) => {
      signal?.throwIfAborted();
      await ports.room();
      const ordinal = sealer.reserve();
      const sha256 = hash('sha256', raw, 'buffer');
      sealer.put({ kind: 'tree', ordinal, raw, sha256 });
      stored.set(ordinal, raw);
      if (stored.size >= nodesAtOnce) keep();
      return { ordinal, sha256 };
    },
    remove: ({ ordinal }: Reference) => void dropped.push(ordinal),
  };
  const keep = () => {
    index.putNodes(stored);
    stored.clear();
  };
  const folded = await updateTree(root, index.puts(), store);
  const next = await resealTree(folded, store);
  flush();
  keep();
  await commits.writeCheckpoint(next, dropped);
  index.set('checkpoint.at', ports.nowMs);
}

/** What is not needed must not be missed, nor brought to destinations that lack it. */
function forgetOld(index: LocalIndex, needed: OrdinalSet, below: Ordinal): void {
  index.forgetPiecesBelow(below);
  let unneeded: Ordinal[] = [];
  const forget = () => {
    index.forgetRecords(unneeded);
    unneeded = [];
  };
  const old: Ordinal[] = [];
  for (const { ordinal } of index.dataRecords()) {
    if (ordinal >= below) break;
    if (!needed.has(ordinal)) old.push(ordinal);
  }
  for (const ordinal of old) if (unneeded.push(ordinal) >= forgottenAtOnce) forget();
  forget();
}

async function writeLiveSet(
  { covered, after }: NonNullable<ClosePastRequest['live']>,
  needed: OrdinalSet,
  { index, sendLive }: ClosePastPorts,
): Promise<number> {
  const number = Math.max(after, index.getNumber(liveKey) ?? 0) + 1;
  // A number is used once, whatever becomes of this set: parts of two under one number would be taken for one set.
  index.transact(() => index.set(liveKey, number));
  const { number: commit, sha256 } = index.head();
  for (const part of livePartsOf(needed, { number, covered, commit: { number: commit, sha256 } }))
    await sendLive(encodeLive(part));
  return number;
}

/** As a bitmap it takes 256 KiB. */
const rangeOrdinals = 2 ** 21;
const partBytes = 2 * 1024 * 1024;

/** The parts of a live set. */
export function livePartsOf(
  needed: Pick<OrdinalSet, 'stretches'>,
  set: {
    readonly number: number;
    readonly covered: readonly CoveredOrdinals[];
    readonly commit: LivePart['commit'];
  },
): readonly LivePart[] {
  let part: LiveRange[] = [];
  const parts = [part];
  let bytes = 0;
  for (const range of set.covered.flatMap((of) => rangesOf(needed, of))) {
    if (bytes + range.packed.length > partBytes) {
      parts.push((part = []));
      bytes = 0;
    }
    part.push(range);
    bytes += range.packed.length + 64;
  }
  const { number, commit } = set;
  return parts.map((ranges, place) => ({ number, part: place + 1, parts: parts.length, commit, ranges }));
}

function rangesOf(needed: Pick<OrdinalSet, 'stretches'>, { writer, first, last }: CoveredOrdinals): LiveRange[] {
  const ranges: LiveRange[] = [];
  for (let from = first; from <= last; from += rangeOrdinals) {
    const to = Math.min(last, from + rangeOrdinals - 1);
    const stretches = [...needed.stretches(ordinalOf(writer, from), ordinalOf(writer, to))].map((stretch) => ({
      first: sequenceOf(stretch.first),
      last: sequenceOf(stretch.last),
    }));
    ranges.push(packLiveRange(writer, { first: from, last: to }, stretches));
  }
  return ranges;
}
