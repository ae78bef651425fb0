/**
 * Which keyring a secret opens. Anybody can add keyrings to a store, with slots that cost a reader much and are no one's:
 * those that nobody can forge come first, and the others are not worked for once one of them opened.
 */
import { importXaesKey } from '../crypto/xaes-web.ts';
import type { XaesOpener } from '../crypto/xaes.ts';
import { equalBytes, joinBytes } from '../format/cursor.ts';
import { type KeyringSlot, parseRing, type RingEpoch } from '../format/keyring.ts';
import { openRecord } from '../format/open.ts';
import type { SlotPlace } from '../format/slot.ts';
import { isVouchedFor, type KeyringCandidate } from './choose-keyring.ts';
import { noteProblem } from './note-problem.ts';
import type { OpenSlot, ReadProblem, ReadTools, SlotEffort } from './record-source.ts';

/** The keyring that a secret opened, with its epochs. */
export type OpenedRing = {
  readonly opened: KeyringCandidate;
  readonly epochs: readonly Pick<RingEpoch, 'number' | 'key'>[];
};

/** What opening takes. */
export type RingOpening = {
  readonly archiveId: Uint8Array;
  readonly openSlot: OpenSlot;
  readonly tools: ReadTools;
  readonly problems: ReadProblem[];
};

/** The keyring that was opened, if one was, and of how many slots it is not known whether the secret fits. */
export type RingOutcome = { readonly ring: OpenedRing | undefined; readonly slotsNotTried: number };

/**
 * The newest keyring that the secret opens: of those in which each writer was introduced by the one before, or a newer
 * one which nobody vouches for, if it opens without further work and goes on with the same epochs.
 *
 * @param candidates by falling number
 */
export async function openNewestRing(candidates: readonly KeyringCandidate[], by: RingOpening): Promise<RingOutcome> {
  const vouched = new Set<KeyringCandidate>();
  for (const candidate of candidates)
    if (await isVouchedFor(candidate.keyring, by.archiveId, by.tools)) vouched.add(candidate);
  const attempt = new Attempt(by);
  const proven = await attempt.first(
    candidates.filter((candidate) => vouched.has(candidate)),
    'any',
  );
  const others = candidates.filter((candidate) => !vouched.has(candidate));
  if (proven === undefined) return { ring: await attempt.first(others, 'any'), slotsNotTried: attempt.slotsNotTried };
  const newer = others.filter(({ keyring }) => keyring.number > proven.opened.keyring.number);
  const ring = (await attempt.first(newer, 'none', proven)) ?? proven;
  return { ring, slotsNotTried: attempt.slotsNotTried };
}

/** One secret, tried on keyrings. */
class Attempt {
  readonly #by: RingOpening;
  slotsNotTried = 0;

  constructor(by: RingOpening) {
    this.#by = by;
  }

  /** The first keyring that opens and, where one is given, holds all its epochs. */
  async first(
    candidates: readonly KeyringCandidate[],
    effort: SlotEffort,
    before?: OpenedRing,
  ): Promise<OpenedRing | undefined> {
    const { problems } = this.#by;
    for (const opened of candidates) {
      const { ordinal } = opened;
      try {
        const epochs = await this.#epochsOf(opened, effort);
        if (epochs === undefined) continue;
        if (before === undefined || before.epochs.every((epoch) => isAmong(epochs, epoch))) return { opened, epochs };
        noteProblem(problems, { problem: 'a keyring does not go on with the keys of the one before it', ordinal });
      } catch (cause) {
        noteProblem(problems, { problem: 'a keyring does not open', ordinal, cause });
      }
    }
    return undefined;
  }

  async #epochsOf(candidate: KeyringCandidate, effort: SlotEffort): Promise<readonly RingEpoch[] | undefined> {
    const { archiveId, tools } = this.#by;
    const { keyring, bytes } = candidate;
    const place = { archiveId, keyringNumber: keyring.number };
    for (const slot of keyring.slots) {
      const ringKey = await this.#ringKeyOf(slot, place, { candidate, effort });
      if (!ringKey) continue;
      const opener = await openerFor(joinBytes(ringKey), tools);
      return parseRing((await openRecord(bytes, { archiveId, openerOf: () => opener }, tools)).raw).epochs;
    }
    return undefined;
  }

  async #ringKeyOf(
    slot: KeyringSlot,
    place: SlotPlace,
    { candidate, effort }: { readonly candidate: KeyringCandidate; readonly effort: SlotEffort },
  ): Promise<Uint8Array | undefined> {
    try {
      return await this.#by.openSlot(slot, place, effort);
    } catch (cause) {
      this.slotsNotTried += 1;
      const { ordinal } = candidate;
      noteProblem(this.#by.problems, { problem: 'a slot of a keyring does not open', ordinal, cause });
      return undefined;
    }
  }
}

function isAmong(epochs: OpenedRing['epochs'], { number, key }: OpenedRing['epochs'][number]): boolean {
  return epochs.some((epoch) => epoch.number === number && equalBytes(epoch.key, key));
}

/** Opens records under a 32-byte key. */
export function openerFor(key: Uint8Array<ArrayBuffer>, tools: ReadTools): XaesOpener | Promise<XaesOpener> {
  return tools.createOpener === undefined ? importXaesKey(key) : tools.createOpener(key);
}
