import { sql } from 'kysely';
import type { TenantTx } from '../../platform/postgres.ts';
import { bigint, instant, text, uuid, type Columns, type Rows } from '../../platform/table.ts';

/** Tables owned by this module. No other module reads or writes them. */
export const tables = {
  log_cosignatures: {
    tenant_id: uuid,
    witness: text,
    tree_size: bigint,
    cosigned_at: instant,
    line: text,
    received_at: instant,
  },
  log_witness_faults: {
    tenant_id: uuid,
    witness: text,
    fault: text,
    witness_size: bigint,
    tree_size: bigint,
    found_at: instant,
  },
} as const satisfies Readonly<Record<string, Columns>>;

type Tables = Rows<typeof tables>;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** The newest cosignature of a log by a witness; undefined where it has cosigned none of its heads. */
export function findNewestCosignature(tx: TenantTx, tenantId: string, witness: string) {
  return db(tx)
    .selectFrom('log_cosignatures')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('witness', '=', witness)
    .orderBy('tree_size', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** Keeps a cosignature; another node may have been given one of the same head, and then nothing is added. */
export async function insertCosignature(
  tx: TenantTx,
  row: { tenant_id: string; witness: string; tree_size: number; cosigned_at: Date; line: string; received_at: Date },
) {
  await db(tx)
    .insertInto('log_cosignatures')
    .values(row)
    .onConflict((c) => c.doNothing())
    .execute();
}

/** Keeps that a witness has seen another log; false when that is known. */
export async function insertFault(
  tx: TenantTx,
  row: { tenant_id: string; witness: string; fault: string; witness_size: number; tree_size: number; found_at: Date },
): Promise<boolean> {
  const result = await db(tx)
    .insertInto('log_witness_faults')
    .values(row)
    .onConflict((c) => c.doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

/** Tenants whose newest signed head of the key log a witness has not cosigned, after one of them; needs no tenant. */
export async function listTenantsToWitness(
  tx: TenantTx,
  page: { readonly witness: string; readonly after: string; readonly limit: number },
): Promise<readonly string[]> {
  const { witness, after, limit } = page;
  const { rows } = await sql<{ tenant_id: string }>`
    select tenant_id from key_logs_without_cosignature(${witness}, ${after}::uuid, ${limit})`.execute(db(tx));
  return rows.map((row) => row.tenant_id);
}

/** All that witnesses cosigned last of the logs of some tenants. For an operator. */
export async function listNewestCosignatures(tx: TenantTx, tenantIds: readonly string[]) {
  const { rows } = await sql<{ tenant_id: string; witness: string; tree_size: number; cosigned_at: Date }>`
    select distinct on (tenant_id, witness) tenant_id, witness, tree_size, cosigned_at from log_cosignatures
    where tenant_id = any(${[...tenantIds]}::uuid[]) order by tenant_id, witness, tree_size desc`.execute(db(tx));
  return rows;
}

/** All that witnesses have seen of other logs of some tenants. For an operator. */
export function listFaults(tx: TenantTx, tenantIds: readonly string[]) {
  return db(tx)
    .selectFrom('log_witness_faults')
    .selectAll()
    .where('tenant_id', 'in', [...tenantIds])
    .orderBy('tenant_id')
    .orderBy('found_at')
    .execute();
}
