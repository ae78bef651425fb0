import { systemClock } from '@holdfast/base';

/** Names of the parts that did not end in time, so far. */
type Unended = readonly string[];

/** How a part is ended, and how long that is waited for. */
type Part = {
  readonly name: string;
  readonly end: (unended: Unended) => unknown;
  readonly patienceMs: () => number;
};

/** What became of ending all parts: which did not end in time, and what the others threw. */
export type TeardownOutcome = { readonly unended: Unended; readonly errors: readonly unknown[] };

/** How long most parts may take to end. */
const PATIENCE_MS = 5_000;

/**
 * Parts that were started, to be ended in reverse order, each within its patience.
 *
 * One that hangs or throws keeps none of the others from being ended: what it stands on comes after it, the database last
 * of all. Time is the machine's own, whatever clock the parts have: it bounds what may hang.
 */
export class Teardown {
  readonly #parts: Part[] = [];
  readonly #onLate: (name: string) => void;
  #ending: Promise<TeardownOutcome> | undefined;

  constructor(onLate: (name: string) => void) {
    this.#onLate = onLate;
  }

  /**
   * Notes how to end a part that was just started. Its patience is asked for when it is its turn, and is 5 s unless given.
   *
   * `end` may be asynchronous, and is told which parts go on meanwhile.
   */
  defer(name: string, end: Part['end'], patienceMs: Part['patienceMs'] = () => PATIENCE_MS): void {
    this.#parts.push({ name, end, patienceMs });
  }

  /** Ends all of them, once: whoever asks again hears the same. Throws nothing. */
  end(): Promise<TeardownOutcome> {
    return (this.#ending ??= this.#endAll());
  }

  async #endAll(): Promise<TeardownOutcome> {
    const unended: string[] = [];
    const errors: unknown[] = [];
    for (const part of this.#parts.toReversed()) {
      const outcome = await endOne(part, unended);
      if (outcome === 'late') {
        unended.push(part.name);
        this.#onLate(part.name);
      } else if (outcome !== 'ended') errors.push(outcome.error);
    }
    return { unended, errors };
  }
}

async function endOne(
  { end, patienceMs }: Part,
  unended: Unended,
): Promise<'ended' | 'late' | { readonly error: unknown }> {
  const ended = new AbortController();
  const late = systemClock.sleep(patienceMs(), ended.signal).then(
    () => 'late' as const,
    () => 'ended' as const,
  );
  const ending = Promise.try(end, unended).then(
    () => 'ended' as const,
    (error: unknown) => ({ error }),
  );
  const outcome = await Promise.race([ending, late]);
  ended.abort();
  return outcome;
}
