import type { Clock } from '@holdfast/base';

/** How often volumes and clocks are looked at. */
export const upkeepMs = 10_000;
const clockJumpMs = 30_000;

/** When volumes and clocks were looked at last, and what the clocks said then. */
export class Upkeep {
  readonly #clock: Clock;
  #last: { readonly monotonicMs: number; readonly wallMs: number };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#last = this.#clocks();
  }

  /** Whether it is time, and whether the machine slept since: its wall clock is ahead then, and events may be missing. */
  look(): { readonly isDue: boolean; readonly hasSlept: boolean } {
    const now = this.#clocks();
    const elapsedMs = now.monotonicMs - this.#last.monotonicMs;
    if (elapsedMs < upkeepMs - 1000) return { isDue: false, hasSlept: false };
    const jumpedMs = now.wallMs - this.#last.wallMs - elapsedMs;
    this.#last = now;
    return { isDue: true, hasSlept: jumpedMs >= clockJumpMs };
  }

  #clocks() {
    return { monotonicMs: this.#clock.monotonic(), wallMs: this.#clock.now() };
  }
}
