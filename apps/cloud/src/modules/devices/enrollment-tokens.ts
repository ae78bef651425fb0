import { newId, systemRandom } from '@holdfast/base';
import { enrollmentErrors, type EnrollmentToken, type EnrollmentTokenFacts } from '@holdfast/contract';
import { escrowKeysSha256 } from '@holdfast/trust';
import type { TxContext } from '../../platform/context.ts';
import { sha256 } from '../../platform/digest.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { findEscrowKeys } from '../escrow/index.ts';
import { findLogVerifier } from '../logs/index.ts';
import { mayOver } from '../identity/index.ts';
import { findPath, findRootOrgId } from '../orgs/index.ts';
import { addLocator } from '../tenants/index.ts';
import * as store from './store.ts';

/** What every invitation says of this server. */
export type ServerFacts = {
  readonly installationId: string;
  /** Without a final slash. */
  readonly publicUrl: () => string;
  /** SHA-256 of the local CA's certificate (DER), hex; null where the certificate comes from elsewhere. */
  readonly caSha256: string | null;
};

/** A new invitation: its facts, and the document to hand over. */
export type NewEnrollmentToken = EnrollmentTokenFacts & { readonly enrollmentToken: EnrollmentToken };

const DAY_MS = 86_400_000;

/** Makes an invitation into an org the caller reaches. @throws enrollment.org_not_found, enrollment.keys_not_made */
export async function createEnrollmentToken(
  ctx: TxContext,
  server: ServerFacts,
  wanted: { readonly orgGuid?: string | undefined; readonly uses: number; readonly days: number },
): Promise<NewEnrollmentToken> {
  const orgId = wanted.orgGuid ?? (await findRootOrgId(ctx.tx, ctx.tenantId));
  const path = orgId === undefined ? undefined : await findPath(ctx.tx, ctx.tenantId, orgId);
  if (!orgId || !path || !mayOver(ctx.principal.grants, 'enrollment.write', path))
    throw enrollmentErrors.org_not_found();
  const { uses, days } = wanted;
  const made = await addEnrollmentToken(ctx.tx, server, { tenantId: ctx.tenantId, orgId, uses, days, at: ctx.now });
  const target = { kind: 'enrollment_token', id: made.tokenId };
  await ctx.audit({ eventType: 'enrollment_token.created', target, after: { orgId, uses, days } });
  return made;
}

/** Adds an invitation into an org; the token is in what is returned and nowhere kept. @throws enrollment.keys_not_made */
export async function addEnrollmentToken(
  tx: TenantTx,
  server: ServerFacts,
  wanted: {
    readonly tenantId: string;
    readonly orgId: string;
    readonly uses: number;
    readonly days: number;
    readonly at: Date;
  },
): Promise<NewEnrollmentToken> {
  const { tenantId, orgId, uses, at } = wanted;
  const token = Buffer.from(systemRandom(32)).toString('base64url');
  const tokenId = newId<'enrollment-token'>(at.getTime());
  const row = {
    org_id: orgId,
    token_id: tokenId,
    uses_left: uses,
    created_at: at,
    expires_at: new Date(at.getTime() + wanted.days * DAY_MS),
  };
  await store.insertToken(tx, { tenant_id: tenantId, token_sha256: sha256(token), ...row });
  await addLocator(tx, tenantId, 'enrollment_token', token);
  const logKey = await findLogVerifier(tx, tenantId);
  const escrowKeys = await findEscrowKeys(tx, tenantId);
  if (escrowKeys === undefined) throw enrollmentErrors.keys_not_made();
  const enrollmentToken = {
    version: 1,
    url: server.publicUrl(),
    installationId: server.installationId,
    tenantUid: tenantId,
    token,
    caSha256: server.caSha256,
    logKeySha256: sha256(logKey).toString('hex'),
    escrowKeysSha256: escrowKeysSha256(escrowKeys),
  } as const;
  return { ...factsOf({ ...row, revoked_at: null }), enrollmentToken };
}

/** The invitations into orgs the caller reaches, newest first. */
export async function listEnrollmentTokens(ctx: TxContext): Promise<{ enrollmentTokens: EnrollmentTokenFacts[] }> {
  const rows = await store.listTokens(ctx.tx, { tenantId: ctx.tenantId, reach: ctx.reach });
  return { enrollmentTokens: rows.map(factsOf) };
}

/** Ends an invitation; devices that came by it stay. @throws enrollment.token_not_found */
export async function revokeEnrollmentToken(ctx: TxContext, tokenId: string): Promise<void> {
  const [row] = await store.listTokens(ctx.tx, { tenantId: ctx.tenantId, reach: ctx.reach, tokenId });
  if (!row) throw enrollmentErrors.token_not_found();
  await store.revokeToken(ctx.tx, ctx.tenantId, tokenId, ctx.now);
  await ctx.audit({ eventType: 'enrollment_token.revoked', target: { kind: 'enrollment_token', id: tokenId } });
}

function factsOf(row: {
  readonly token_id: string;
  readonly org_id: string;
  readonly uses_left: number;
  readonly created_at: Date;
  readonly expires_at: Date;
  readonly revoked_at: Date | null;
}): EnrollmentTokenFacts {
  return {
    tokenId: row.token_id,
    orgGuid: row.org_id,
    usesLeft: row.uses_left,
    createdAt: row.created_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    revokedAt: row.revoked_at?.toISOString() ?? null,
  };
}
