import { newId, systemRandom } from '@holdfast/base';
import { authErrors, sessionErrors, type SignedIn } from '@holdfast/contract';
import ipaddr from 'ipaddr.js';
import type { AuditActor, OpenContext, WriteAudit } from '../../platform/context.ts';
import { sha256 } from '../../platform/digest.ts';
import { refuseWhenCrowded, verifyPassword } from '../../platform/password.ts';
import type { Database, TenantTx } from '../../platform/postgres.ts';
import { addLocator, isTenantActive, locate } from '../tenants/index.ts';
import * as sessionStore from './session-store.ts';
import { csrfTokenOf, getSignedIn, SESSION_TIMES } from './sessions.ts';
import { countIn, forgiveIn, takeBack, type Counted } from './slow-down.ts';
import { findUserByName } from './store.ts';
import { readGrants, usernameKeyOf } from './users.ts';

/** What signing in needs. */
export type SignInDeps = {
  readonly database: Database;
  readonly installationId: string;
  readonly writeAudit: WriteAudit;
};

/** What somebody shows to sign in. */
export type SignInAttempt = {
  readonly slug: string;
  readonly username: string;
  readonly password: string;
  /** The cookie of a browser that has been here before. */
  readonly browser: string | undefined;
};

/** A new session: what the page is told, and the cookies only the browser sees. */
export type NewSession = { readonly signedIn: SignedIn; readonly cookie: string; readonly browser: string };

type UserRow = NonNullable<Awaited<ReturnType<typeof findUserByName>>>;
type Reserved = {
  readonly tenantId: string;
  readonly user: UserRow | undefined;
  readonly isTenantOpen: boolean;
  readonly isBrowserKnown: boolean;
  readonly account: Counted;
};

/**
 * Signs a person in.
 *
 * A wrong address, name or password take the same steps and get the same answer: an address nobody has is tried in the
 * installation's own tenant, which has no people. Attempts are counted by address and name together, and by where they
 * come from over all addresses: else the count would tell which addresses share one.
 * @throws sessions.wrong_credentials, auth.slow_down, request.overloaded
 */
export async function signIn(deps: SignInDeps, ctx: OpenContext, attempt: SignInAttempt): Promise<NewSession> {
  refuseWhenCrowded();
  const { database, installationId } = deps;
  const tenantId = (await locate(database, 'tenant_slug', attempt.slug)) ?? installationId;
  const subjectSha256 = sha256(networkOf(ctx.source.ipAddress));
  const source: Counted = { tenantId: installationId, kind: 'source', subjectSha256 };
  const sourceWait = await database.withTenant(installationId, (tx) => countIn(tx, source, ctx.nowMs()));
  if (sourceWait) throw slowDown(sourceWait.waitMs);
  const reserved = await database.withTenant(tenantId, (tx) => reserve(tx, ctx, { tenantId, attempt }));
  if ('waitMs' in reserved) {
    await takeBack(database, source);
    throw slowDown(reserved.waitMs);
  }
  const { user, isTenantOpen } = reserved;
  const isRight = await verifyPassword(user?.password_hash, attempt.password).catch(async (error: unknown) => {
    // Nothing was tried: whoever floods the queue must not make honest people wait.
    await Promise.all([takeBack(database, source), takeBack(database, reserved.account)]);
    throw error;
  });
  const mayEnter = isRight && user?.active === true && !user.blocked && isTenantOpen;
  if (!mayEnter) {
    await database.withTenant(tenantId, (tx) => recordFailure(deps, tx, ctx, { tenantId, attempt }));
    throw sessionErrors.wrong_credentials();
  }
  await database.withTenant(installationId, (tx) => forgiveIn(tx, source, ctx.nowMs()));
  return database.withTenant(tenantId, (tx) => openSession(deps, tx, ctx, { reserved, user, attempt }));
}

function slowDown(waitMs: number): Error {
  return authErrors.slow_down({ retryAfterSeconds: Math.ceil(waitMs / 1000) });
}

type Trying = { readonly tenantId: string; readonly attempt: SignInAttempt };

