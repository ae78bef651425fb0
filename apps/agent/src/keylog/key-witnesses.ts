import { CodedError } from '@holdfast/base';
import type { CosignedKeyLogHead } from '@holdfast/contract';
import { openCosignatures, parseWitnessKey, type Cosignature, type WitnessKey } from '@holdfast/trust';
import type { AgentDatabase } from '../state/agent-database.ts';
import { keyLogErrors, keyWitnessErrors } from './errors.ts';
import { nothingElse, openHead } from './follow-key-log.ts';
import { hearHead } from './hear-head.ts';
import type { KeyLogBook } from './key-log-book.ts';
import type { Lateness } from './lateness.ts';

/** The newest head of the log that a witness cosigned, as this computer saw it. */
export type SeenCosigned = { readonly treeSize: number; readonly cosignedAtMs: number; readonly note: string };

/** A witness that this computer demands, and how it stands with the log of now. */
export type DemandedWitness = {
  readonly name: string;
  /** As it was given. */
  readonly key: string;
  readonly demandedAtMs: number;
  readonly cosigned: SeenCosigned | undefined;
  /** Since when the log shows heads that are longer than what it cosigned. */
  readonly outgrownSinceMs: number | undefined;
};

/** A witness as it is kept; what was seen is of one log. */
type Kept = {
  readonly key: string;
  readonly demandedAtMs: number;
  readonly origin?: string | undefined;
  readonly cosigned?: SeenCosigned | undefined;
  readonly outgrownSinceMs?: number | undefined;
};

/** When heads are heard, and what was wrong for the first time so far. */
type Hearing = { readonly nowMs: number; readonly faults: CodedError[] };

/** What keeps the demands: the agent's own state, which stays when a book of a log is set aside. */
type Facts = Pick<AgentDatabase, 'fact' | 'setFact'>;

const FACT = 'key witnesses';
const MOST_WITNESSES = 16;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/**
 * The witnesses whose cosignatures this computer wants to see on the heads of its tenant's key log.
 *
 * Which they are is decided by who administers the computer, and nothing that a server says changes it: a server that shows
 * this computer a log of its own has to leave its witnesses out, and that is said after a day. Everything that writes
 * @throws state.disk_full
 */
export class KeyWitnesses {
  readonly #facts: Facts;
  readonly #book: KeyLogBook;

  constructor(facts: Facts, book: KeyLogBook) {
    this.#facts = facts;
    this.#book = book;
  }

