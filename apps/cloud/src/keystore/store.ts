import type { TenantTx } from '../platform/postgres.ts';
import { bytea, instant, integer, text, uuid, type Columns, type Rows } from '../platform/table.ts';
import { keystoreErrors } from './errors.ts';

/** The tables of the keystore. Nothing but the keystore reads or writes them. */
export const tables = {
  'keystore.log_anchors': { tenant_id: uuid, log_verifier: text, created_at: instant },
  'keystore.tenant_keys': {
    tenant_id: uuid,
    number: integer,
    sealing_key: bytea,
    wrapped_sealing_key: text,
    verifier: text,
    wrapped_signing_key: text,
    created_at: instant,
  },
} as const satisfies Readonly<Record<string, Columns>>;

type Tables = Rows<typeof tables>;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** The verifier key of a tenant's log as it was given once; undefined where the tenant is not known. */
export async function findLogVerifier(tx: TenantTx, tenantId: string): Promise<string | undefined> {
  const row = await db(tx)
    .selectFrom('keystore.log_anchors')
    .select('log_verifier')
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst();
  return row?.log_verifier;
}

/** The public halves of a tenant's keys, oldest first. */
export function listPublicKeys(tx: TenantTx, tenantId: string) {
  return db(tx)
    .selectFrom('keystore.tenant_keys')
    .select(['number', 'sealing_key', 'verifier'])
    .where('tenant_id', '=', tenantId)
    .orderBy('number')
    .execute();
}

/** Takes a tenant in with its log's verifier key; false when it is known already, and then nothing is changed. */
export async function insertLogAnchor(
  tx: TenantTx,
  row: { tenant_id: string; log_verifier: string; created_at: Date },
): Promise<boolean> {
  const result = await db(tx)
    .insertInto('keystore.log_anchors')
    .values(row)
    .onConflict((c) => c.doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

/** Adds keys of a tenant. */
export async function insertTenantKeys(
  tx: TenantTx,
  row: {
    tenant_id: string;
    number: number;
    sealing_key: Uint8Array;
    wrapped_sealing_key: string;
    verifier: string;
    wrapped_signing_key: string;
    created_at: Date;
  },
) {
  await db(tx).insertInto('keystore.tenant_keys').values(row).execute();
}

/** All keys of a tenant to which escrow slots are sealed, wrapped, oldest first. */
export function listSealingKeys(tx: TenantTx, tenantId: string) {
  return db(tx)
    .selectFrom('keystore.tenant_keys')
    .select(['sealing_key', 'wrapped_sealing_key'])
    .where('tenant_id', '=', tenantId)
    .orderBy('number')
    .execute();
}

/** The newest key with which a tenant's keystore signs, wrapped. @throws keystore.tenant_unknown */
export async function findSigningKey(tx: TenantTx, tenantId: string) {
  const row = await db(tx)
    .selectFrom('keystore.tenant_keys')
    .select('wrapped_signing_key')
    .where('tenant_id', '=', tenantId)
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) throw keystoreErrors.tenant_unknown();
  return row;
}

/** The verifier key of a tenant's log. @throws keystore.tenant_unknown */
export async function expectLogVerifier(tx: TenantTx, tenantId: string): Promise<string> {
  const logVerifier = await findLogVerifier(tx, tenantId);
  if (logVerifier === undefined) throw keystoreErrors.tenant_unknown();
  return logVerifier;
}
