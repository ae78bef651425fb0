import { z } from 'zod';
import { deleteEndedSessions, deleteStaleCounters, deleteUnusedBrowsers } from './modules/identity/index.ts';
import {
  newEscrowSlots,
  noteKeyrings,
  tryEscrowSlots,
  tryNewEscrowSlots,
  type TryDeps,
} from './modules/escrow/index.ts';
import { bringKeystore, writeDailyHeads } from './modules/keylog/index.ts';
import { deleteLocators, listTenantIds } from './modules/tenants/index.ts';
import { deleteExpiredProofs, deleteSpentKeys } from './modules/tokens/index.ts';
import {
  installationWork,
  tenantErrand,
  tenantWork,
  type InstallationJobContext,
  type JobWork,
  type Queue,
  type TenantJobContext,
} from './platform/jobs.ts';

const day = 86_400_000;
/** How long what has ended is kept, in milliseconds. */
const KEEP = { sessions: 30 * day, counters: day, browsers: 365 * day } as const;

/** Forgetting what has expired, everywhere; a schedule adds one every minute. */
export const expiredEverywhere: Queue<object> = { name: 'expired/everywhere', of: 'installation', data: z.object({}) };
/** Forgetting what has expired in one tenant. */
export const expiredOfTenant: Queue<object> = { name: 'expired/tenant', of: 'tenant', data: z.object({}) };

/** Looking in every tenant whether the heads of this day are in its key log; a schedule adds one every hour. */
export const keyLogEverywhere: Queue<object> = { name: 'key_log/everywhere', of: 'installation', data: z.object({}) };
/** The leaf over all archives' heads of one tenant, once a day. */
export const keyLogOfTenant: Queue<object> = { name: 'key_log/tenant', of: 'tenant', data: z.object({}) };

/** Looking in every tenant whether the escrow slots were tried this week; a schedule adds one every hour. */
export const escrowTriesEverywhere: Queue<object> = {
  name: 'escrow_tries/everywhere',
  of: 'installation',
  data: z.object({}),
};
/** Showing the key log of one tenant to the keystore, and trying its escrow slots once a week. */
export const escrowTriesOfTenant: Queue<object> = { name: 'escrow_tries/tenant', of: 'tenant', data: z.object({}) };

/** Longest that one job tries slots: the next goes on. */
const TRY_MS = 600_000;
/** After which time a keyring that was taken is there: between its leaf and that lie some writes. */
const SECOND_LOOK_SECONDS = 10;

/** The work of the role jobs with the keystore. */
export function escrowWork(deps: TryDeps): readonly JobWork[] {
  return [
    installationWork(escrowTriesEverywhere, async (ctx) => {
      await inEveryTenant(ctx, escrowTriesOfTenant, {});
      // What was missed, or had to wait: the keystore was away, or the hour had had its share.
      await inEveryTenant(ctx, newEscrowSlots, { isSecondLook: true });
    }),
    tenantErrand(newEscrowSlots, async ({ tenantId, signal, enqueueLater }, { isSecondLook }) => {
      if (!isSecondLook) await enqueueLater(newEscrowSlots, { isSecondLook: true }, SECOND_LOOK_SECONDS);
      await tryNewEscrowSlots(deps, tenantId, AbortSignal.any([signal, AbortSignal.timeout(TRY_MS)]));
    }),
    tenantErrand(escrowTriesOfTenant, async ({ tenantId, signal }) => {
      await noteKeyrings(deps, tenantId);
      // Whether there is anything to try or not: by its clock a key is as old as it has been known to it.
      await bringKeystore(deps, tenantId);
      await tryEscrowSlots(deps, tenantId, AbortSignal.any([signal, AbortSignal.timeout(TRY_MS)]));
    }),
  ];
}

/** The work of the role jobs. */
export const maintenance: readonly JobWork[] = [
  installationWork(expiredEverywhere, async (ctx) => {
    await ctx.withoutTenant((tx) => deleteSpentKeys(tx, ctx.now));
    await inEveryTenant(ctx, expiredOfTenant, {});
  }),
  tenantWork(expiredOfTenant, (ctx) => forgetExpired(ctx)),
  installationWork(keyLogEverywhere, (ctx) => inEveryTenant(ctx, keyLogOfTenant, {})),
  tenantWork(keyLogOfTenant, async ({ tx, tenantId, now: at }) => void (await writeDailyHeads(tx, { tenantId, at }))),
];

/** Adds a job for each tenant. */
async function inEveryTenant<Data extends object>(
  { signal, withoutTenant, inTenant }: InstallationJobContext,
  queue: Queue<Data>,
  data: Data,
): Promise<void> {
  const tenantIds = await withoutTenant((tx) => listTenantIds(tx));
  for (const tenantId of tenantIds) {
    signal.throwIfAborted();
    await inTenant(tenantId, (ctx) => ctx.enqueue(queue, data));
  }
}

/** Forgets what has expired in a tenant: used proofs, ended sessions, unused browsers, stale counters. */
export async function forgetExpired({ tx, tenantId, now }: Omit<TenantJobContext, 'enqueue'>): Promise<void> {
  const before = (ms: number) => new Date(now.getTime() - ms);
  await deleteExpiredProofs(tx, tenantId, now);
  await deleteStaleCounters(tx, tenantId, before(KEEP.counters));
  await deleteUnusedBrowsers(tx, tenantId, before(KEEP.browsers));
  const ended = await deleteEndedSessions(tx, tenantId, before(KEEP.sessions));
  await deleteLocators(tx, tenantId, { kind: 'session', identifiersSha256: ended });
}