  /** Those that are demanded, in the order in which they were. */
  list(): readonly DemandedWitness[] {
    return this.#kept().map(({ key, demandedAtMs, origin, cosigned, outgrownSinceMs }) => {
      const isOfThisLog = origin === this.#book.pinned.origin;
      const { name } = parseWitnessKey(key);
      const seen = isOfThisLog ? { cosigned, outgrownSinceMs } : { cosigned: undefined, outgrownSinceMs: undefined };
      return { name, key, demandedAtMs, ...seen };
    });
  }

  /** Demands a witness from now on. @throws key_witness.malformed, key_witness.known, key_witness.too_many */
  add(key: string, nowMs: number): DemandedWitness {
    const { name } = read(key);
    const kept = this.#kept();
    if (this.list().some((known) => known.name === name)) throw keyWitnessErrors.known({ field: 'key', name });
    if (kept.length >= MOST_WITNESSES) throw keyWitnessErrors.too_many({ most: MOST_WITNESSES });
    this.#keep([...kept, { key, demandedAtMs: Math.round(nowMs) }]);
    return this.list().at(-1)!;
  }

  /** Demands one no more. @throws key_witness.not_found */
  remove(name: string): void {
    const kept = this.#kept();
    const left = kept.filter(({ key }) => parseWitnessKey(key).name !== name);
    if (left.length === kept.length) throw keyWitnessErrors.not_found({ field: 'name', name });
    this.#keep(left);
  }

  /**
   * Takes in the heads that the server shows as cosigned: those that a demanded witness cosigned are compared with the leaves
   * known here as any head that is heard. Returns what was wrong for the first time; it was kept.
   */
  hear(heads: readonly CosignedKeyLogHead[], nowMs: number): readonly CodedError[] {
    const kept = this.#kept();
    if (kept.length === 0) return [];
    const faults: CodedError[] = [];
    const { origin } = this.#book.pinned;
    const next = kept.map((witness): Kept => {
      const before = witness.origin === origin ? witness : { key: witness.key, demandedAtMs: witness.demandedAtMs };
      const shown = heads.flatMap(({ note }) => this.#open(note, read(witness.key), { nowMs, faults }) ?? []);
      const cosigned = newest([...(before.cosigned ? [before.cosigned] : []), ...shown]);
      const isOutgrown = this.#longest() > (cosigned?.treeSize ?? 0);
      const outgrownSinceMs = isOutgrown ? (before.outgrownSinceMs ?? Math.round(nowMs)) : undefined;
      return { ...before, origin, cosigned, outgrownSinceMs };
    });
    if (JSON.stringify(next) !== JSON.stringify(kept)) this.#keep(next);
    return faults;
  }

  /**
   * Which of them have cosigned nothing for more than a day, by their own clocks, though the log shows longer heads.
   *
   * A log that has just grown after a quiet time has an hour to be cosigned.
   */
  lateness(nowMs: number): readonly Lateness[] {
    const isOver = (sinceMs: number, limitMs: number) => Math.abs(nowMs - sinceMs) > limitMs;
    return this.list().flatMap(({ name, demandedAtMs, cosigned, outgrownSinceMs }) => {
      if (outgrownSinceMs === undefined || !isOver(outgrownSinceMs, HOUR_MS)) return [];
      if (cosigned && !isOver(cosigned.cosignedAtMs, DAY_MS)) return [];
      const about = { witness: name, cosigned: cosigned?.treeSize ?? 0, shown: this.#longest() };
      return [{ error: keyLogErrors.unwitnessed(about), sinceMs: cosigned?.cosignedAtMs ?? demandedAtMs }];
    });
  }

  /** The head as this witness cosigned it; undefined where it did not, or where it is no head of this log. */
  #open(note: string, key: WitnessKey, { nowMs, faults }: Hearing): SeenCosigned | undefined {
    const cosignature = this.#read(note, key, { nowMs, faults });
    if (!cosignature) return undefined;
    const heard = hearHead(this.#book, note, nowMs);
    if (heard.status === 'fault' && heard.isFirst) faults.push(heard.error);
    // A witness cosigns what the log signed: the server put another head below its line, or a line below another head.
    if (heard.status === 'of_another_log') this.#note(keyLogErrors.head_unsigned(), { note, nowMs, faults });
    if (heard.status !== 'consistent') return undefined;
    const { treeSize } = openHead(this.#book, note);
    return { treeSize, cosignedAtMs: cosignature.cosignedAt.getTime(), note };
  }

  /** The cosignature of a witness; undefined where there is none, or a false one, which is kept. */
  #read(note: string, key: WitnessKey, { nowMs, faults }: Hearing): Cosignature | undefined {
    try {
      return openCosignatures(note, [key])[0];
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.#note(keyLogErrors.cosignature_false({ witness: key.name }, error), { note, nowMs, faults });
      return undefined;
    }
  }

  #note(fault: CodedError, { note, nowMs, faults }: Hearing & { readonly note: string }): void {
    if (this.#book.noteFault(fault, { ...nothingElse, note, atMs: nowMs })) faults.push(fault);
  }

  /** Leaves of the longest head that the log showed. */
  #longest(): number {
    return Math.max(this.#book.head()?.tree.size ?? 0, this.#book.shownHead()?.treeSize ?? 0);
  }

  #kept(): readonly Kept[] {
    const text = this.#facts.fact(FACT);
    return typeof text === 'string' ? (JSON.parse(text) as readonly Kept[]) : [];
  }

  #keep(kept: readonly Kept[]): void {
    this.#facts.setFact(FACT, kept.length === 0 ? undefined : JSON.stringify(kept));
  }
}

function read(key: string): WitnessKey {
  try {
    return parseWitnessKey(key);
  } catch (error) {
    throw keyWitnessErrors.malformed({ field: 'key' }, error);
  }
}

/** The longest, and of those the one that was cosigned last. */
function newest(seen: readonly SeenCosigned[]): SeenCosigned | undefined {
  return seen.toSorted((a, b) => b.treeSize - a.treeSize || b.cosignedAtMs - a.cosignedAtMs)[0];
}
