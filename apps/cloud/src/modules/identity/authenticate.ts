import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '@holdfast/base';
import { authErrors, requestErrors, type PrincipalKind, type Route, type ServingRole } from '@holdfast/contract';
import type { Principal } from '../../platform/context.ts';
import { readCookie } from '../../platform/cookies.ts';
import { sha256 } from '../../platform/digest.ts';
import { isRefusal, type Authenticate, type Presented, type RefusedPrincipal } from '../../platform/mount.ts';
import type { Database, TenantTx } from '../../platform/postgres.ts';
import { isTenantActive, locate } from '../tenants/index.ts';
import { verifyProof, verifyToken, type ProofDeps, type TokenClaims, type TokenKeys } from '../tokens/index.ts';
import { narrowGrants } from './grants.ts';
import { csrfTokenOf, SESSION_COOKIE, useSession, type UsedSession } from './sessions.ts';
import type { PrincipalState } from './users.ts';

/** Reads what a principal of one kind is now; undefined when there is none of that id. */
export type ReadState = (tx: TenantTx, tenantId: string, principalId: string) => Promise<PrincipalState | undefined>;

/** What finding out who asks needs. */
export type AuthenticateDeps = {
  readonly role: ServingRole;
  readonly database: Database;
  readonly installationId: string;
  /** Where clients reach this server, without a final slash; asked at every request. */
  readonly publicUrl: () => string;
  readonly clock: Clock;
  readonly keys: TokenKeys;
  readonly proofs: ProofDeps;
  /** One for each kind of principal this role knows. */
  readonly readState: Readonly<Partial<Record<PrincipalKind, ReadState>>>;
};

/** How long a node may go on trusting what it last read of a principal and its tenant. */
export const STATE_CACHE_MS = 5_000;
const CACHED_STATES = 20_000;

/**
 * Finds out who asks: an access token (with proof of possession where it is bound to a key), or a session cookie.
 *
 * Whatever a token says, its principal and tenant must be active now, give or take `STATE_CACHE_MS`. From the moment that
 * a token or session of ours names somebody, a refusal is theirs and answered as such; before, it is nobody's and thrown.
 */
export function createAuthenticate(deps: AuthenticateDeps): Authenticate {
  const stateOf = cachedState(deps);
  return async (presented, route) => {
    const { authorization, cookie } = presented.headers;
    if (authorization !== undefined) return byToken(deps, stateOf, presented, authorization);
    const session = readCookie(cookie, SESSION_COOKIE);
    if (session !== undefined && deps.role === 'api') return bySession(deps, stateOf, { presented, session, route });
    throw authErrors.missing();
  };
}

type StateOf = (kind: PrincipalKind, tenantId: string, principalId: string) => Promise<PrincipalState>;

async function byToken(
  deps: AuthenticateDeps,
  stateOf: StateOf,
  presented: Presented,
  authorization: string,
): Promise<Principal | RefusedPrincipal> {
  const [, scheme = '', token = ''] = /^(bearer|dpop) ([\w.~+/-]+=*)$/i.exec(authorization) ?? [];
  if (token === '') throw authErrors.invalid();
  const claims = await verifyToken(deps, deps.role, token);
  const { kind, tenantId, principalId } = claims;
  return asKnown({ kind, tenantId, principalId }, async () => {
    const nextNonce = await provePossession(deps, presented, { claims, token, scheme: scheme.toLowerCase() });
    const state = await stateOf(kind, tenantId, principalId);
    const grants = narrowGrants(state.grants, claims.scopes);
    return { name: state.name, grants, ...(nextNonce === undefined ? {} : { nextNonce }) };
  });
}

type Known = Pick<Principal, 'kind' | 'tenantId' | 'principalId'>;

/** What is refused to somebody known is answered with who they are; that a nonce is missing refuses nothing. */
async function asKnown(
  known: Known,
  prove: () => Promise<Omit<Principal, keyof Known>>,
): Promise<Principal | RefusedPrincipal> {
  try {
    return { ...known, ...(await prove()) };
  } catch (error) {
    if (!isRefusal(error) || error.code === authErrors.use_nonce.code) throw error;
    // By id alone: a name would have to be read, and theirs may be gone.
    const { kind, tenantId, principalId } = known;
    return { refusal: error, tenantId, actor: { kind, id: principalId, name: principalId } };
  }
}

