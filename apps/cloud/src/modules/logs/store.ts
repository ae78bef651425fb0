import { sql } from 'kysely';
import type { TenantTx } from '../../platform/postgres.ts';
import { bigint, bytea, byteas, instant, smallint, text, uuid, type Columns, type Rows } from '../../platform/table.ts';

/** A log of a tenant: what was done, or who can open its archives. */
export type LogName = 'audit' | 'key';

/** One log of one tenant. */
export type TenantLog = { readonly tenantId: string; readonly log: LogName };

/** Tables owned by this module. No other module reads or writes them. */
export const tables = {
  log_nodes: { tenant_id: uuid, log: text, level: smallint, node_index: bigint, hash: bytea },
  log_heads: { tenant_id: uuid, log: text, tree_size: bigint, peaks: byteas },
  log_signed_heads: {
    tenant_id: uuid,
    log: text,
    tree_size: bigint,
    signed_at: instant,
    note: text,
    verifier: text,
  },
  log_keys: { tenant_id: uuid, verifier: text, wrapped_private_key: text, created_at: instant },
} as const satisfies Readonly<Record<string, Columns>>;

type Tables = Rows<typeof tables>;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** The end of a log; undefined when nothing was ever written. */
export function findHead(tx: TenantTx, { tenantId, log }: TenantLog) {
  return db(tx)
    .selectFrom('log_heads')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('log', '=', log)
    .executeTakeFirst();
}

/**
 * Hashes of the tree's nodes, by level and index.
 *
 * Each is looked up by its whole key: asked for by a list of conditions, a planner that has not counted the log of a new
 * tenant yet reads all of it.
 */
export async function findNodes(
  tx: TenantTx,
  { tenantId, log }: TenantLog,
  nodes: readonly { level: number; index: number }[],
) {
  if (nodes.length === 0) return [];
  const levels = nodes.map(({ level }) => level);
  const indexes = nodes.map(({ index }) => index);
  const { rows } = await sql<{ level: number; node_index: number; hash: Buffer | null }>`
    select w.level, w.node_index,
      (select n.hash from log_nodes n where n.tenant_id = ${tenantId} and n.log = ${log}
        and n.level = w.level and n.node_index = w.node_index) as hash
    from unnest(${levels}::int2[], ${indexes}::int8[]) as w(level, node_index)`.execute(db(tx));
  return rows;
}

/** The newest signed heads, newest first. */
export function listSignedHeads(tx: TenantTx, { tenantId, log }: TenantLog, limit: number) {
  return db(tx)
    .selectFrom('log_signed_heads')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('log', '=', log)
    .orderBy('tree_size', 'desc')
    .limit(limit)
    .execute();
}

/** The head of some size as it was signed; undefined where none of that size was. */
export function findSignedHead(tx: TenantTx, { tenantId, log }: TenantLog, treeSize: number) {
  return db(tx)
    .selectFrom('log_signed_heads')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('log', '=', log)
    .where('tree_size', '=', treeSize)
    .executeTakeFirst();
}

/** Whether a head was signed here, to the letter. */
export async function hasSignedHead(tx: TenantTx, of: TenantLog, note: string): Promise<boolean> {
  const size = /^[^\n]*\n(\d{1,15})\n/.exec(note)?.[1];
  if (size === undefined) return false;
  return (await findSignedHead(tx, of, Number(size)))?.note === note;
}

/** Keeps a signed head; another node may have signed the same size first, and then nothing is added. */
export async function insertSignedHead(
  tx: TenantTx,
  row: { tenant_id: string; log: LogName; tree_size: number; signed_at: Date; note: string; verifier: string },
) {
  await db(tx)
    .insertInto('log_signed_heads')
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

/** The key in force of each of some tenants, and the size of the newest signed head of its key log; for an operator. */
export async function listKeyLogs(tx: TenantTx, tenantIds: readonly string[]) {
  const { rows } = await sql<{ tenant_id: string; verifier: string | null; tree_size: number | null }>`
    select w.tenant_id,
      (select k.verifier from log_keys k where k.tenant_id = w.tenant_id order by k.created_at desc limit 1) as verifier,
      (select max(s.tree_size) from log_signed_heads s where s.tenant_id = w.tenant_id and s.log = 'key') as tree_size
    from unnest(${[...tenantIds]}::uuid[]) as w(tenant_id)`.execute(db(tx));
  return rows;
}

/** Adds a key, which is in force from now on. */
export async function insertLogKey(
  tx: TenantTx,
  row: { tenant_id: string; verifier: string; wrapped_private_key: string; created_at: Date },
) {
  await db(tx).insertInto('log_keys').values(row).execute();
}

/** Logs that have grown since their heads were last signed; needs no tenant. */
export async function listLogsToSign(tx: TenantTx): Promise<readonly TenantLog[]> {
  const { rows } = await sql<{ tenant_id: string; log: LogName }>`select * from logs_with_unsigned_heads()`.execute(
    db(tx),
  );
  return rows.map(({ tenant_id: tenantId, log }) => ({ tenantId, log }));
}
