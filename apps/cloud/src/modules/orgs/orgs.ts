import { newId } from '@holdfast/base';
import { orgErrors, type Org } from '@holdfast/contract';
import type { TxContext } from '../../platform/context.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { newRegistrationKey } from '../tenants/index.ts';
import * as store from './store.ts';

type OrgRow = NonNullable<Awaited<ReturnType<typeof store.findOrg>>>;

/** A page of the orgs the caller reaches; pages are counted from 1. */
export async function listOrgs(
  ctx: TxContext,
  query: { page: number; pageSize: number },
): Promise<{ orgs: Org[]; totalCount: number }> {
  const orgs = store.listOrgs(ctx.tx, { tenantId: ctx.tenantId, reach: ctx.reach });
  const rows = await orgs.page((query.page - 1) * query.pageSize, query.pageSize);
  return { orgs: rows.map(toOrg), totalCount: await orgs.count() };
}

/** One org, if the caller reaches it. @throws orgs.not_found */
export async function getOrg(ctx: TxContext, orgId: string): Promise<Org> {
  const row = await store.findOrg(ctx.tx, { tenantId: ctx.tenantId, reach: ctx.reach, orgId });
  if (!row) throw orgErrors.not_found();
  return toOrg(row);
}

/** Adds an org below another, or the root org of a tenant that has none; returns its id. */
export async function addOrg(
  tx: TenantTx,
  org: { readonly tenantId: string; readonly name: string; readonly parentOrgId?: string; readonly at: Date },
): Promise<string> {
  const orgId = newId<'org'>(org.at.getTime());
  const above = org.parentOrgId === undefined ? [] : await store.findPath(tx, org.tenantId, org.parentOrgId);
  if (!above) throw orgErrors.not_found();
  await store.insertOrg(tx, {
    tenant_id: org.tenantId,
    org_id: orgId,
    name: org.name,
    parent_org_id: org.parentOrgId ?? null,
    path: [...above, orgId],
    registration_key: newRegistrationKey(),
    created_at: org.at,
    modified_at: org.at,
  });
  return orgId;
}

function toOrg(row: OrgRow): Org {
  return {
    orgGuid: row.org_id,
    orgId: String(row.legacy_id),
    orgName: row.name,
    orgExtRef: row.ext_ref,
    notes: row.notes,
    parentOrgGuid: row.parent_org_id,
    active: row.active,
    creationDate: row.created_at.toISOString(),
    modificationDate: row.modified_at.toISOString(),
    deactivationDate: row.deactivated_at?.toISOString() ?? null,
    registrationKey: row.registration_key,
    userCount: row.user_count,
    computerCount: row.device_count,
    orgCount: row.org_count,
  };
}
