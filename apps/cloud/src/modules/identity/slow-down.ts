import type { Database, TenantTx } from '../../platform/postgres.ts';
import { lockCounter, updateCounter } from './session-store.ts';

/** How attempts are counted for one kind of subject. */
export type SlowDown = {
  /** Failures that cost nothing. */
  readonly freeFailures: number;
  /** The wait after the first failure beyond those; it doubles with each. */
  readonly firstWaitMs: number;
  /** The longest wait; nothing locks longer. */
  readonly maxWaitMs: number;
  /** After this long without an attempt the count starts again. */
  readonly forgetMs: number;
};

const minutes = 60_000;

/** By what failed sign-ins are slowed down: the account, where they come from, and a browser known to the account. */
export const slowDowns = {
  account: { freeFailures: 5, firstWaitMs: 1_000, maxWaitMs: 15 * minutes, forgetMs: 60 * minutes },
  source: { freeFailures: 30, firstWaitMs: 1_000, maxWaitMs: 15 * minutes, forgetMs: 60 * minutes },
  browser: { freeFailures: 5, firstWaitMs: 1_000, maxWaitMs: 15 * minutes, forgetMs: 60 * minutes },
} as const satisfies Readonly<Record<string, SlowDown>>;

/** A kind of subject that attempts are counted for. */
export type CountedKind = keyof typeof slowDowns;

/** A counter as it is kept. */
export type Counter = { readonly failures: number; readonly lastAttemptMs: number; readonly blockedUntilMs: number };

/** A counter that has counted nothing. */
export const noAttempts: Counter = { failures: 0, lastAttemptMs: 0, blockedUntilMs: 0 };

/** The wait that so many failures cause. */
export function waitMs(rule: SlowDown, failures: number): number {
  const beyond = failures - rule.freeFailures;
  return beyond <= 0 ? 0 : Math.min(rule.maxWaitMs, rule.firstWaitMs * 2 ** Math.min(beyond - 1, 40));
}

/**
 * Counts an attempt as a failure before its outcome is known, so that attempts made at once cannot outrun the count.
 *
 * While the wait runs, an attempt is refused and nothing is counted: refusals do not prolong it.
 */
export function countAttempt(
  rule: SlowDown,
  counter: Counter,
  nowMs: number,
): { readonly status: 'refused'; readonly waitMs: number } | { readonly status: 'allowed'; readonly counter: Counter } {
  // A clock that was set back must not turn a wait of minutes into one of days.
  const leftMs = Math.min(counter.blockedUntilMs - nowMs, rule.maxWaitMs);
  if (leftMs > 0) return { status: 'refused', waitMs: leftMs };
  const isForgotten = nowMs - counter.lastAttemptMs > rule.forgetMs;
  const failures = (isForgotten ? 0 : counter.failures) + 1;
  return {
    status: 'allowed',
    counter: { failures, lastAttemptMs: nowMs, blockedUntilMs: nowMs + waitMs(rule, failures) },
  };
}

/** The counter after an attempt that was counted as a failure has succeeded. */
export function forgiveAttempt(kind: CountedKind, counter: Counter, nowMs: number): Counter {
  // A source may be many people: one who knows a password does not wipe out what the others failed.
  const failures = kind === 'source' ? Math.max(0, counter.failures - 1) : 0;
  return { failures, lastAttemptMs: nowMs, blockedUntilMs: 0 };
}

/** The counter without an attempt that was counted as a failure and then not tried. */
export function takeBackAttempt(rule: SlowDown, counter: Counter): Counter {
  const failures = Math.max(0, counter.failures - 1);
  const { lastAttemptMs, blockedUntilMs } = counter;
  return {
    failures,
    lastAttemptMs,
    blockedUntilMs: Math.min(blockedUntilMs, lastAttemptMs + waitMs(rule, failures)),
  };
}

/** What attempts are counted for, and in whose rows the count stands. */
export type Counted = {
  readonly tenantId: string;
  readonly kind: CountedKind;
  readonly subjectSha256: Uint8Array;
};

/** Counts an attempt as a failure; where a wait runs it counts nothing and answers what is left of it. */
export async function countIn(
  tx: TenantTx,
  counted: Counted,
  nowMs: number,
): Promise<{ readonly waitMs: number } | undefined> {
  const result = countAttempt(slowDowns[counted.kind], await readLocked(tx, counted), nowMs);
  if (result.status === 'refused') return { waitMs: result.waitMs };
  await put(tx, counted, result.counter);
  return undefined;
}

/** Notes that a counted attempt succeeded. Others may have been counted meanwhile: the count is read again. */
export async function forgiveIn(tx: TenantTx, counted: Counted, nowMs: number): Promise<void> {
  await put(tx, counted, forgiveAttempt(counted.kind, await readLocked(tx, counted), nowMs));
}

/** Takes back the count of an attempt that was not tried, in a transaction of its own. */
export function takeBack(database: Database, counted: Counted): Promise<void> {
  return database.withTenant(counted.tenantId, async (tx) =>
    put(tx, counted, takeBackAttempt(slowDowns[counted.kind], await readLocked(tx, counted))),
  );
}

async function readLocked(tx: TenantTx, counted: Counted): Promise<Counter> {
  const row = await lockCounter(tx, counted);
  return {
    failures: row.failures,
    lastAttemptMs: row.last_attempt_at.getTime(),
    blockedUntilMs: row.blocked_until.getTime(),
  };
}

async function put(tx: TenantTx, counted: Counted, counter: Counter): Promise<void> {
  await updateCounter(tx, counted, {
    failures: counter.failures,
    last_attempt_at: new Date(counter.lastAttemptMs),
    blocked_until: new Date(counter.blockedUntilMs),
  });
}
