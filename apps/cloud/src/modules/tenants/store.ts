import type { TenantTx } from '../../platform/postgres.ts';
import { bool, bytea, defaulted, instant, text, uuid, type Columns, type Rows } from '../../platform/table.ts';

/** Tables owned by this module. No other module reads or writes them. */
export const tables = {
  installation: { only_row: defaulted(bool), installation_id: uuid, created_at: instant },
  tenants: {
    tenant_id: uuid,
    slug: text,
    name: text,
    registration_key: text,
    state: defaulted(text),
    created_at: instant,
    modified_at: instant,
  },
  locators: { tenant_id: uuid, kind: text, identifier_sha256: bytea },
} as const satisfies Readonly<Record<string, Columns>>;

type Tables = Rows<typeof tables>;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** The identity of this installation; undefined before its first start. */
export async function findInstallationId(tx: TenantTx): Promise<string | undefined> {
  const row = await db(tx).selectFrom('installation').select('installation_id').executeTakeFirst();
  return row?.installation_id;
}

/** Sets the identity of this installation, unless it has one. */
export async function insertInstallation(tx: TenantTx, row: { installation_id: string; created_at: Date }) {
  await db(tx)
    .insertInto('installation')
    .values(row)
    .onConflict((c) => c.doNothing())
    .execute();
}

/** One tenant; undefined when there is none of that id. */
export function findTenant(tx: TenantTx, tenantId: string) {
  return db(tx).selectFrom('tenants').selectAll().where('tenant_id', '=', tenantId).executeTakeFirst();
}

/** Tenants by rising id, after one of them; for the login `hf_system`, in no tenant's transaction. */
export function listTenants(tx: TenantTx, { after, limit }: { readonly after: string; readonly limit: number }) {
  return db(tx)
    .selectFrom('tenants')
    .select(['tenant_id', 'slug'])
    .where('tenant_id', '>', after)
    .orderBy('tenant_id')
    .limit(limit)
    .execute();
}

/** Adds a tenant. */
export async function insertTenant(
  tx: TenantTx,
  row: {
    tenant_id: string;
    slug: string;
    name: string;
    registration_key: string;
    created_at: Date;
    modified_at: Date;
  },
) {
  await db(tx).insertInto('tenants').values(row).execute();
}

/** Keeps other transactions that lock the tenant waiting until this one ends. */
export async function lockTenant(tx: TenantTx, tenantId: string) {
  await db(tx).selectFrom('tenants').select('tenant_id').where('tenant_id', '=', tenantId).forUpdate().execute();
}

/** Makes an identifier findable before its tenant is known; false when it is taken. */
export async function insertLocator(
  tx: TenantTx,
  row: { tenant_id: string; kind: string; identifier_sha256: Uint8Array },
): Promise<boolean> {
  const result = await db(tx)
    .insertInto('locators')
    .values(row)
    .onConflict((c) => c.doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

/** Makes a tenant's identifiers of one kind unfindable again; for the login `hf_system`. */
export async function deleteLocators(
  tx: TenantTx,
  tenantId: string,
  { kind, identifiersSha256 }: { readonly kind: string; readonly identifiersSha256: readonly Uint8Array[] },
) {
  if (identifiersSha256.length === 0) return;
  await db(tx)
    .deleteFrom('locators')
    .where('tenant_id', '=', tenantId)
    .where('kind', '=', kind)
    .where(
      'identifier_sha256',
      'in',
      identifiersSha256.map((hash) => Buffer.from(hash)),
    )
    .execute();
}

/** Every tenant's id, the installation's own among them, oldest first; for the login `hf_system`. */
export async function listTenantIds(tx: TenantTx): Promise<readonly string[]> {
  const rows = await db(tx).selectFrom('tenants').select('tenant_id').orderBy('created_at').execute();
  return rows.map((row) => row.tenant_id);
}
