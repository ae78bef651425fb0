import { systemClock, type Clock } from './clock.ts';
import { isRetryable } from './errors.ts';

/** How often and how slowly to try again. */
export type RetryPolicy = {
  /** Tries in all, the first included. */
  readonly attempts: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
};

/** The wait before try `attempt` (1 = first retry): exponential with full jitter; `unit` is a random number in [0, 1). */
export function retryDelayMs(policy: RetryPolicy, attempt: number, unit: number): number {
  const ceiling = Math.min(policy.maxDelayMs, policy.firstDelayMs * 2 ** (attempt - 1));
  return Math.ceil(ceiling / 2 + (ceiling / 2) * unit);
}

/** Runs `work` until it succeeds, fails for good, or the tries are used up. Only retryable kinds are tried again. */
export async function retry<T>(
  work: () => Promise<T>,
  policy: RetryPolicy,
  options: { clock?: Clock; signal?: AbortSignal; unit?: () => number } = {},
): Promise<T> {
  const { clock = systemClock, unit = Math.random } = options;
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isRetryable(error) || attempt >= policy.attempts) throw error;
      await clock.sleep(retryDelayMs(policy, attempt, unit()), options.signal);
    }
  }
}
