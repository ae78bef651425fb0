import type { Destination } from './destination.ts';

/** A destination that failed under way: it lags behind from here on. */
export type LostDestination = { readonly destination: Destination; readonly error: unknown };

/** Sends fragments to every destination, in order, and drops one that fails as long as another is left. */
export class Uploader {
  readonly lost: LostDestination[] = [];
  #destinations: readonly Destination[];
  readonly #underWay = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  /** Bytes that every destination left has acknowledged. */
  sentBytes = 0;

  constructor(destinations: readonly Destination[]) {
    this.#destinations = destinations;
  }

  get destinations(): readonly Destination[] {
    return this.#destinations;
  }

  /** Resolves when every destination that is left has the fragment; rejects when none is left. */
  async send(fragment: Uint8Array): Promise<void> {
    const sending = this.#sendToAll(fragment);
    const settled = sending.catch(() => {});
    this.#underWay.add(settled);
    await settled.finally(() => this.#underWay.delete(settled));
    await sending;
    this.sentBytes += fragment.length;
  }

  /** Resolves when nothing is under way any more. @throws what made the last destination fail */
  async drained(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    if (this.#failure) throw this.#failure.error;
  }

  async #sendToAll(fragment: Uint8Array): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    const targets = this.#destinations;
    const results = await Promise.allSettled(targets.map((destination) => destination.append(fragment)));
    for (const [index, result] of results.entries()) {
      if (result.status === 'rejected') this.#lose(targets[index]!, result.reason);
    }
    if (this.#failure) throw (this.#failure as { error: unknown }).error;
  }

  #lose(destination: Destination, error: unknown): void {
    if (!this.#destinations.includes(destination)) return;
    this.#destinations = this.#destinations.filter((other) => other !== destination);
    this.lost.push({ destination, error });
    if (this.#destinations.length === 0) this.#failure = { error };
  }
}
