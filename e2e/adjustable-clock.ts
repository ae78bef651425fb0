import { type Clock, systemClock } from '@holdfast/base';

type Sleeper = { readonly untilMs: number; readonly wake: () => void };

/** The machine's clock, set ahead by a test: as time that passes, or as a computer that sleeps sees it. */
export class AdjustableClock implements Clock {
  #wallAheadMs = 0;
  #monotonicAheadMs = 0;
  readonly #sleepers = new Set<Sleeper>();

  now(): number {
    return systemClock.now() + this.#wallAheadMs;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.#monotonicAheadMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const woken = new AbortController();
    const sleeper = { untilMs: this.monotonic() + ms, wake: () => woken.abort() };
    this.#sleepers.add(sleeper);
    try {
      const either = signal ? AbortSignal.any([signal, woken.signal]) : woken.signal;
      await systemClock.sleep(ms, either).catch(() => undefined);
      signal?.throwIfAborted();
    } finally {
      this.#sleepers.delete(sleeper);
    }
  }

  /** Lets time pass. */
  advance(ms: number): void {
    this.#wallAheadMs += ms;
    this.#monotonicAheadMs += ms;
    for (const sleeper of this.#sleepers) if (sleeper.untilMs <= this.monotonic()) sleeper.wake();
  }

  /** The computer sleeps: when it wakes, the wall clock is ahead, and the monotonic one stood still. */
  suspend(ms: number): void {
    this.#wallAheadMs += ms;
  }
}
