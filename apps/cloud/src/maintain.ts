import { z } from 'zod';
import { deleteEndedSessions, deleteStaleCounters, deleteUnusedBrowsers } from './modules/identity/index.ts';
import { deleteLocators, listTenantIds } from './modules/tenants/index.ts';
import { deleteExpiredProofs, deleteSpentKeys } from './modules/tokens/index.ts';
import { installationWork, tenantWork, type JobWork, type Queue, type TenantJobContext } from './platform/jobs.ts';

const day = 86_400_000;
/** How long what has ended is kept, in milliseconds. */
const KEEP = { sessions: 30 * day, counters: day, browsers: 365 * day } as const;

/** Forgetting what has expired, everywhere; a schedule adds one every minute. */
export const expiredEverywhere: Queue<object> = { name: 'expired/everywhere', of: 'installation', data: z.object({}) };
/** Forgetting what has expired in one tenant. */
export const expiredOfTenant: Queue<object> = { name: 'expired/tenant', of: 'tenant', data: z.object({}) };

/** The work of the role jobs. */
export const maintenance: readonly JobWork[] = [
  installationWork(expiredEverywhere, async ({ now, signal, withoutTenant, inTenant }) => {
    const tenantIds = await withoutTenant(async (tx) => {
      await deleteSpentKeys(tx, now);
      return listTenantIds(tx);
    });
    for (const tenantId of tenantIds) {
      signal.throwIfAborted();
      await inTenant(tenantId, (ctx) => ctx.enqueue(expiredOfTenant, {}));
    }
  }),
  tenantWork(expiredOfTenant, (ctx) => forgetExpired(ctx)),
];

/** Forgets what has expired in a tenant: used proofs, ended sessions, unused browsers, stale counters. */
export async function forgetExpired({ tx, tenantId, now }: Omit<TenantJobContext, 'enqueue'>): Promise<void> {
  const before = (ms: number) => new Date(now.getTime() - ms);
  await deleteExpiredProofs(tx, tenantId, now);
  await deleteStaleCounters(tx, tenantId, before(KEEP.counters));
  await deleteUnusedBrowsers(tx, tenantId, before(KEEP.browsers));
  const ended = await deleteEndedSessions(tx, tenantId, before(KEEP.sessions));
  await deleteLocators(tx, tenantId, { kind: 'session', identifiersSha256: ended });
}
