import { requestErrors, sessionRoutes, userRoutes } from '@holdfast/contract';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { readCookie, writeCookie } from '../../platform/cookies.ts';
import { mount, mountOpen, type HttpDeps } from '../../platform/mount.ts';
import { getRole, listRoles, listRolesOf, setRoles } from './assign-roles.ts';
import { isFromOurPage } from './authenticate.ts';
import {
  BROWSER_COOKIE,
  getSignedIn,
  listOwnSessions,
  listSessionsOf,
  revokeSession,
  revokeSessionOf,
  SESSION_COOKIE,
  SESSION_TIMES,
  signOut,
} from './sessions.ts';
import { signIn, type NewSession, type SignInDeps } from './sign-in.ts';
import { getUser, listUsers } from './users.ts';

const BROWSER_SECONDS = 365 * 86_400;

/** Mounts the routes of users, roles and sessions. */
export function mountIdentity(
  app: FastifyInstance,
  deps: HttpDeps & SignInDeps & { readonly publicUrl: () => string },
): void {
  mount(app, deps, userRoutes.list, (ctx, { query }) => listUsers(ctx, query));
  mount(app, deps, userRoutes.roles, async () => listRoles());
  mount(app, deps, userRoutes.role, async (_, { params }) => getRole(params.roleId));
  mount(app, deps, userRoutes.get, (ctx, { params }) => getUser(ctx, params.userId));
  mount(app, deps, userRoutes.rolesOf, (ctx, { params }) => listRolesOf(ctx, params.userId));
  mount(app, deps, userRoutes.setRoles, (ctx, { params, body }) => setRoles(ctx, params.userId, body.roleIds));
  mount(app, deps, sessionRoutes.current, async (ctx) => getSignedIn(ctx));
  mount(app, deps, sessionRoutes.signOut, (ctx) => signOut(ctx));
  mount(app, deps, sessionRoutes.listOwn, (ctx) => listOwnSessions(ctx));
  mount(app, deps, sessionRoutes.revokeOwn, (ctx, { params }) =>
    revokeSession(ctx, ctx.principal.principalId, params.sessionId),
  );
  mount(app, deps, sessionRoutes.listOf, (ctx, { params }) => listSessionsOf(ctx, params.userId));
  mount(app, deps, sessionRoutes.revoke, (ctx, { params }) => revokeSessionOf(ctx, params.userId, params.sessionId));
  mountOpen(app, deps, sessionRoutes.signIn, async (ctx, { params, body, headers }, reply) => {
    const isBrowser = headers.origin !== undefined || headers['sec-fetch-site'] !== undefined;
    if (isBrowser && !isFromOurPage(headers, deps.publicUrl())) throw requestErrors.cross_site();
    const browser = readCookie(headers.cookie, BROWSER_COOKIE);
    const session = await signIn(deps, ctx, { slug: params.slug, ...body, browser });
    setCookies(reply, session);
    return session.signedIn;
  });
}

function setCookies(reply: FastifyReply, { cookie, browser }: NewSession): void {
  const sessionSeconds = SESSION_TIMES.absoluteMs / 1000;
  void reply.header('set-cookie', [
    writeCookie({ name: SESSION_COOKIE, value: cookie, maxAgeSeconds: sessionSeconds, sameSite: 'Lax' }),
    writeCookie({ name: BROWSER_COOKIE, value: browser, maxAgeSeconds: BROWSER_SECONDS, sameSite: 'Strict' }),
  ]);
}
