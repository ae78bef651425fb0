import type { TenantTx } from '../../platform/postgres.ts';
import { bigint, instant, integer, nullable, text, uuid, type Columns, type Rows } from '../../platform/table.ts';

/** Tables owned by this module. No other module reads or writes them. */
export const tables = {
  escrow_keys: {
    tenant_id: uuid,
    number: integer,
    document: text,
    wrapped_log_sealing_key: text,
    created_at: instant,
  },
  escrow_runs: {
    tenant_id: uuid,
    run_id: uuid,
    kind: text,
    begun_at: instant,
    log_index: nullable(bigint),
    finished_at: nullable(instant),
  },
  escrow_tries: {
    tenant_id: uuid,
    run_id: uuid,
    place: integer,
    archive_id: uuid,
    slot_id: text,
    keyring_sha256: text,
    outcome: nullable(text),
  },
  escrow_standings: {
    tenant_id: uuid,
    archive_id: uuid,
    keyring_sha256: text,
    outcome: nullable(text),
    unproved_since: nullable(instant),
    told_at: nullable(instant),
    refused_code: nullable(text),
  },
} as const satisfies Readonly<Record<string, Columns>>;

/** Whose tenants there are; other modules' tables, read only. */
type Tenants = { tenants: { tenant_id: string; created_at: Date }; installation: { installation_id: string } };
type Tables = Rows<typeof tables> & Tenants;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** The keys in force of a tenant: those of the highest number. */
export function findNewestKeys(tx: TenantTx, tenantId: string) {
  return db(tx)
    .selectFrom('escrow_keys')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** The documents of a tenant with the wrapped private halves of their log sealing keys, oldest first. */
export function listSealingKeys(tx: TenantTx, tenantId: string) {
  return db(tx)
    .selectFrom('escrow_keys')
    .select(['document', 'wrapped_log_sealing_key'])
    .where('tenant_id', '=', tenantId)
    .orderBy('number')
    .execute();
}

/** The documents of a tenant, oldest first. */
export async function listDocuments(tx: TenantTx, tenantId: string): Promise<readonly string[]> {
  const rows = await db(tx)
    .selectFrom('escrow_keys')
    .select('document')
    .where('tenant_id', '=', tenantId)
    .orderBy('number')
    .execute();
  return rows.map((row) => row.document);
}

/** Adds keys; false when the tenant has keys of that number. */
export async function insertKeys(
  tx: TenantTx,
  row: { tenant_id: string; number: number; document: string; wrapped_log_sealing_key: string; created_at: Date },
): Promise<boolean> {
  const result = await db(tx)
    .insertInto('escrow_keys')
    .values(row)
    .onConflict((c) => c.doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

/** The tenants that have no escrow keys yet, oldest first; not the installation's own, which has no archives. For `hf_system`. */
export async function listTenantsWithoutEscrowKeys(tx: TenantTx): Promise<readonly string[]> {
  const rows = await db(tx)
    .selectFrom('tenants')
    .select('tenant_id')
    .where('tenant_id', 'not in', (inner) => inner.selectFrom('escrow_keys').select('tenant_id'))
    .where('tenant_id', 'not in', (inner) => inner.selectFrom('installation').select('installation_id'))
    .orderBy('created_at')
    .execute();
  return rows.map((row) => row.tenant_id);
}
