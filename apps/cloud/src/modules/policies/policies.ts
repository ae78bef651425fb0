import { policyErrors, type OrgPolicy, type ResolvedPolicy } from '@holdfast/contract';
import type { AuditValue, TxContext } from '../../platform/context.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { findPath } from '../orgs/index.ts';
import { lockedAbove, resolvePolicy, type PolicyOfOrg } from './resolve-policy.ts';
import * as store from './store.ts';

const nothingDecided: OrgPolicy = { settings: {}, locked: [] };

/** What an org decides itself, and what is in force in it. */
export type PolicyReply = {
  orgGuid: string;
  own: OrgPolicy;
  resolved: ResolvedPolicy;
  revision: number;
  modifiedAt: string | null;
};

/** What is in force in an org the caller reaches. @throws policies.org_not_found */
export async function getPolicy(ctx: TxContext, orgId: string): Promise<PolicyReply> {
  return read(ctx.tx, ctx.tenantId, await reachedPath(ctx, orgId));
}

/**
 * Replaces what an org decides itself.
 *
 * @throws policies.org_not_found; policies.locked_above with the fields; policies.changed_meanwhile
 */
export async function putPolicy(
  ctx: TxContext,
  orgId: string,
  change: { own: OrgPolicy; revision: number },
): Promise<PolicyReply> {
  const path = await reachedPath(ctx, orgId);
  const before = await readPath(ctx.tx, ctx.tenantId, path);
  const fields = lockedAbove(before.orgs.slice(0, -1), change.own);
  if (fields.length > 0) throw policyErrors.locked_above({ fields });
  if ((before.last?.revision ?? 0) !== change.revision)
    throw policyErrors.changed_meanwhile({ revision: before.last?.revision ?? 0 });
  const row = { tenantId: ctx.tenantId, orgId, own: change.own, revision: change.revision + 1, at: ctx.now };
  if (!(await store.putPolicy(ctx.tx, row))) throw policyErrors.changed_meanwhile();
  await ctx.audit({
    eventType: 'policy.replaced',
    target: { kind: 'org', id: orgId },
    before: (before.last?.own ?? nothingDecided) as unknown as AuditValue,
    after: change.own as unknown as AuditValue,
  });
  return read(ctx.tx, ctx.tenantId, path);
}

/** What is in force in an org of the tenant, whoever asks; undefined when there is no such org. */
export async function resolveForOrg(
  tx: TenantTx,
  tenantId: string,
  orgId: string,
): Promise<ResolvedPolicy | undefined> {
  const path = await findPath(tx, tenantId, orgId);
  return path ? resolvePolicy((await readPath(tx, tenantId, path)).orgs) : undefined;
}

async function reachedPath(ctx: TxContext, orgId: string): Promise<readonly string[]> {
  const path = await findPath(ctx.tx, ctx.tenantId, orgId);
  if (!path?.some((above) => ctx.reach.includes(above))) throw policyErrors.org_not_found();
  return path;
}

async function readPath(tx: TenantTx, tenantId: string, path: readonly string[]) {
  const stored = await store.listPolicies(tx, tenantId, path);
  const found = path.map((orgId) => stored.find((policy) => policy.orgId === orgId));
  const orgs: PolicyOfOrg[] = path.map((orgId, depth) => ({ orgId, own: found[depth]?.own ?? nothingDecided }));
  return { orgs, last: found.at(-1) };
}

async function read(tx: TenantTx, tenantId: string, path: readonly string[]): Promise<PolicyReply> {
  const { orgs, last } = await readPath(tx, tenantId, path);
  return {
    orgGuid: path.at(-1)!,
    own: last?.own ?? nothingDecided,
    resolved: resolvePolicy(orgs),
    revision: last?.revision ?? 0,
    modifiedAt: last?.modifiedAt.toISOString() ?? null,
  };
}
