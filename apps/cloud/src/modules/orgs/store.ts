import { sql } from 'kysely';
import type { TenantTx } from '../../platform/postgres.ts';
import {
  bigint,
  bool,
  defaulted,
  generated,
  instant,
  nullable,
  text,
  uuid,
  uuids,
  type Columns,
  type Rows,
} from '../../platform/table.ts';

/** Tables owned by this module. Others read `orgs` in joins, to show and to check where a row belongs; none writes it. */
export const tables = {
  orgs: {
    tenant_id: uuid,
    org_id: uuid,
    legacy_id: generated(bigint),
    name: text,
    ext_ref: nullable(text),
    notes: nullable(text),
    parent_org_id: nullable(uuid),
    path: uuids,
    registration_key: text,
    active: defaulted(bool),
    created_at: instant,
    modified_at: instant,
    deactivated_at: nullable(instant),
  },
} as const satisfies Readonly<Record<string, Columns>>;

/** How many active users, active devices and orgs are directly in each org; a view. */
type Counts = {
  org_counts: { tenant_id: string; org_id: string; user_count: number; device_count: number; org_count: number };
};
type Tables = Rows<typeof tables> & Counts;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** Orgs in the subtrees of `reach`, by name. */
export function listOrgs(tx: TenantTx, filter: { tenantId: string; reach: readonly string[] }) {
  return {
    page: (offset: number, limit: number) =>
      orgsInReach(tx, filter)
        .innerJoin('org_counts as c', (join) =>
          join.onRef('c.tenant_id', '=', 'o.tenant_id').onRef('c.org_id', '=', 'o.org_id'),
        )
        .selectAll('o')
        .select(['c.user_count', 'c.device_count', 'c.org_count'])
        .orderBy('o.name')
        .orderBy('o.org_id')
        .offset(offset)
        .limit(limit)
        .execute(),
    count: async () => {
      const row = await orgsInReach(tx, filter)
        .select((select) => select.fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow();
      return row.count;
    },
  };
}

/** One org with its counts, if it lies in the subtrees of `reach`. */
export function findOrg(tx: TenantTx, filter: { tenantId: string; reach: readonly string[]; orgId: string }) {
  return orgsInReach(tx, filter)
    .innerJoin('org_counts as c', (join) =>
      join.onRef('c.tenant_id', '=', 'o.tenant_id').onRef('c.org_id', '=', 'o.org_id'),
    )
    .where('o.org_id', '=', filter.orgId)
    .selectAll('o')
    .select(['c.user_count', 'c.device_count', 'c.org_count'])
    .executeTakeFirst();
}

/** The path of an org wherever it lies, root first, itself last. */
export async function findPath(tx: TenantTx, tenantId: string, orgId: string): Promise<readonly string[] | undefined> {
  const row = await db(tx)
    .selectFrom('orgs')
    .select('path')
    .where('tenant_id', '=', tenantId)
    .where('org_id', '=', orgId)
    .executeTakeFirst();
  return row?.path;
}

/** The org above all others. */
export async function findRootOrgId(tx: TenantTx, tenantId: string): Promise<string | undefined> {
  const row = await db(tx)
    .selectFrom('orgs')
    .select('org_id')
    .where('tenant_id', '=', tenantId)
    .where('parent_org_id', 'is', null)
    .executeTakeFirst();
  return row?.org_id;
}

/** Adds an org. */
export async function insertOrg(
  tx: TenantTx,
  row: {
    tenant_id: string;
    org_id: string;
    name: string;
    parent_org_id: string | null;
    path: string[];
    registration_key: string;
    created_at: Date;
    modified_at: Date;
  },
) {
  await db(tx).insertInto('orgs').values(row).execute();
}

function orgsInReach(tx: TenantTx, filter: { tenantId: string; reach: readonly string[] }) {
  return db(tx)
    .selectFrom('orgs as o')
    .where('o.tenant_id', '=', filter.tenantId)
    .where(sql<boolean>`o.path && ${[...filter.reach]}::uuid[]`);
}
