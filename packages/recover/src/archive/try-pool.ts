import { RecoverError } from '../errors.ts';

/** Different password slots that are tried in a run, where nothing else is said; what is beyond was forged. */
export const DEFAULT_TRIES = 16;

const MOST_TRIES = 10_000;
/** KiB times passes that the default tries take together at most: four slots of the greatest cost. */
const POOL_KIBIBYTE_PASSES = 41_943_040;

/** Tries of a password, and the memory times passes that they may take together (§5). */
export class TryPool {
  #tries: number;
  #kibibytePasses: number;
  readonly #whole: TryPool | undefined;

  private constructor(tries: number, kibibytePasses: number, whole?: TryPool) {
    this.#tries = tries;
    this.#kibibytePasses = kibibytePasses;
    this.#whole = whole;
  }

  /** The one pool of a run. @throws request.invalid */
  static of(tries: number): TryPool {
    if (!Number.isSafeInteger(tries) || tries < 1 || tries > MOST_TRIES)
      throw new RecoverError('request.invalid', { field: 'passwordTries', what: `not 1 to ${MOST_TRIES}` });
    return new TryPool(tries, POOL_KIBIBYTE_PASSES * Math.max(1, tries / DEFAULT_TRIES));
  }

  /** An equal part of what is left, one of so many; what is taken from it is taken from the whole. */
  part(parts: number): TryPool {
    return new TryPool(Math.ceil(this.#tries / parts), this.#kibibytePasses / parts, this);
  }

  /** Takes one try of a cost out, if there is as much. */
  take(kibibytePasses: number): boolean {
    if (this.#tries < 1 || kibibytePasses > this.#kibibytePasses) return false;
    this.#tries -= 1;
    this.#kibibytePasses -= kibibytePasses;
    return this.#whole === undefined || this.#whole.take(kibibytePasses);
  }
}
