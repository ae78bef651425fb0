import { defineErrors, newId } from '@holdfast/base';
import { authErrors } from '@holdfast/contract';
import type { TxContext } from '../../platform/context.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { findDevice } from '../devices/index.ts';
import { mayOver } from '../identity/index.ts';
import { findPath } from '../orgs/index.ts';
import * as store from './store.ts';

/** Failures of placing and releasing legal holds. */
export const holdErrors = defineErrors('holds', {
  archive_not_found: ['not_found', 'There is no archive of that id'],
  not_found: ['not_found', 'There is no hold of that id'],
  reason_invalid: ['invalid', 'A hold needs a reason of 1 to 1000 characters'],
  already_released: ['conflict', 'The hold was released before'],
});

/** What holds need of the module that keeps archives, which stands above this one. */
export type HoldDeps = {
  /** The device whose archive it is; undefined when the tenant has no archive of that id. */
  readonly deviceOfArchive: (tx: TenantTx, tenantId: string, archiveId: string) => Promise<string | undefined>;
};

const MAX_REASON_CHARACTERS = 1_000;

/**
 * Places a legal hold on an archive: until it is released nothing of the archive is let go, and no quota stops it.
 *
 * There may be several on one archive, each with its own reason; the archive is held while one is in force.
 * @throws auth.missing_permission without `holds.write`; holds.archive_not_found for what the caller does not reach;
 * holds.reason_invalid
 */
export async function placeHold(
  ctx: TxContext,
  deps: HoldDeps,
  wanted: { readonly archiveId: string; readonly reason: string },
): Promise<{ readonly holdId: string }> {
  const { archiveId } = wanted;
  const reason = wanted.reason.trim();
  expectPermission(ctx);
  if (reason === '' || reason.length > MAX_REASON_CHARACTERS) throw holdErrors.reason_invalid({ field: 'reason' });
  if (!(await reachesArchive(ctx, deps, archiveId))) throw holdErrors.archive_not_found();
  const { tx, tenantId, principal, now } = ctx;
  const holdId = newId<'hold'>(now.getTime());
  const row = { tenant_id: tenantId, hold_id: holdId, archive_id: archiveId, reason };
  await store.insertHold(tx, { ...row, placed_by: principal.principalId, placed_at: now });
  await ctx.audit({
    eventType: 'hold.placed',
    target: { kind: 'archive', id: archiveId },
    after: { holdId, reason },
  });
  return { holdId };
}

/**
 * Releases a legal hold; others on the same archive stay in force.
 *
 * @throws auth.missing_permission without `holds.write`; holds.not_found for what the caller does not reach;
 * holds.already_released
 */
export async function releaseHold(ctx: TxContext, deps: HoldDeps, holdId: string): Promise<void> {
  const { tx, tenantId, principal, now } = ctx;
  expectPermission(ctx);
  const hold = await store.findHold(tx, tenantId, holdId);
  if (!hold || !(await reachesArchive(ctx, deps, hold.archive_id))) throw holdErrors.not_found();
  const release = { tenantId, holdId, releasedBy: principal.principalId, at: now };
  if (!(await store.releaseHold(tx, release))) throw holdErrors.already_released();
  await ctx.audit({
    eventType: 'hold.released',
    target: { kind: 'archive', id: hold.archive_id },
    before: { holdId, reason: hold.reason, placedBy: hold.placed_by, placedAt: hold.placed_at.toISOString() },
  });
}

function expectPermission({ principal }: TxContext): void {
  const permission = 'holds.write';
  if (!principal.grants.some((grant) => grant.permissions.has(permission)))
    throw authErrors.missing_permission({ permission });
}

/** Whether the caller may hold an archive: that of a device in an org over which they have the permission. */
async function reachesArchive(ctx: TxContext, deps: HoldDeps, archiveId: string): Promise<boolean> {
  const { tx, tenantId, principal } = ctx;
  const deviceId = await deps.deviceOfArchive(tx, tenantId, archiveId);
  const device = deviceId === undefined ? undefined : await findDevice(tx, tenantId, deviceId);
  const path = device && (await findPath(tx, tenantId, device.org_id));
  return path !== undefined && mayOver(principal.grants, 'holds.write', path);
}
