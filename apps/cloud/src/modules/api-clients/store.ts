import type { TenantTx } from '../../platform/postgres.ts';
import { bytea, instant, nullable, text, uuid, type Columns, type Rows } from '../../platform/table.ts';

/** Tables owned by this module. No other module reads or writes them. */
export const tables = {
  api_clients: {
    tenant_id: uuid,
    client_id: uuid,
    org_id: uuid,
    name: text,
    created_at: instant,
    last_used_at: nullable(instant),
    revoked_at: nullable(instant),
  },
  api_client_secrets: {
    tenant_id: uuid,
    client_id: uuid,
    secret_sha256: bytea,
    created_at: instant,
    ends_at: nullable(instant),
  },
} as const satisfies Readonly<Record<string, Columns>>;

type Tables = Rows<typeof tables>;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** The clients that are not revoked, by name. */
export function listClients(tx: TenantTx, tenantId: string) {
  return db(tx)
    .selectFrom('api_clients')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('revoked_at', 'is', null)
    .orderBy('name')
    .orderBy('client_id')
    .execute();
}

/** One client that is not revoked. */
export function findClient(tx: TenantTx, tenantId: string, clientId: string) {
  return db(tx)
    .selectFrom('api_clients')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('client_id', '=', clientId)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
}

/** Adds a client. */
export async function insertClient(
  tx: TenantTx,
  row: { tenant_id: string; client_id: string; org_id: string; name: string; created_at: Date },
) {
  await db(tx).insertInto('api_clients').values(row).execute();
}

/** Revokes a client for good. */
export async function revokeClient(tx: TenantTx, tenantId: string, clientId: string, at: Date) {
  await db(tx)
    .updateTable('api_clients')
    .set({ revoked_at: at })
    .where('tenant_id', '=', tenantId)
    .where('client_id', '=', clientId)
    .execute();
}

/** Notes that a client got a token. */
export async function touchClient(tx: TenantTx, tenantId: string, clientId: string, at: Date) {
  await db(tx)
    .updateTable('api_clients')
    .set({ last_used_at: at })
    .where('tenant_id', '=', tenantId)
    .where('client_id', '=', clientId)
    .execute();
}

/** The hashes of a client's secrets that work at an instant. */
export function listSecrets(tx: TenantTx, tenantId: string, clientId: string, at: Date) {
  return db(tx)
    .selectFrom('api_client_secrets')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('client_id', '=', clientId)
    .where((where) => where.or([where('ends_at', 'is', null), where('ends_at', '>', at)]))
    .execute();
}

/** Adds a secret. */
export async function insertSecret(
  tx: TenantTx,
  row: { tenant_id: string; client_id: string; secret_sha256: Uint8Array; created_at: Date },
) {
  await db(tx).insertInto('api_client_secrets').values(row).execute();
}

/** Sets when the secret in force ends; secrets that end already go at once, so there are never more than two. */
export async function endOlderSecrets(tx: TenantTx, tenantId: string, clientId: string, endsAt: Date) {
  await db(tx)
    .deleteFrom('api_client_secrets')
    .where('tenant_id', '=', tenantId)
    .where('client_id', '=', clientId)
    .where('ends_at', 'is not', null)
    .execute();
  await db(tx)
    .updateTable('api_client_secrets')
    .set({ ends_at: endsAt })
    .where('tenant_id', '=', tenantId)
    .where('client_id', '=', clientId)
    .execute();
}
