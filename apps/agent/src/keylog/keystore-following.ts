import { CodedError } from '@holdfast/base';
import type { CosignedKeyLogHead } from '@holdfast/contract';
import { openNote, parseVerifierKey } from '@holdfast/trust';
import type { AgentDatabase } from '../state/agent-database.ts';
import { keyLogErrors } from './errors.ts';
import { nothingElse, openHead } from './follow-key-log.ts';
import { hearHead } from './hear-head.ts';
import type { KeyLogBook } from './key-log-book.ts';
import type { Lateness } from './lateness.ts';

/** What is kept of the keystore of one log. */
type Kept = {
  readonly origin: string;
  readonly verifier: string;
  /** Of the longest head that it signed. */
  readonly followedSize: number;
  /** What it has to have followed next: as many leaves as this computer knew of when the ones before were, and since when. */
  readonly waitsFor?: { readonly treeSize: number; readonly sinceMs: number } | undefined;
};

/** Heard once: what was wrong for the first time so far. */
type Hearing = { readonly nowMs: number; readonly faults: CodedError[] };

type Facts = Pick<AgentDatabase, 'fact' | 'setFact'>;

const FACT = 'keystore following';
const DAY_MS = 86_400_000;

/**
 * How far the keystore of the tenant has followed the key log, as it signs with the key that was pinned at enrolment.
 *
 * It judges releases by what that log says. A server that shows it another log than this computer, or keeps from it that a key
 * has ended, has to leave its heads out, or to show one that contradicts what is known here. Everything that writes
 * @throws state.disk_full
 */
export class KeystoreFollowing {
  readonly #facts: Facts;
  readonly #book: KeyLogBook;
  readonly #verifier: string;

  /** @param verifier key of what the keystore signs, as a note verifier */
  constructor(facts: Facts, book: KeyLogBook, verifier: string) {
    this.#facts = facts;
    this.#book = book;
    this.#verifier = verifier;
  }

  /**
   * Takes in the head that the server shows as followed by the keystore: it is compared with the leaves known here as any head
   * that is heard. Returns what was wrong for the first time; it was kept.
   */
  hear(shown: CosignedKeyLogHead | undefined, nowMs: number): readonly CodedError[] {
    const faults: CodedError[] = [];
    const { waitsFor: waited, ...before } = this.#kept();
    const size = shown ? this.#open(shown.note, { nowMs, faults }) : 0;
    const followedSize = Math.max(before.followedSize, size);
    const treeSize = this.#longest();
    const isOpen = waited && waited.treeSize > followedSize;
    const next = followedSize < treeSize ? { treeSize, sinceMs: Math.round(nowMs) } : undefined;
    this.#keep({ ...before, followedSize, waitsFor: isOpen ? waited : next });
    return faults;
  }

  /** Leaves of the longest head of this log that the keystore has signed. */
  followedSize(): number {
    return this.#kept().followedSize;
  }

  /** Whether the keystore has signed no head over leaves that this computer has known of for more than a day. */
  lateness(): readonly Lateness[] {
    const { followedSize, waitsFor } = this.#kept();
    // A server that is away shows no head at all: that is said otherwise.
    if (!waitsFor || Math.abs(this.#book.checkedAtMs() - waitsFor.sinceMs) <= DAY_MS) return [];
    const { treeSize: shown, sinceMs } = waitsFor;
    return [{ error: keyLogErrors.unfollowed({ followed: followedSize, shown }), sinceMs }];
  }

  /** Leaves of the head that the keystore signed; 0 where it did not, or where it is no head of this log. */
  #open(note: string, hearing: Hearing): number {
    try {
      openNote(note, [parseVerifierKey(this.#verifier)]);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.#note(keyLogErrors.keystore_unsigned({}, error), note, hearing);
      return 0;
    }
    const heard = hearHead(this.#book, note, hearing.nowMs);
    if (heard.status === 'fault' && heard.isFirst) hearing.faults.push(heard.error);
    // The keystore signs what the log signed alone.
    if (heard.status === 'of_another_log') this.#note(keyLogErrors.head_unsigned(), note, hearing);
    return heard.status === 'consistent' ? openHead(this.#book, note).treeSize : 0;
  }

  #note(fault: CodedError, note: string, { nowMs, faults }: Hearing): void {
    if (this.#book.noteFault(fault, { ...nothingElse, note, atMs: nowMs })) faults.push(fault);
  }

  /** Leaves of the longest head that the log showed. */
  #longest(): number {
    return Math.max(this.#book.head()?.tree.size ?? 0, this.#book.shownHead()?.treeSize ?? 0);
  }

  #kept(): Kept {
    const { origin } = this.#book.pinned;
    const text = this.#facts.fact(FACT);
    const kept = typeof text === 'string' ? (JSON.parse(text) as Kept) : undefined;
    const isOfThis = kept?.origin === origin && kept.verifier === this.#verifier;
    return isOfThis ? kept : { origin, verifier: this.#verifier, followedSize: 0 };
  }

  #keep(kept: Kept): void {
    const text = JSON.stringify(kept);
    if (text !== this.#facts.fact(FACT)) this.#facts.setFact(FACT, text);
  }
}
