import type { Database, TenantTx } from '../../platform/postgres.ts';
import { lockCounter, updateCounter } from './session-store.ts';
import {
  countAttempt,
  forgiveAttempt,
  slowDowns,
  takeBackAttempt,
  type CountedKind,
  type Counter,
} from './slow-down.ts';

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
