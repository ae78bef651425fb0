/** Where time comes from. Injected, so that tests and the simulator decide it. */
export type Clock = {
  /** Wall clock, in milliseconds since 1970; may jump either way. */
  now(): number;
  /** Milliseconds since some fixed instant; never goes back. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
};

/** A clock that stands still until `advance` is called; `sleep` resolves as time passes it. */
export function manualClock(startMs = 0): Clock & { advance(ms: number): void } {
  let elapsed = 0;
  const sleepers: { at: number; resolve: () => void }[] = [];
  return {
    now: () => startMs + elapsed,
    monotonic: () => elapsed,
    sleep: (ms) => new Promise((resolve) => sleepers.push({ at: elapsed + ms, resolve })),
    advance(ms) {
      elapsed += ms;
      for (const due of sleepers.filter((s) => s.at <= elapsed).toSorted((a, b) => a.at - b.at)) {
        sleepers.splice(sleepers.indexOf(due), 1);
        due.resolve();
      }
    },
  };
}
