import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '@holdfast/base';
import { authErrors, type OauthToken } from '@holdfast/contract';
import type { AuditActor, OpenContext, WriteAudit } from '../../platform/context.ts';
import { sha256 } from '../../platform/digest.ts';
import type { Database, TenantTx } from '../../platform/postgres.ts';
import type { RefusalLog } from '../../platform/refusal-log.ts';
import { allPermissions, readGrants } from '../identity/index.ts';
import { isTenantActive, locate } from '../tenants/index.ts';
import { issueToken, TOKEN_SECONDS, type SigningKeys } from '../tokens/index.ts';
import { parseClientId } from './api-clients.ts';
import * as store from './store.ts';

/** What handing out tokens to API clients needs. */
export type ClientTokenDeps = {
  readonly database: Database;
  readonly installationId: string;
  readonly writeAudit: WriteAudit;
  readonly refusals: RefusalLog;
  readonly keys: SigningKeys;
  readonly clock: Clock;
};

/** The credentials of an API client, however they were sent. */
export type ClientCredentials = { readonly clientId: string; readonly clientSecret: string };

/**
 * Reads client credentials from an `Authorization: Basic` header (RFC 6749, 2.3.1), else from the body.
 *
 * @throws auth.missing, auth.invalid
 */
export function readCredentials(
  authorization: string | undefined,
  body: { client_id?: string | undefined; client_secret?: string | undefined },
): ClientCredentials {
  if (authorization !== undefined) return readBasic(authorization);
  const { client_id: clientId, client_secret: clientSecret } = body;
  if (clientId === undefined || clientSecret === undefined) throw authErrors.missing();
  return { clientId, clientSecret };
}

function readBasic(authorization: string): ClientCredentials {
  const [, encoded] = /^basic ([\w+/=-]+)$/i.exec(authorization) ?? [];
  const decoded = Buffer.from(encoded ?? '', 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon < 1) throw authErrors.invalid();
  return { clientId: decoded.slice(0, colon), clientSecret: decoded.slice(colon + 1) };
}

/**
 * Hands a token to a client that shows its secret.
 *
 * A wrong id and a wrong secret get the same answer. Secrets are 256 random bits: nothing needs to slow down who guesses
 * them, and so nobody can lock a client out by guessing. Refusals for a client are recorded with its tenant; those for an
 * id nobody has are counted with all refused requests and leave no entry, since anybody can send any number of them.
 * @throws auth.invalid
 */
export async function issueClientToken(
  deps: ClientTokenDeps,
  ctx: OpenContext,
  shown: ClientCredentials,
): Promise<OauthToken> {
  const located = await locate(deps.database, 'api_client', shown.clientId);
  const tenantId = located ?? deps.installationId;
  const at = new Date(ctx.nowMs());
  const about = { tenantId, at, source: ctx.source, requestId: ctx.requestId };
  const checked = await deps.database.withTenant(tenantId, (tx) => checkSecret(tx, { tenantId, shown, at }));
  if (!checked) {
    const actor: AuditActor = { kind: 'unknown', id: 'unknown', name: shown.clientId };
    const target = { kind: 'api_client', id: parseClientId(shown.clientId) ?? '' };
    if (located !== undefined) await deps.refusals.record({ ...about, actor, eventType: 'api_client.refused', target });
    throw authErrors.invalid();
  }
  const actor: AuditActor = { kind: 'client', id: checked.clientId, name: checked.name };
  await deps.database.withTenant(tenantId, async (tx) => {
    await store.touchClient(tx, tenantId, checked.clientId, at);
    await deps.writeAudit(tx, { ...about, actor, eventType: 'api_client.token_issued', outcome: 'done' });
  });
  const { clientId: principalId, scopes } = checked;
  const token = await issueToken(deps, { tenantId, principalId, kind: 'client', scopes, audience: 'api' });
  return { token_type: 'bearer', expires_in: TOKEN_SECONDS, access_token: token };
}

async function checkSecret(
  tx: TenantTx,
  { tenantId, shown, at }: { tenantId: string; shown: ClientCredentials; at: Date },
) {
  const clientId = parseClientId(shown.clientId) ?? tenantId;
  const client = await store.findClient(tx, tenantId, clientId);
  const secrets = await store.listSecrets(tx, tenantId, clientId, at);
  const isOpen = await isTenantActive(tx, tenantId);
  const shownSha256 = sha256(shown.clientSecret);
  const fits = secrets.filter((row) => timingSafeEqual(row.secret_sha256, shownSha256)).length === 1;
  if (!client || !fits || !isOpen) return undefined;
  const scopes = allPermissions(await readGrants(tx, tenantId, clientId));
  return { clientId, name: client.name, scopes };
}
