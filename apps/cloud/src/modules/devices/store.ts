import { sql } from 'kysely';
import type { JWK } from 'jose';
import type { TenantTx } from '../../platform/postgres.ts';
import {
  bool,
  bytea,
  defaulted,
  instant,
  integer,
  json,
  nullable,
  text,
  uuid,
  type Columns,
  type Rows,
} from '../../platform/table.ts';

/** Tables owned by this module. No other module reads or writes them. */
export const tables = {
  devices: {
    tenant_id: uuid,
    device_id: uuid,
    org_id: uuid,
    user_id: nullable(uuid),
    name: text,
    state: defaulted(text),
    blocked: defaulted(bool),
    public_jwk: json<JWK>(),
    key_thumbprint: text,
    created_at: instant,
    modified_at: instant,
    os: nullable(text),
    agent_version: nullable(text),
    enrollment_token_id: nullable(uuid),
    enrollment_attempt: nullable(text),
    last_seen_at: nullable(instant),
    deauthorization: nullable(text),
  },
  enrollment_tokens: {
    tenant_id: uuid,
    token_id: uuid,
    org_id: uuid,
    token_sha256: bytea,
    uses_left: integer,
    created_at: instant,
    expires_at: instant,
    revoked_at: nullable(instant),
  },
} as const satisfies Readonly<Record<string, Columns>>;

/** Where orgs lie, for finding what a caller reaches. */
type Orgs = { orgs: { tenant_id: string; org_id: string; path: string[] } };
type Tables = Rows<typeof tables> & Orgs;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** One device, whatever its state. */
export function findDevice(tx: TenantTx, tenantId: string, deviceId: string) {
  return db(tx)
    .selectFrom('devices')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('device_id', '=', deviceId)
    .executeTakeFirst();
}

/** The device that has a key, whatever its state. */
export function findDeviceByKey(tx: TenantTx, tenantId: string, keyThumbprint: string) {
  return db(tx)
    .selectFrom('devices')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('key_thumbprint', '=', keyThumbprint)
    .executeTakeFirst();
}

/** One device, if its org lies in the subtrees of `reach`; no other transaction changes it until this one ends. */
export function findReachedDevice(
  tx: TenantTx,
  filter: { tenantId: string; reach: readonly string[]; deviceId: string },
) {
  return db(tx)
    .selectFrom('devices as d')
    .innerJoin('orgs as o', (join) => join.onRef('o.tenant_id', '=', 'd.tenant_id').onRef('o.org_id', '=', 'd.org_id'))
    .selectAll('d')
    .where('d.tenant_id', '=', filter.tenantId)
    .where('d.device_id', '=', filter.deviceId)
    .where(sql<boolean>`o.path && ${[...filter.reach]}::uuid[]`)
    .forUpdate('d')
    .executeTakeFirst();
}

/** Adds a device; false when its key is taken. */
export async function insertDevice(
  tx: TenantTx,
  row: {
    tenant_id: string;
    device_id: string;
    org_id: string;
    user_id: string | null;
    name: string;
    public_jwk: string;
    key_thumbprint: string;
    created_at: Date;
    modified_at: Date;
    os?: string;
    agent_version?: string;
    enrollment_token_id?: string;
    enrollment_attempt?: string;
  },
): Promise<boolean> {
  const result = await db(tx)
    .insertInto('devices')
    .values(row)
    .onConflict((c) => c.columns(['tenant_id', 'key_thumbprint']).doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

/** Changes whether a device may act; `statement` is what proves to the device that it may not. */
export async function updateDeviceState(
  tx: TenantTx,
  row: {
    tenantId: string;
    deviceId: string;
    state: 'active' | 'deauthorized' | 'deactivated';
    statement: string | null;
    at: Date;
  },
) {
  await db(tx)
    .updateTable('devices')
    .set({ state: row.state, deauthorization: row.statement, modified_at: row.at })
    .where('tenant_id', '=', row.tenantId)
    .where('device_id', '=', row.deviceId)
    .execute();
}

/** Notes that a device was heard of. */
export async function touchDevice(
  tx: TenantTx,
  row: { tenantId: string; deviceId: string; os: string; agentVersion: string; at: Date },
) {
  await db(tx)
    .updateTable('devices')
    .set({ last_seen_at: row.at, os: row.os, agent_version: row.agentVersion })
    .where('tenant_id', '=', row.tenantId)
    .where('device_id', '=', row.deviceId)
    .execute();
}

/** Adds an invitation. */
export async function insertToken(
  tx: TenantTx,
  row: {
    tenant_id: string;
    token_id: string;
    org_id: string;
    token_sha256: Uint8Array;
    uses_left: number;
    created_at: Date;
    expires_at: Date;
  },
) {
  await db(tx).insertInto('enrollment_tokens').values(row).execute();
}

/** The invitation with this hash; others who use it wait until the transaction ends. */
export function lockToken(tx: TenantTx, tenantId: string, tokenSha256: Uint8Array) {
  return db(tx)
    .selectFrom('enrollment_tokens')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('token_sha256', '=', Buffer.from(tokenSha256))
    .forUpdate()
    .executeTakeFirst();
}

/** Takes one use of an invitation. */
export async function useToken(tx: TenantTx, tenantId: string, tokenId: string) {
  await db(tx)
    .updateTable('enrollment_tokens')
    .set((set) => ({ uses_left: set('uses_left', '-', 1) }))
    .where('tenant_id', '=', tenantId)
    .where('token_id', '=', tokenId)
    .execute();
}

/** Ends an invitation, unless it is ended. */
export async function revokeToken(tx: TenantTx, tenantId: string, tokenId: string, at: Date) {
  await db(tx)
    .updateTable('enrollment_tokens')
    .set({ revoked_at: at })
    .where('tenant_id', '=', tenantId)
    .where('token_id', '=', tokenId)
    .where('revoked_at', 'is', null)
    .execute();
}

/** Invitations into orgs in the subtrees of `reach`, newest first; one of them where its id is given. */
export function listTokens(tx: TenantTx, filter: { tenantId: string; reach: readonly string[]; tokenId?: string }) {
  const { tokenId } = filter;
  return db(tx)
    .selectFrom('enrollment_tokens as t')
    .innerJoin('orgs as o', (join) => join.onRef('o.tenant_id', '=', 't.tenant_id').onRef('o.org_id', '=', 't.org_id'))
    .selectAll('t')
    .where('t.tenant_id', '=', filter.tenantId)
    .where(sql<boolean>`o.path && ${[...filter.reach]}::uuid[]`)
    .$if(tokenId !== undefined, (query) => query.where('t.token_id', '=', tokenId ?? ''))
    .orderBy('t.created_at', 'desc')
    .limit(1_000)
    .execute();
}
