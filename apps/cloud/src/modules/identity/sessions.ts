import { sessionErrors, type Session, type SignedIn } from '@holdfast/contract';
import type { Principal, TxContext } from '../../platform/context.ts';
import { sha256 } from '../../platform/digest.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { allPermissions } from './grants.ts';
import * as store from './session-store.ts';
import { listUsers } from './store.ts';

/** When a session ends, and how often its use is noted. */
export const SESSION_TIMES = { idleMs: 30 * 60_000, absoluteMs: 12 * 3_600_000, touchEveryMs: 60_000 } as const;
/** The cookie that is the session. */
export const SESSION_COOKIE = '__Host-holdfast';
/** The cookie of a browser somebody has signed in from before. */
export const BROWSER_COOKIE = '__Host-holdfast-browser';

/** What a page sends back with every change; it follows from the cookie, which scripts cannot read. */
export function csrfTokenOf(cookie: string): string {
  return sha256(`csrf ${cookie}`).toString('base64url');
}

/** A session, as a request needs it. */
export type UsedSession = {
  readonly sessionId: string;
  readonly userId: string;
  readonly absoluteEndsAt: Date;
  readonly isOpen: boolean;
};

/** The session of a cookie, its use noted where it is open; undefined when there is none. */
export async function useSession(
  tx: TenantTx,
  tenantId: string,
  cookie: string,
  at: Date,
): Promise<UsedSession | undefined> {
  const row = await store.findSession(tx, tenantId, sha256(cookie));
  if (!row) return undefined;
  const isOpen = row.ended_at === null && row.idle_ends_at > at && row.absolute_ends_at > at;
  if (isOpen && at.getTime() - row.last_seen_at.getTime() > SESSION_TIMES.touchEveryMs) {
    const idleEndsAt = new Date(at.getTime() + SESSION_TIMES.idleMs);
    await store.touchSession(tx, { tenantId, sessionId: row.session_id, at, idleEndsAt });
  }
  return { sessionId: row.session_id, userId: row.user_id, absoluteEndsAt: row.absolute_ends_at, isOpen };
}

/** Who is signed in. */
export function getSignedIn({ principal }: { readonly principal: Principal }): SignedIn {
  const session = requireSession(principal);
  return {
    sessionId: session.sessionId,
    userId: principal.principalId,
    username: principal.name,
    tenantId: principal.tenantId,
    csrfToken: session.csrfToken,
    permissions: [...allPermissions(principal.grants)],
    absoluteEndsAt: session.absoluteEndsAt.toISOString(),
  };
}

/** Ends the session that asks. */
export function signOut(ctx: TxContext): Promise<void> {
  return revokeSession(ctx, ctx.principal.principalId, requireSession(ctx.principal).sessionId);
}

/** The open sessions of the person who asks. */
export async function listOwnSessions(ctx: TxContext): Promise<{ sessions: Session[] }> {
  return { sessions: await sessionsOf(ctx, ctx.principal.principalId) };
}

/** The open sessions of a user the caller reaches. @throws sessions.not_found */
export async function listSessionsOf(ctx: TxContext, userId: string): Promise<{ sessions: Session[] }> {
  await requireReach(ctx, userId);
  return { sessions: await sessionsOf(ctx, userId) };
}

/** Ends one session of a user the caller reaches. @throws sessions.not_found */
export async function revokeSessionOf(ctx: TxContext, userId: string, sessionId: string): Promise<void> {
  await requireReach(ctx, userId);
  await revokeSession(ctx, userId, sessionId);
}

/** Ends one session of a user. @throws sessions.not_found */
export async function revokeSession(ctx: TxContext, userId: string, sessionId: string): Promise<void> {
  const ended = await store.endSession(ctx.tx, { tenantId: ctx.tenantId, userId, sessionId, at: ctx.now });
  if (!ended) throw sessionErrors.not_found();
  await ctx.audit({ eventType: 'session.ended', target: { kind: 'session', id: sessionId }, facts: { userId } });
}

async function requireReach(ctx: TxContext, userId: string): Promise<void> {
  const [row] = await listUsers(ctx.tx, { tenantId: ctx.tenantId, reach: ctx.reach, userId }).page(0, 1);
  if (!row) throw sessionErrors.not_found();
}

async function sessionsOf(ctx: TxContext, userId: string): Promise<Session[]> {
  const rows = await store.listOpenSessions(ctx.tx, ctx.tenantId, userId, ctx.now);
  return rows.map((row) => ({
    sessionId: row.session_id,
    userId: row.user_id,
    createdAt: row.created_at.toISOString(),
    lastSeenAt: row.last_seen_at.toISOString(),
    idleEndsAt: row.idle_ends_at.toISOString(),
    absoluteEndsAt: row.absolute_ends_at.toISOString(),
    ipAddress: row.ip_address,
    userAgent: row.user_agent,
    current: row.session_id === ctx.principal.session?.sessionId,
  }));
}

function requireSession(principal: Principal): NonNullable<Principal['session']> {
  if (!principal.session) throw sessionErrors.not_found();
  return principal.session;
}
