import { OrgPolicy } from '@holdfast/contract';
import type { TenantTx } from '../../platform/postgres.ts';
import { instant, integer, json, texts, uuid, type Columns, type Rows } from '../../platform/table.ts';

/** Tables owned by this module. No other module reads or writes them. */
export const tables = {
  org_policies: {
    tenant_id: uuid,
    org_id: uuid,
    settings: json<unknown>(),
    locked: texts,
    revision: integer,
    modified_at: instant,
  },
} as const satisfies Readonly<Record<string, Columns>>;

type Tables = Rows<typeof tables>;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** What an org has decided itself, as it is kept. */
export type StoredPolicy = {
  readonly orgId: string;
  readonly own: OrgPolicy;
  readonly revision: number;
  readonly modifiedAt: Date;
};

/** What some orgs have decided themselves; orgs that decided nothing are missing. */
export async function listPolicies(
  tx: TenantTx,
  tenantId: string,
  orgIds: readonly string[],
): Promise<readonly StoredPolicy[]> {
  const rows = await db(tx)
    .selectFrom('org_policies')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('org_id', 'in', [...orgIds])
    .execute();
  return rows.map((row) => ({
    orgId: row.org_id,
    own: OrgPolicy.parse({ settings: row.settings, locked: row.locked }),
    revision: row.revision,
    modifiedAt: row.modified_at,
  }));
}

/** Puts what an org decides itself, if it is still at the revision before; false when somebody was first. */
export async function putPolicy(
  tx: TenantTx,
  row: { tenantId: string; orgId: string; own: OrgPolicy; revision: number; at: Date },
): Promise<boolean> {
  const values = {
    settings: JSON.stringify(row.own.settings),
    locked: [...row.own.locked],
    revision: row.revision,
    modified_at: row.at,
  };
  const result = await db(tx)
    .insertInto('org_policies')
    .values({ tenant_id: row.tenantId, org_id: row.orgId, ...values })
    .onConflict((c) =>
      c
        .columns(['tenant_id', 'org_id'])
        .doUpdateSet(values)
        .where('org_policies.revision', '=', row.revision - 1),
    )
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}
