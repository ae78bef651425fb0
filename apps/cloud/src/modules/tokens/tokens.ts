import { newId, type Clock } from '@holdfast/base';
import { authErrors, type Permission, type PrincipalKind, type ServingRole } from '@holdfast/contract';
import { errors, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import type { SigningKeys, TokenKeys } from './token-keys.ts';

/** How long an access token lives. */
export const TOKEN_SECONDS = 900;

const Claims = z.object({
  sub: z.string().min(1),
  tenantUid: z.uuid(),
  kind: z.enum(['user', 'device', 'client', 'support']),
  scope: z.string(),
  jti: z.string(),
  exp: z.number(),
  /** The thumbprint of the key the token is bound to (RFC 9449, 6.1). */
  cnf: z.object({ jkt: z.string() }).optional(),
});

/** What an access token says, once it is verified. */
export type TokenClaims = {
  readonly tenantId: string;
  readonly principalId: string;
  readonly kind: PrincipalKind;
  readonly scopes: ReadonlySet<string>;
  /** The key whose possession must be proved along with the token; absent for a plain bearer token. */
  readonly keyThumbprint?: string;
};

/** What a token is made for. */
export type TokenSubject = {
  readonly tenantId: string;
  readonly principalId: string;
  readonly kind: PrincipalKind;
  readonly scopes: readonly Permission[];
  /** The one role that accepts it. */
  readonly audience: ServingRole;
  /** Binds the token to a key, by its RFC 7638 thumbprint; required for devices. */
  readonly keyThumbprint?: string;
};

/** The audience of tokens for one role of an installation. */
export function audienceOf(installationId: string, role: ServingRole): string {
  return `holdfast:${installationId}:${role}`;
}

/** Makes an access token that lives `TOKEN_SECONDS`. */
export async function issueToken(
  issuer: { readonly keys: SigningKeys; readonly installationId: string; readonly clock: Clock },
  subject: TokenSubject,
): Promise<string> {
  if (subject.kind === 'device' && subject.keyThumbprint === undefined)
    throw new Error('a device token is bound to a key');
  const { keyId, privateKey } = await issuer.keys.signing();
  const nowSeconds = Math.floor(issuer.clock.now() / 1000);
  const bound = subject.keyThumbprint === undefined ? {} : { cnf: { jkt: subject.keyThumbprint } };
  const claims = { tenantUid: subject.tenantId, kind: subject.kind, scope: subject.scopes.join(' '), ...bound };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'EdDSA', kid: keyId, typ: 'at+jwt' })
    .setIssuer(`holdfast:${issuer.installationId}`)
    .setAudience(audienceOf(issuer.installationId, subject.audience))
    .setSubject(subject.principalId)
    .setJti(newId<'token'>(issuer.clock.now()))
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + TOKEN_SECONDS)
    .sign(privateKey);
}

/**
 * Verifies an access token for one role; says nothing of whether its principal may still act.
 *
 * @throws auth.invalid, auth.expired
 */
export async function verifyToken(
  verifier: { readonly keys: TokenKeys; readonly installationId: string; readonly clock: Clock },
  role: ServingRole,
  token: string,
): Promise<TokenClaims> {
  const claims = await readClaims(verifier, role, token);
  const parsed = Claims.safeParse(claims);
  if (!parsed.success) throw authErrors.invalid();
  const { sub, tenantUid, kind, scope, cnf } = parsed.data;
  if (kind === 'device' && cnf === undefined) throw authErrors.invalid();
  const scopes = new Set(scope.split(' ').filter((name) => name !== ''));
  return { tenantId: tenantUid, principalId: sub, kind, scopes, ...(cnf ? { keyThumbprint: cnf.jkt } : {}) };
}

async function readClaims(
  verifier: { readonly keys: TokenKeys; readonly installationId: string; readonly clock: Clock },
  role: ServingRole,
  token: string,
): Promise<unknown> {
  try {
    const { payload } = await jwtVerify(
      token,
      async ({ kid }) => {
        const key = kid === undefined ? undefined : await verifier.keys.publicKey(kid);
        if (!key) throw new errors.JWKSNoMatchingKey();
        return key;
      },
      {
        algorithms: ['EdDSA'],
        typ: 'at+jwt',
        issuer: `holdfast:${verifier.installationId}`,
        audience: audienceOf(verifier.installationId, role),
        requiredClaims: ['sub', 'exp', 'jti'],
        currentDate: new Date(verifier.clock.now()),
      },
    );
    return payload;
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw authErrors.expired({}, error);
    if (error instanceof errors.JOSEError) throw authErrors.invalid({}, error);
    throw error;
  }
}
