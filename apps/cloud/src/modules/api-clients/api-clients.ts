import { newId, systemRandom } from '@holdfast/base';
import { apiClientErrors, type ApiClient, type ApiClientSecret } from '@holdfast/contract';
import type { TxContext } from '../../platform/context.ts';
import { sha256 } from '../../platform/digest.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import {
  insertAssignment,
  isRoleId,
  listAssignments,
  mayGrant,
  mayOver,
  readGrants,
  type PrincipalState,
} from '../identity/index.ts';
import { findPath, findRootOrgId } from '../orgs/index.ts';
import { addLocator } from '../tenants/index.ts';
import * as store from './store.ts';

type ClientRow = NonNullable<Awaited<ReturnType<typeof store.findClient>>>;

const PREFIX = 'key-';

/** The id of a client on the wire. */
export const wireClientId = (clientId: string): string => PREFIX + clientId;

/** The id of a client in the database; undefined for text that is none. */
export function parseClientId(text: string): string | undefined {
  return /^key-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text) ? text.slice(PREFIX.length) : undefined;
}

/** The clients of orgs the caller reaches. */
export async function listApiClients(ctx: TxContext): Promise<{ apiClients: ApiClient[] }> {
  const rows = await store.listClients(ctx.tx, ctx.tenantId);
  const apiClients: ApiClient[] = [];
  for (const row of rows) if (await isReached(ctx, row)) apiClients.push(await toApiClient(ctx, row));
  return { apiClients };
}

/**
 * Makes a client with one role, over an org or the whole tenant, and shows its secret for the only time.
 *
 * @throws api_clients.org_not_found, api_clients.role_not_found, api_clients.role_exceeds_yours
 */
export async function createApiClient(
  ctx: TxContext,
  wanted: { name: string; roleId: string; orgGuid?: string | undefined },
): Promise<ApiClientSecret> {
  const orgId = wanted.orgGuid ?? (await findRootOrgId(ctx.tx, ctx.tenantId));
  const path = orgId === undefined ? undefined : await findPath(ctx.tx, ctx.tenantId, orgId);
  if (!orgId || !path) throw apiClientErrors.org_not_found();
  if (!isRoleId(wanted.roleId)) throw apiClientErrors.role_not_found({ roleId: wanted.roleId });
  if (!mayOver(ctx.principal.grants, 'clients.write', path)) throw apiClientErrors.org_not_found();
  if (!mayGrant(ctx.principal.grants, wanted.roleId, path)) throw apiClientErrors.role_exceeds_yours();
  const { name, roleId } = wanted;
  const made = await addApiClient(ctx.tx, { tenantId: ctx.tenantId, orgId, name, roleId, at: ctx.now });
  const target = { kind: 'api_client', id: made.clientId };
  await ctx.audit({ eventType: 'api_client.created', target, after: { name, roleId, orgId } });
  const row = await findReached(ctx, made.clientId);
  return { ...(await toApiClient(ctx, row)), clientSecret: made.clientSecret };
}

/** Adds a client with its role and its secret, which is returned and nowhere kept. */
export async function addApiClient(
  tx: TenantTx,
  client: {
    readonly tenantId: string;
    readonly orgId: string;
    readonly name: string;
    readonly roleId: string;
    readonly at: Date;
  },
): Promise<{ readonly clientId: string; readonly clientSecret: string }> {
  const clientId = newId<'api-client'>(client.at.getTime());
  const { tenantId: tenant_id, orgId: org_id, name, at } = client;
  await store.insertClient(tx, { tenant_id, client_id: clientId, org_id, name, created_at: at });
  const role = { org_id, role_id: client.roleId, assigned_at: at };
  await insertAssignment(tx, { tenant_id, principal_id: clientId, ...role });
  await addLocator(tx, tenant_id, 'api_client', wireClientId(clientId));
  const clientSecret = await addSecret(tx, { tenantId: tenant_id, clientId, at });
  return { clientId: wireClientId(clientId), clientSecret };
}

/**
 * Makes a new secret; the one in force works for the overlap asked for, and any older one no longer.
 *
 * Whoever rotates learns the secret, so they must hold all the client's role does.
 * @throws api_clients.not_found, api_clients.role_exceeds_yours
 */
export async function rotateApiClient(
  ctx: TxContext,
  clientId: string,
  overlapSeconds: number,
): Promise<ApiClientSecret> {
  const row = await findReached(ctx, clientId);
  const held = await listAssignments(ctx.tx, ctx.tenantId, row.client_id);
  const mayHave = held.every(({ role_id, org_path }) => mayGrant(ctx.principal.grants, role_id, org_path));
  if (!mayHave) throw apiClientErrors.role_exceeds_yours();
  const endsAt = new Date(ctx.now.getTime() + overlapSeconds * 1000);
  await store.endOlderSecrets(ctx.tx, ctx.tenantId, row.client_id, endsAt);
  const clientSecret = await addSecret(ctx.tx, { tenantId: ctx.tenantId, clientId: row.client_id, at: ctx.now });
  const target = { kind: 'api_client', id: clientId };
  await ctx.audit({ eventType: 'api_client.rotated', target, facts: { overlapSeconds } });
  return { ...(await toApiClient(ctx, row)), clientSecret };
}

/** Revokes a client; its tokens end with it. @throws api_clients.not_found */
export async function revokeApiClient(ctx: TxContext, clientId: string): Promise<void> {
  const row = await findReached(ctx, clientId);
  await store.revokeClient(ctx.tx, ctx.tenantId, row.client_id, ctx.now);
  await ctx.audit({ eventType: 'api_client.revoked', target: { kind: 'api_client', id: clientId } });
}

/** The state of a client; undefined when there is none of that id. */
export async function readClientState(
  tx: TenantTx,
  tenantId: string,
  clientId: string,
): Promise<PrincipalState | undefined> {
  const row = await store.findClient(tx, tenantId, clientId);
  if (!row) return undefined;
  return { name: row.name, isActive: true, grants: await readGrants(tx, tenantId, clientId) };
}

async function addSecret(tx: TenantTx, of: { tenantId: string; clientId: string; at: Date }): Promise<string> {
  const clientSecret = Buffer.from(systemRandom(32)).toString('base64url');
  await store.insertSecret(tx, {
    tenant_id: of.tenantId,
    client_id: of.clientId,
    secret_sha256: sha256(clientSecret),
    created_at: of.at,
  });
  return clientSecret;
}

async function findReached(ctx: TxContext, wireId: string): Promise<ClientRow> {
  const clientId = parseClientId(wireId);
  const row = clientId === undefined ? undefined : await store.findClient(ctx.tx, ctx.tenantId, clientId);
  if (!row || !(await isReached(ctx, row))) throw apiClientErrors.not_found();
  return row;
}

async function isReached(ctx: TxContext, row: ClientRow): Promise<boolean> {
  const path = (await findPath(ctx.tx, ctx.tenantId, row.org_id)) ?? [];
  return path.some((orgId) => ctx.reach.includes(orgId));
}

async function toApiClient(ctx: TxContext, row: ClientRow): Promise<ApiClient> {
  const [role] = await listAssignments(ctx.tx, ctx.tenantId, row.client_id);
  const secrets = await store.listSecrets(ctx.tx, ctx.tenantId, row.client_id, ctx.now);
  return {
    clientId: wireClientId(row.client_id),
    name: row.name,
    roleId: role?.role_id ?? '',
    orgGuid: row.org_id,
    createdAt: row.created_at.toISOString(),
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
    oldSecretEndsAt: secrets.find(({ ends_at }) => ends_at !== null)?.ends_at?.toISOString() ?? null,
  };
}
