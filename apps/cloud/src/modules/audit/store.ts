import type { TenantTx } from '../../platform/postgres.ts';
import { bigint, generated, text, uuid, type Columns, type Rows } from '../../platform/table.ts';

/** Tables owned by this module. No other module reads or writes them. */
export const tables = {
  audit_entries: {
    tenant_id: uuid,
    entry_id: uuid,
    entry: text,
    occurred_at: generated(text),
    event_type: generated(text),
    outcome: generated(text),
    actor_kind: generated(text),
    actor_id: generated(text),
  },
  audit_leaves: { tenant_id: uuid, log_index: bigint, entry_id: uuid },
} as const satisfies Readonly<Record<string, Columns>>;

type Tables = Rows<typeof tables>;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** Adds an entry; its leaf follows when the transaction commits. */
export async function insertEntry(tx: TenantTx, row: { tenant_id: string; entry_id: string; entry: string }) {
  await db(tx).insertInto('audit_entries').values(row).execute();
}

/** Entries from a place on, in the order of the log, with the columns that only repeat them. */
export function listEntries(
  tx: TenantTx,
  filter: {
    tenantId: string;
    from: number;
    limit: number;
    eventType?: string | undefined;
    actorId?: string | undefined;
  },
) {
  let query = db(tx)
    .selectFrom('audit_leaves as l')
    .innerJoin('audit_entries as e', (join) =>
      join.onRef('e.tenant_id', '=', 'l.tenant_id').onRef('e.entry_id', '=', 'l.entry_id'),
    )
    .where('l.tenant_id', '=', filter.tenantId)
    .where('l.log_index', '>=', filter.from);
  if (filter.eventType !== undefined) query = query.where('e.event_type', '=', filter.eventType);
  if (filter.actorId !== undefined) query = query.where('e.actor_id', '=', filter.actorId);
  return query
    .select(['l.log_index', 'e.entry', 'e.occurred_at', 'e.event_type', 'e.outcome', 'e.actor_kind', 'e.actor_id'])
    .orderBy('l.log_index')
    .limit(filter.limit)
    .execute();
}