/** Counts the attempt as failed before it is checked, by account or known browser. */
async function reserve(tx: TenantTx, ctx: OpenContext, trying: Trying): Promise<Reserved | { waitMs: number }> {
  const { tenantId, attempt } = trying;
  const usernameKey = usernameKeyOf(attempt.username);
  const user = await findUserByName(tx, tenantId, usernameKey);
  const isTenantOpen = await isTenantActive(tx, tenantId);
  const browserSha256 = sha256(attempt.browser ?? '');
  const known = { tenantId, tokenSha256: browserSha256, userId: user?.user_id ?? tenantId };
  const isBrowserKnown = await sessionStore.isKnownBrowser(tx, known);
  const account: Counted = isBrowserKnown
    ? { tenantId, kind: 'browser', subjectSha256: browserSha256 }
    : { tenantId, kind: 'account', subjectSha256: sha256(`${attempt.slug}\u0000${usernameKey}`) };
  const wait = await countIn(tx, account, ctx.nowMs());
  return wait ?? { tenantId, user, isTenantOpen, isBrowserKnown, account };
}

async function recordFailure(
  deps: SignInDeps,
  tx: TenantTx,
  ctx: OpenContext,
  { tenantId, attempt }: Trying,
): Promise<void> {
  const actor: AuditActor = { kind: 'unknown', id: 'unknown', name: attempt.username };
  await deps.writeAudit(tx, {
    tenantId,
    actor,
    at: new Date(ctx.nowMs()),
    source: ctx.source,
    requestId: ctx.requestId,
    eventType: 'sign_in.failed',
    outcome: 'refused',
  });
}

type Entering = { readonly reserved: Reserved; readonly user: UserRow; readonly attempt: SignInAttempt };

async function openSession(
  deps: SignInDeps,
  tx: TenantTx,
  ctx: OpenContext,
  { reserved, user, attempt }: Entering,
): Promise<NewSession> {
  const { tenantId } = reserved;
  const nowMs = ctx.nowMs();
  const at = new Date(nowMs);
  await forgiveIn(tx, reserved.account, nowMs);
  const cookie = newCookie();
  const sessionId = newId<'session'>(nowMs);
  const absoluteEndsAt = new Date(nowMs + SESSION_TIMES.absoluteMs);
  await sessionStore.insertSession(tx, {
    tenant_id: tenantId,
    session_id: sessionId,
    user_id: user.user_id,
    token_sha256: sha256(cookie),
    created_at: at,
    last_seen_at: at,
    idle_ends_at: new Date(nowMs + SESSION_TIMES.idleMs),
    absolute_ends_at: absoluteEndsAt,
    ip_address: ctx.source.ipAddress,
    user_agent: ctx.source.userAgent,
  });
  await addLocator(tx, tenantId, 'session', cookie);
  const browser = await rememberBrowser(tx, { reserved, user, attempt }, at);
  const actor: AuditActor = { kind: 'user', id: user.user_id, name: user.username };
  await deps.writeAudit(tx, {
    tenantId,
    actor,
    at,
    source: ctx.source,
    requestId: ctx.requestId,
    eventType: 'sign_in.succeeded',
    outcome: 'done',
    target: { kind: 'session', id: sessionId },
  });
  const grants = await readGrants(tx, tenantId, user.user_id);
  const session = { sessionId, csrfToken: csrfTokenOf(cookie), absoluteEndsAt };
  const identity = { kind: 'user', principalId: user.user_id, tenantId, name: user.username } as const;
  return { signedIn: getSignedIn({ principal: { ...identity, grants, session } }), cookie, browser };
}

async function rememberBrowser(tx: TenantTx, { reserved, user, attempt }: Entering, at: Date): Promise<string> {
  if (reserved.isBrowserKnown && attempt.browser !== undefined) return attempt.browser;
  const browser = newCookie();
  await sessionStore.insertKnownBrowser(tx, {
    tenant_id: reserved.tenantId,
    token_sha256: sha256(browser),
    user_id: user.user_id,
    last_used_at: at,
  });
  return browser;
}

function newCookie(): string {
  return Buffer.from(systemRandom(32)).toString('base64url');
}

/** What counts as one place: an IPv4 address, or the /64 network of an IPv6 address, which is one household. */
export function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  return parsed.kind() === 'ipv4'
    ? parsed.toString()
    : parsed
        .toByteArray()
        .slice(0, 8)
        .map((byte) => byte.toString(16).padStart(2, '0'))
        .join('');
}
