import type { Destination } from './destination.ts';
import { backupErrors } from './errors.ts';
import type { DestinationMask, Routes } from './routes.ts';

/** A destination that failed under way: it lags behind from here on. */
export type LostDestination = { readonly destination: Destination; readonly error: unknown };

/** Sends fragments to the destinations that need them, in order, and drops one that fails as long as another is left. */
export class Uploader {
  readonly lost: LostDestination[] = [];
  #destinations: readonly Destination[];
  readonly #routes: Routes;
  readonly #onLost: (lost: LostDestination) => void;
  readonly #underWay = new Set<Promise<void>>();
  /** Those under way that only some destinations get. */
  readonly #partial = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  /** Bytes that every destination left which needs them has acknowledged. */
  sentBytes = 0;

  constructor(
    destinations: readonly Destination[],
    routes: Routes,
    onLost: (lost: LostDestination) => void = () => {},
  ) {
    this.#destinations = destinations;
    this.#routes = routes;
    this.#onLost = onLost;
  }

  get destinations(): readonly Destination[] {
    return this.#destinations;
  }

  /** The destinations left. */
  get ready(): DestinationMask {
    return this.#maskOf(this.#destinations);
  }

  /** Resolves when those of these destinations that are left have the fragment; rejects when none of them is left. */
  async send(fragment: Uint8Array, destinations: DestinationMask = this.#routes.everywhere): Promise<void> {
    const sending = this.#sendToAll(fragment, destinations);
    const settled = sending.catch(() => {});
    const isPartial = (this.ready & ~destinations) !== 0;
    this.#underWay.add(settled);
    if (isPartial) this.#partial.add(settled);
    await settled;
    this.#underWay.delete(settled);
    this.#partial.delete(settled);
    await sending;
    this.sentBytes += fragment.length;
  }

  /** Resolves when nothing is under way any more. @throws what made the last destination of something fail */
  async drained(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    if (this.#failure) throw this.#failure.error;
  }

  /**
   * Resolves when a commit may be sent. What goes everywhere is before it wherever it arrives; but it must not arrive at
   * one destination while blocks that it refers to have arrived at none of theirs.
   *
   * @throws as `drained` does
   */
  async readyForCommit(): Promise<void> {
    while (this.#partial.size > 0) await Promise.all(this.#partial);
    if (this.#failure) throw this.#failure.error;
  }

  async #sendToAll(fragment: Uint8Array, mask: DestinationMask): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    const targets = this.#destinations.filter((destination) => this.#isIn(destination, mask));
    const results = await Promise.allSettled(targets.map((destination) => destination.append(fragment)));
    let error: unknown = backupErrors.nowhere_to_go();
    for (const [index, result] of results.entries()) {
      if (result.status === 'fulfilled') continue;
      error = result.reason;
      this.#lose(targets[index]!, result.reason);
    }
    // Durable nowhere: nothing that refers to it may be committed.
    if (results.every(({ status }) => status === 'rejected')) this.#failure ??= { error };
    if (this.#failure) throw (this.#failure as { error: unknown }).error;
  }

  #isIn(destination: Destination, mask: DestinationMask): boolean {
    return (this.#routes.bitOf(destination.name) & mask) !== 0;
  }

  #maskOf(destinations: readonly Destination[]): DestinationMask {
    return destinations.reduce((mask, { name }) => mask | this.#routes.bitOf(name), 0);
  }

  #lose(destination: Destination, error: unknown): void {
    if (!this.#destinations.includes(destination)) return;
    this.#destinations = this.#destinations.filter((other) => other !== destination);
    this.lost.push({ destination, error });
    this.#onLost({ destination, error });
  }
}
