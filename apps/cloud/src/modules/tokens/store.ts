import { sql } from 'kysely';
import type { TenantTx } from '../../platform/postgres.ts';
import { bytea, instant, json, text, uuid, type Columns, type Rows } from '../../platform/table.ts';

/** A public key as it stands in the JWKS. */
export type PublicJwk = {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  readonly kid: string;
  readonly alg: 'EdDSA';
  readonly use: 'sig';
};

/** Tables owned by this module. No other module reads or writes them. */
export const tables = {
  token_keys: {
    key_id: text,
    public_jwk: json<PublicJwk>(),
    wrapped_private_key: text,
    created_at: instant,
    signs_from: instant,
    signs_until: instant,
    verifies_until: instant,
  },
  shared_secrets: { name: text, role: text, wrapped: text, created_at: instant },
  used_proofs: { tenant_id: uuid, proof_sha256: bytea, expires_at: instant },
} as const satisfies Readonly<Record<string, Columns>>;

type Tables = Rows<typeof tables>;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** Any fixed number: it keeps two nodes from making a key at once. */
const KEY_LOCK = 7_236_002;

/** Keeps other transactions that want to make a signing key waiting until this one ends. */
export async function lockTokenKeys(tx: TenantTx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${KEY_LOCK})`.execute(db(tx));
}

/** Public halves and times of the keys that still verify, oldest first. */
export function listTokenKeys(tx: TenantTx, at: Date) {
  return db(tx)
    .selectFrom('token_keys')
    .select(['key_id', 'public_jwk', 'signs_from', 'signs_until', 'verifies_until'])
    .where('verifies_until', '>', at)
    .orderBy('signs_from')
    .execute();
}

/** The wrapped private half of a key; readable by `hf_api` alone. */
export async function findWrappedKey(tx: TenantTx, keyId: string): Promise<string | undefined> {
  const row = await db(tx)
    .selectFrom('token_keys')
    .select('wrapped_private_key')
    .where('key_id', '=', keyId)
    .executeTakeFirst();
  return row?.wrapped_private_key;
}

/** Adds a signing key. */
export async function insertTokenKey(
  tx: TenantTx,
  row: {
    key_id: string;
    public_jwk: string;
    wrapped_private_key: string;
    created_at: Date;
    signs_from: Date;
    signs_until: Date;
    verifies_until: Date;
  },
) {
  await db(tx).insertInto('token_keys').values(row).execute();
}

/** A secret that the nodes of a role share, wrapped. */
export async function findSharedSecret(tx: TenantTx, name: string, role: string): Promise<string | undefined> {
  const row = await db(tx)
    .selectFrom('shared_secrets')
    .select('wrapped')
    .where('name', '=', name)
    .where('role', '=', role)
    .executeTakeFirst();
  return row?.wrapped;
}

/** Adds a shared secret, unless another node was first. */
export async function insertSharedSecret(
  tx: TenantTx,
  row: { name: string; role: string; wrapped: string; created_at: Date },
) {
  await db(tx)
    .insertInto('shared_secrets')
    .values(row)
    .onConflict((c) => c.doNothing())
    .execute();
}

/** Notes that a proof was used; false when it had been before, on whichever node. */
export async function insertUsedProof(
  tx: TenantTx,
  row: { tenant_id: string; proof_sha256: Uint8Array; expires_at: Date },
): Promise<boolean> {
  const result = await db(tx)
    .insertInto('used_proofs')
    .values(row)
    .onConflict((c) => c.doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

/** Forgets a tenant's proofs that have expired; for the login `hf_system`. */
export async function deleteExpiredProofs(tx: TenantTx, tenantId: string, at: Date): Promise<number> {
  const proofs = db(tx).deleteFrom('used_proofs').where('tenant_id', '=', tenantId).where('expires_at', '<', at);
  return Number((await proofs.executeTakeFirst()).numDeletedRows);
}

/** Forgets signing keys that verify nothing any more; for the login `hf_system`. */
export async function deleteSpentKeys(tx: TenantTx, at: Date): Promise<number> {
  const result = await db(tx).deleteFrom('token_keys').where('verifies_until', '<', at).executeTakeFirst();
  return Number(result.numDeletedRows);
}
