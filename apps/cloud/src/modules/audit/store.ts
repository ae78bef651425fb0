import { sql } from 'kysely';
import type { TenantTx } from '../../platform/postgres.ts';
import {
  bigint,
  bytea,
  byteas,
  generated,
  instant,
  smallint,
  text,
  uuid,
  type Columns,
  type Rows,
} from '../../platform/table.ts';

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
  audit_nodes: { tenant_id: uuid, level: smallint, node_index: bigint, hash: bytea },
  audit_heads: { tenant_id: uuid, tree_size: bigint, peaks: byteas },
  audit_signed_heads: { tenant_id: uuid, tree_size: bigint, signed_at: instant, note: text, verifier: text },
  log_keys: { tenant_id: uuid, verifier: text, wrapped_private_key: text, created_at: instant },
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

/** The end of a tenant's log; undefined when nothing was ever written. */
export function findHead(tx: TenantTx, tenantId: string) {
  return db(tx).selectFrom('audit_heads').selectAll().where('tenant_id', '=', tenantId).executeTakeFirst();
}

/** Hashes of the tree's nodes, by level and index. */
export async function findNodes(tx: TenantTx, tenantId: string, nodes: readonly { level: number; index: number }[]) {
  if (nodes.length === 0) return [];
  return db(tx)
    .selectFrom('audit_nodes')
    .select(['level', 'node_index', 'hash'])
    .where('tenant_id', '=', tenantId)
    .where((where) =>
      where.or(
        nodes.map(({ level, index }) => where.and([where('level', '=', level), where('node_index', '=', index)])),
      ),
    )
    .execute();
}

/** The newest signed heads, newest first. */
export function listSignedHeads(tx: TenantTx, tenantId: string, limit: number) {
  return db(tx)
    .selectFrom('audit_signed_heads')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .orderBy('tree_size', 'desc')
    .limit(limit)
    .execute();
}

/** Keeps a signed head; another node may have signed the same size first, and then nothing is added. */
export async function insertSignedHead(
  tx: TenantTx,
  row: { tenant_id: string; tree_size: number; signed_at: Date; note: string; verifier: string },
) {
  await db(tx)
    .insertInto('audit_signed_heads')
    .values(row)
    .onConflict((c) => c.doNothing())
    .execute();
}

/** The key in force: the newest. */
export function findLogKey(tx: TenantTx, tenantId: string) {
  return db(tx)
    .selectFrom('log_keys')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** Adds a key, which is in force from now on. */
export async function insertLogKey(
  tx: TenantTx,
  row: { tenant_id: string; verifier: string; wrapped_private_key: string; created_at: Date },
) {
  await db(tx).insertInto('log_keys').values(row).execute();
}

/** Tenants whose log has grown since its head was last signed; needs no tenant. */
export async function listTenantsToSign(tx: TenantTx): Promise<readonly string[]> {
  const { rows } = await sql<{ tenant_id: string }>`select tenants_with_unsigned_heads() as tenant_id`.execute(db(tx));
  return rows.map((row) => row.tenant_id);
}
