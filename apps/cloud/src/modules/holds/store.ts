import type { TenantTx } from '../../platform/postgres.ts';
import { instant, nullable, text, uuid, type Columns, type Rows } from '../../platform/table.ts';

/** Tables owned by this module. No other module reads or writes them. */
export const tables = {
  holds: {
    tenant_id: uuid,
    hold_id: uuid,
    archive_id: uuid,
    reason: text,
    placed_by: text,
    placed_at: instant,
    released_by: nullable(text),
    released_at: nullable(instant),
  },
} as const satisfies Readonly<Record<string, Columns>>;

type Tables = Rows<typeof tables>;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** Adds a hold. */
export async function insertHold(
  tx: TenantTx,
  row: {
    tenant_id: string;
    hold_id: string;
    archive_id: string;
    reason: string;
    placed_by: string;
    placed_at: Date;
  },
) {
  await db(tx).insertInto('holds').values(row).execute();
}

/** One hold, released or not. */
export function findHold(tx: TenantTx, tenantId: string, holdId: string) {
  return db(tx)
    .selectFrom('holds')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('hold_id', '=', holdId)
    .executeTakeFirst();
}

/** Ends a hold that is in force; false when it is not, for whoever comes second. */
export async function releaseHold(
  tx: TenantTx,
  row: { tenantId: string; holdId: string; releasedBy: string; at: Date },
): Promise<boolean> {
  const result = await db(tx)
    .updateTable('holds')
    .set({ released_by: row.releasedBy, released_at: row.at })
    .where('tenant_id', '=', row.tenantId)
    .where('hold_id', '=', row.holdId)
    .where('released_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** Whether any hold on an archive is in force. */
export async function isHeld(tx: TenantTx, tenantId: string, archiveId: string): Promise<boolean> {
  const row = await db(tx)
    .selectFrom('holds')
    .select('hold_id')
    .where('tenant_id', '=', tenantId)
    .where('archive_id', '=', archiveId)
    .where('released_at', 'is', null)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
