import type { EscrowTry } from '@holdfast/trust';
import { z } from 'zod';
import type { Queue } from '../../platform/jobs.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import * as standings from './standings-store.ts';
import * as store from './tries-store.ts';
import { beginRun, doRun, jobs, type TryDeps } from './try-slots.ts';

/**
 * Trying the slots of keyrings that have come to a tenant; whoever takes such a keyring adds one in the same transaction.
 *
 * The keyring takes effect after that transaction, so each look is followed by a second one.
 */
export const newEscrowSlots: Queue<{ readonly isSecondLook: boolean }> = {
  name: 'escrow_tries/new',
  of: 'tenant',
  data: z.object({ isSecondLook: z.boolean() }),
};

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** How long runs over new keyrings are kept: how each archive stands is kept by itself. */
const KEEP_MS = 7 * DAY_MS;

/** Most that new keyrings have tried in an hour: of one archive, so often; of a tenant, so many slots. The rest comes later. */
export const newSlotBounds = { runsOfArchive: 6, slotsOfTenant: 2_000 } as const;

/**
 * Tries the escrow slots of a tenant's newest keyrings that were not tried yet, as `tryEscrowSlots` tries all of them: under a leaf
 * that says so before, and within `newSlotBounds`.
 *
 * Of several keyrings that an archive got since, the newest is tried.
 * @throws keystore.away and whatever keeps the keystore from trying at all: that says nothing of the slots
 */
export async function tryNewEscrowSlots(deps: TryDeps, tenantId: string, signal: AbortSignal): Promise<void> {
  await noteKeyrings(deps, tenantId);
  for (const find of [findRun, beginNextRun]) {
    const run = await find(deps, tenantId);
    if (run) await doRun(deps, { tenantId, ...run }, KEEP_MS, signal);
    // It goes on with what is left of this run.
    if (signal.aborted) return;
  }
}

/**
 * Takes down which archives have a keyring that is still to be tried. One that is so for more than a day is said once, in the log
 * and in the audit log: the keystore was away for that long, or cannot open its keys.
 */
export async function noteKeyrings({ database, clock, log, writeAudit }: TryDeps, tenantId: string): Promise<void> {
  const now = clock.now();
  const at = new Date(now);
  const unproved = await database.withTenant(tenantId, async (tx) => {
    await standings.noteNewKeyrings(tx, { tenantId, at });
    const long = await standings.takeLongUnproved(tx, { tenantId, at, before: longUnprovedBefore(now) });
    for (const { archiveId, keyringSha256, since } of long) {
      const about = { tenantId, at, actor: jobs, target: { kind: 'archive', id: archiveId } };
      const facts = { archiveId, keyringSha256, since: since.toISOString() };
      await writeAudit(tx, { ...about, eventType: 'escrow.slot_unproved', outcome: 'failed', facts });
    }
    return long;
  });
  for (const { archiveId, since } of unproved)
    log.warn({ archiveId, since }, 'the escrow slot of an archive could not be tried for more than a day');
}

/** Before which instant an archive must have become unproved to be one for long. */
export function longUnprovedBefore(nowMs: number): Date {
  return new Date(nowMs - DAY_MS);
}

/** The run that is under way. */
async function findRun({ database }: TryDeps, tenantId: string): Promise<store.EscrowRun | undefined> {
  const newest = await database.withTenant(tenantId, (tx) => store.findNewestRun(tx, tenantId, 'new'));
  return newest?.finishedAt === null ? newest : undefined;
}

/** A run over what waits; undefined where nothing does, or the hour has had its share. */
function beginNextRun({ database, clock }: TryDeps, tenantId: string): Promise<store.EscrowRun | undefined> {
  return database.withTenant(tenantId, async (tx) => {
    const at = new Date(clock.now());
    const tries = await choose(tx, tenantId, at);
    return tries.length === 0 ? undefined : beginRun(tx, { tenantId, kind: 'new', at }, tries);
  });
}

/** What is to be tried now: those first that were tried least in this hour, so that one archive holds up no other. */
async function choose(tx: TenantTx, tenantId: string, at: Date): Promise<readonly EscrowTry[]> {
  const untried = await standings.listUntried(tx, tenantId);
  if (untried.length === 0) return [];
  const lately = await store.countTriedSince(tx, { tenantId, since: new Date(at.getTime() - HOUR_MS) });
  const runsOf = new Map(lately.map(({ archiveId, runs }) => [archiveId, runs]));
  const turns = untried
    .map(({ archiveId }) => ({ archiveId, runs: runsOf.get(archiveId) ?? 0 }))
    .filter(({ runs }) => runs < newSlotBounds.runsOfArchive)
    .toSorted((a, b) => a.runs - b.runs);
  const newest = Map.groupBy(await store.listNewestSlots(tx, tenantId), ({ archiveId }) => archiveId);
  let room = newSlotBounds.slotsOfTenant - lately.reduce((sum, { slots }) => sum + slots, 0);
  const chosen: EscrowTry[] = [];
  for (const { archiveId } of turns) {
    const slots = newest.get(archiveId) ?? [];
    if (slots.length > room) break;
    room -= slots.length;
    chosen.push(...slots);
  }
  return chosen;
}
