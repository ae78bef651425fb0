import type { Clock } from '@holdfast/base';
import { deleteEndedSessions, deleteStaleCounters, deleteUnusedBrowsers } from './modules/identity/index.ts';
import { deleteLocators } from './modules/tenants/index.ts';
import { deleteExpiredProofs, deleteSpentKeys } from './modules/tokens/index.ts';
import type { Log } from './platform/log.ts';
import type { Database } from './platform/postgres.ts';

const day = 86_400_000;
/** How long what has ended is kept, in milliseconds. */
const KEEP = { sessions: 30 * day, counters: day, browsers: 365 * day } as const;
const EVERY_MS = 60_000;

/** Forgets, in all tenants, what has expired: used proofs, ended sessions, stale counters, spent keys. For `hf_system`. */
export async function forgetExpired(system: Database, nowMs: number): Promise<void> {
  await system.withoutTenant(async (tx) => {
    await deleteExpiredProofs(tx, new Date(nowMs));
    await deleteSpentKeys(tx, new Date(nowMs));
    await deleteStaleCounters(tx, new Date(nowMs - KEEP.counters));
    await deleteUnusedBrowsers(tx, new Date(nowMs - KEEP.browsers));
    await deleteLocators(tx, 'session', await deleteEndedSessions(tx, new Date(nowMs - KEEP.sessions)));
  });
}

/** Forgets what has expired every minute, until the signal aborts; resolves then. */
export async function keepForgetting(
  deps: { readonly system: Database; readonly clock: Clock; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const run = forgetExpired(deps.system, deps.clock.now());
    await run.catch((err: unknown) => deps.log.error({ err }, 'what has expired was not forgotten'));
    await deps.clock.sleep(EVERY_MS, signal).catch(() => undefined);
  }
}
