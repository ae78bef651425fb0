/**
 * Which keyrings a secret opens. Whoever once opened a ring can make keyrings that a genuine secret opens, so none of them
 * is taken for the one: all are opened, and which line counts is chosen by how they follow each other.
 */
import { CodedError } from '@holdfast/base';
import { joinBytes } from '../format/cursor.ts';
import { type KeyringSlot, parseRing, type RingEpoch } from '../format/keyring.ts';
import { openRecord } from '../format/open.ts';
import type { SlotPlace } from '../format/slot.ts';
import { LineChooser } from './choose-keyring.ts';
import { openerFor } from './epoch-keys.ts';
import { growTree, type KeyringCandidate, type RingEpochs } from './keyring-tree.ts';
import { noteProblem } from './note-problem.ts';
import type { OpenSlot, ReadProblem, ReadTools, SlotEffort } from './record-source.ts';
import type { WriterLists } from './writer-lists.ts';

/** What opening takes. */
export type RingOpening = {
  readonly archiveId: Uint8Array;
  readonly openSlot: OpenSlot;
  readonly tools: ReadTools;
  readonly problems: ReadProblem[];
  readonly lists: WriterLists;
};

/** What a secret opened, and of how many slots it is not known whether it fits. */
export type OpenedRings = {
  readonly rings: ReadonlyMap<KeyringCandidate, RingEpochs>;
  readonly slotsNotTried: number;
};

/**
 * Opens every keyring that the secret opens. Slots that cost work are tried where they are least likely to be forged: a
 * genuine slot stands in old keyrings, too, and what was worked out once opens it in all others.
 *
 * @param candidates by falling number
 */
export async function openRings(candidates: readonly KeyringCandidate[], by: RingOpening): Promise<OpenedRings> {
  const attempt = new Attempt(by);
  await openPlainLine(await plainLine(candidates, by.lists), attempt);
  const oldestFirst = candidates.toReversed();
  const vouched: KeyringCandidate[] = [];
  for (const candidate of oldestFirst) if (await isVouchedFor(candidate, by.lists)) vouched.push(candidate);
  for (const others of [vouched, oldestFirst])
    for (const candidate of others) {
      if (attempt.rings.size > 0) break;
      if (!attempt.wasTried(candidate)) await attempt.opens(candidate, 'any');
    }
  for (const candidate of candidates) await attempt.opens(candidate, 'none');
  return { rings: attempt.rings, slotsNotTried: attempt.noteFailures() };
}

/** Works out one slot after the other, until the newest keyring of the line opens by what was worked out. */
async function openPlainLine(line: readonly KeyringCandidate[], attempt: Attempt): Promise<void> {
  const newest = line.at(-1);
  for (const candidate of line) {
    const isNews = !attempt.wasOpened(candidate) && (await attempt.opens(candidate, 'any'));
    if (newest && isNews && (await attempt.opens(newest, 'none'))) return;
  }
}

/** The line that counts where nothing is opened yet. */
async function plainLine(
  candidates: readonly KeyringCandidate[],
  lists: WriterLists,
): Promise<readonly KeyringCandidate[]> {
  const tree = await growTree(candidates, { lists, rings: new Map(), problems: [] });
  const hasCommitFrom = () => Promise.resolve(false);
  const { line } = await new LineChooser(tree, { spoken: new Set(), hasKeyFile: false, hasCommitFrom }).choose();
  return line.map(({ candidate }) => candidate);
}

function isVouchedFor({ keyring }: KeyringCandidate, lists: WriterLists): Promise<boolean> {
  return lists.areIntroduced(lists.of(keyring.writers), lists.empty);
}

/** Why slots of a keyring did not open, and what they gave opened no ring. */
type Failures = { readonly slots: CodedError[]; readonly rings: CodedError[] };

/** One secret, tried on keyrings. */
class Attempt {
  readonly rings = new Map<KeyringCandidate, RingEpochs>();
  readonly #by: RingOpening;
  readonly #tried = new Set<KeyringCandidate>();
  readonly #failures = new Map<KeyringCandidate, Failures>();

  constructor(by: RingOpening) {
    this.#by = by;
  }

  wasOpened(candidate: KeyringCandidate): boolean {
    return this.rings.has(candidate);
  }

  wasTried(candidate: KeyringCandidate): boolean {
    return this.#tried.has(candidate);
  }

  /** Whether the keyring is open; what was tried with any effort is not tried again. */
  async opens(candidate: KeyringCandidate, effort: SlotEffort): Promise<boolean> {
    if (this.rings.has(candidate)) return true;
    if (this.#tried.has(candidate)) return false;
    if (effort === 'any') this.#tried.add(candidate);
    const failures: Failures = { slots: [], rings: [] };
    const epochs = await this.#epochsOf(candidate, effort, failures);
    this.#failures.set(candidate, failures);
    if (epochs !== undefined) this.rings.set(candidate, epochs);
    return epochs !== undefined;
  }

  /** Says which slots did not open and why; how many they are. */
  noteFailures(): number {
    const { problems } = this.#by;
    let count = 0;
    for (const [{ ordinal }, { slots, rings }] of this.#failures) {
      count += slots.length;
      for (const cause of slots)
        noteProblem(problems, { problem: 'a slot of a keyring does not open', ordinal, cause });
      for (const cause of rings) noteProblem(problems, { problem: 'a keyring does not open', ordinal, cause });
    }
    return count;
  }

  async #epochsOf(
    candidate: KeyringCandidate,
    effort: SlotEffort,
    failures: Failures,
  ): Promise<readonly RingEpoch[] | undefined> {
    const place = { archiveId: this.#by.archiveId, keyringNumber: candidate.keyring.number };
    for (const slot of candidate.keyring.slots) {
      const ringKey = await this.#ringKeyOf(slot, place, { effort, failures });
      const epochs = ringKey && (await this.#openRing(candidate, joinBytes(ringKey), failures));
      ringKey?.fill(0);
      if (epochs !== undefined) return epochs;
    }
    return undefined;
  }

  async #openRing(
    { bytes }: KeyringCandidate,
    ringKey: Uint8Array<ArrayBuffer>,
    failures: Failures,
  ): Promise<readonly RingEpoch[] | undefined> {
    const { archiveId, tools } = this.#by;
    try {
      const opener = await openerFor(ringKey, tools);
      return parseRing((await openRecord(bytes, { archiveId, openerOf: () => opener }, tools)).raw).epochs;
    } catch (error) {
      failures.rings.push(expectCoded(error));
      return undefined;
    } finally {
      ringKey.fill(0);
    }
  }

  async #ringKeyOf(
    slot: KeyringSlot,
    place: SlotPlace,
    { effort, failures }: { readonly effort: SlotEffort; readonly failures: Failures },
  ): Promise<Uint8Array | undefined> {
    try {
      return await this.#by.openSlot(slot, place, effort);
    } catch (error) {
      failures.slots.push(expectCoded(error));
      return undefined;
    }
  }
}

/** What nobody declared is a defect, or something that the reader lacks, and no fault of the archive. */
function expectCoded(error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  throw error;
}