async function provePossession(
  deps: AuthenticateDeps,
  presented: Presented,
  shown: { readonly claims: TokenClaims; readonly token: string; readonly scheme: string },
): Promise<string | undefined> {
  const { claims, token, scheme } = shown;
  const proof = presented.headers['dpop'];
  if (claims.keyThumbprint === undefined) {
    if (scheme !== 'bearer') throw authErrors.invalid();
    return undefined;
  }
  if (scheme !== 'dpop' || typeof proof !== 'string')
    throw authErrors.invalid({ reason: 'the token is bound to a key' });
  return verifyProof(deps.proofs, proof, {
    tenantId: claims.tenantId,
    method: presented.method,
    url: deps.publicUrl() + presented.url.split('?')[0],
    accessToken: token,
    keyThumbprint: claims.keyThumbprint,
  });
}

async function bySession(
  deps: AuthenticateDeps,
  stateOf: StateOf,
  shown: { readonly presented: Presented; readonly session: string; readonly route: Route },
): Promise<Principal | RefusedPrincipal> {
  const { presented, session: cookie, route } = shown;
  if (!/^[\w-]{43}$/.test(cookie)) throw authErrors.invalid();
  const csrfToken = csrfTokenOf(cookie);
  const requireOwnPage = () => {
    if (route.method !== 'GET') requireSameSite(presented, deps.publicUrl(), csrfToken);
  };
  const used = await findUsed(deps, cookie);
  if (!used) {
    requireOwnPage();
    throw authErrors.invalid();
  }
  const { tenantId, userId, isOpen, sessionId, absoluteEndsAt } = used;
  return asKnown({ kind: 'user', tenantId, principalId: userId }, async () => {
    requireOwnPage();
    if (!isOpen) throw authErrors.ended();
    const { name, grants } = await stateOf('user', tenantId, userId);
    return { name, grants, session: { sessionId, absoluteEndsAt, csrfToken } };
  });
}

async function findUsed(
  deps: AuthenticateDeps,
  cookie: string,
): Promise<(UsedSession & { readonly tenantId: string }) | undefined> {
  const tenantId = await locate(deps.database, 'session', cookie);
  if (tenantId === undefined) return undefined;
  const at = new Date(deps.clock.now());
  const used = await deps.database.withTenant(tenantId, (tx) => useSession(tx, tenantId, cookie, at));
  return used && { ...used, tenantId };
}

/** A change by cookie must come from one of our own pages: it says so twice. @throws request.cross_site */
function requireSameSite(presented: Presented, publicUrl: string, csrfToken: string): void {
  const sent = presented.headers['x-csrf-token'];
  const fits = typeof sent === 'string' && timingSafeEqual(sha256(sent), sha256(csrfToken));
  if (!fits || !isFromOurPage(presented.headers, publicUrl)) throw requestErrors.cross_site();
}

/** Whether the browser says that a page of this server sent the request; false when it says nothing. */
export function isFromOurPage(headers: Presented['headers'], publicUrl: string): boolean {
  const { origin } = headers;
  const site = headers['sec-fetch-site'];
  if (origin !== undefined && origin !== new URL(publicUrl).origin) return false;
  return site === undefined ? origin !== undefined : site === 'same-origin';
}

function cachedState(deps: AuthenticateDeps): StateOf {
  const cache = new Map<string, { readonly untilMs: number; readonly state: Promise<PrincipalState | undefined> }>();
  return async (kind, tenantId, principalId) => {
    const name = `${kind} ${tenantId} ${principalId}`;
    const nowMs = deps.clock.monotonic();
    let entry = cache.get(name);
    if (!entry || entry.untilMs <= nowMs) {
      entry = { untilMs: nowMs + STATE_CACHE_MS, state: readFrom(deps, kind, { tenantId, principalId }) };
      entry.state.catch(() => cache.delete(name));
      if (cache.size >= CACHED_STATES) cache.clear();
      cache.set(name, entry);
    }
    const state = await entry.state;
    if (!state?.isActive) throw (state?.refusal ?? authErrors.ended)();
    return state;
  };
}

async function readFrom(
  deps: AuthenticateDeps,
  kind: PrincipalKind,
  who: { readonly tenantId: string; readonly principalId: string },
): Promise<PrincipalState | undefined> {
  const read = deps.readState[kind];
  if (!read) throw authErrors.wrong_kind({ kind });
  return deps.database.withTenant(who.tenantId, async (tx) =>
    (await isTenantActive(tx, who.tenantId)) ? read(tx, who.tenantId, who.principalId) : undefined,
  );
}
