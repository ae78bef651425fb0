/**
 * Which commits bear a time that only the wall clock gave, and what their time should have been.
 *
 * A span is a run of commits made in one start of the machine between two steps of its wall clock: all are wrong by the
 * same amount. Once a receipt tells the server's time, the clock that nobody sets leads from there back to each of them.
 */
import type { TimeCorrection } from '../format/commit.ts';
import { commitKey } from '../format/map-key.ts';
import { parseCommitRow } from '../format/row.ts';
import { millisecondsOf } from '../format/time.ts';
import type { LocalIndex } from '../index/local-index.ts';
import { factsOf, readState } from '../index/read-state.ts';
import type { OpenKeys } from '../format/seal.node.ts';
import type { ArchiveState } from '../tree/state.ts';
import type { LoadRecord } from '../tree/tree-reader.ts';
import { type CommitInstant, timeOfCommit } from './commit-clock.ts';

/** Commits that no receipt has confirmed. */
export type UnconfirmedSpan = {
  readonly first: number;
  readonly last: number;
  readonly bootId: string;
  /** What the wall clock showed less what the clock that nobody sets showed. */
  readonly offsetMs: number;
};

/** Another time for a commit, whose record has this SHA-256. */
export type Correction = TimeCorrection & { readonly sha256: Uint8Array };

/** What a commit is to say about others' times, and the spans that are left once it is acknowledged. */
export type Settlement = {
  readonly corrections: readonly Correction[];
  readonly left: readonly UnconfirmedSpan[];
};

/** Where the index keeps the spans. */
export const spansKey = 'times.unconfirmed';

const mostSpans = 64;
/** A wall clock is set in steps, and otherwise only slewed: within a span it may drift by so much. */
const sameOffsetMs = 500;
/** Nothing that anybody would notice is corrected. */
const smallestCorrectionMs = 1000;
/** Each takes some 80 bytes of a commit, beside its rows. */
const mostCorrections = 4000;

/** The spans once a commit of this number and instant is acknowledged. */
export function withCommit(
  spans: readonly UnconfirmedSpan[],
  number: number,
  instant: CommitInstant,
): readonly UnconfirmedSpan[] {
  if (instant.isConfirmed) return spans;
  const offsetMs = instant.atMs - instant.bootMs;
  const last = spans.at(-1);
  const isSame = last?.bootId === instant.bootId && Math.abs(last.offsetMs - offsetMs) <= sameOffsetMs;
  if (last && isSame && last.last === number - 1) return [...spans.slice(0, -1), { ...last, last: number }];
  return [...spans, { first: number, last: number, bootId: instant.bootId, offsetMs }].slice(-mostSpans);
}

/** The spans that an index keeps. */
export function readSpans(index: LocalIndex): readonly UnconfirmedSpan[] {
  const kept = index.getBytes(spansKey);
  return kept ? (JSON.parse(Buffer.from(kept).toString('utf8')) as UnconfirmedSpan[]) : [];
}

/** The spans as the index keeps them. */
export function encodeSpans(spans: readonly UnconfirmedSpan[]): Uint8Array {
  return new Uint8Array(Buffer.from(JSON.stringify(spans)));
}

/**
 * Corrects what can be corrected at a confirmed instant. Commits of this start of the machine get their exact time; those
 * of earlier starts are only moved back where they claim to be younger than what came after them.
 */
export async function settleTimes(
  index: LocalIndex,
  now: CommitInstant,
  ports: { readonly keys: OpenKeys; readonly load: LoadRecord },
): Promise<Settlement> {
  const spans = readSpans(index);
  const commits = new NamedCommits(index, ports);
  const corrections: Correction[] = [];
  for (const [place, span] of [...spans.entries()].toReversed()) {
    const isNewest = span.last === index.head().number;
    const nextMs = isNewest
      ? now.atMs
      : (correctedMs(corrections, span.last + 1) ?? (await commits.msOf(span.last + 1)));
    const last = await commits.find(span.last);
    // What a sweep has dropped needs no time.
    if (!last || nextMs === undefined) continue;
    const isThisStart = span.bootId === now.bootId;
    const shiftMs = isThisStart ? now.atMs - now.bootMs - span.offsetMs : Math.min(0, nextMs - last.atMs);
    if (Math.abs(shiftMs) < smallestCorrectionMs) continue;
    for (let number = span.last; number >= span.first; number--) {
      if (corrections.length === mostCorrections) {
        return { corrections, left: [...spans.slice(0, place), { ...span, last: number }] };
      }
      const commit = await commits.find(number);
      if (!commit) continue;
      corrections.push({ commit: number, time: timeOfCommit(commit.atMs + shiftMs), sha256: commit.sha256 });
    }
  }
  return { corrections, left: [] };
}

function correctedMs(corrections: readonly Correction[], number: number): number | undefined {
  const found = corrections.findLast(({ commit }) => commit === number);
  return found && millisecondsOf(found.time);
}

type NamedCommit = { readonly atMs: number; readonly sha256: Uint8Array };

/** Commits as they were made: kept in the index since the newest checkpoint, in the tree before. */
class NamedCommits {
  readonly #index: LocalIndex;
  readonly #keys: OpenKeys;
  readonly #state: ArchiveState;

  constructor(index: LocalIndex, { keys, load }: { readonly keys: OpenKeys; readonly load: LoadRecord }) {
    this.#index = index;
    this.#keys = keys;
    this.#state = readState(index, keys, load);
  }

  async find(number: number): Promise<NamedCommit | undefined> {
    const kept = this.#index.keptCommit(number);
    const row = kept ? undefined : await this.#state.get(commitKey(number));
    const commit = kept ? factsOf(kept.record, this.#keys) : row && parseCommitRow(row);
    return commit && { atMs: millisecondsOf(commit.time), sha256: commit.sha256 };
  }

  async msOf(number: number): Promise<number | undefined> {
    return (await this.find(number))?.atMs;
  }
}
