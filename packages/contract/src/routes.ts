import { apiClientRoutes } from './api-clients.ts';
import { auditRoutes } from './audit.ts';
import { customerRoutes } from './customer.ts';
import { deviceRoutes, enrollmentRoutes } from './devices.ts';
import { keyLogRoutes, ownKeyLogRoutes } from './key-log.ts';
import { oauthRoutes } from './oauth.ts';
import { orgRoutes } from './orgs.ts';
import { policyRoutes } from './policies.ts';
import { releaseRoutes } from './releases.ts';
import type { Route } from './route.ts';
import { sessionRoutes } from './sessions.ts';
import { storageRoutes } from './storage.ts';
import { takeoverRoutes } from './takeovers.ts';
import { userRoutes } from './users.ts';

/** The whole API, by noun: a new noun adds one line here, and the contract walk then asks for its examples. */
export const api = {
  oauth: oauthRoutes,
  sessions: sessionRoutes,
  customer: customerRoutes,
  users: userRoutes,
  orgs: orgRoutes,
  policies: policyRoutes,
  apiClients: apiClientRoutes,
  audit: auditRoutes,
  keyLog: keyLogRoutes,
  ownKeyLog: ownKeyLogRoutes,
  enrollmentTokens: enrollmentRoutes,
  devices: deviceRoutes,
  releases: releaseRoutes,
  storage: storageRoutes,
  takeovers: takeoverRoutes,
} as const satisfies Readonly<Record<string, Readonly<Record<string, Route>>>>;

/** Every route with its name, `noun.verb`. */
export const allRoutes: readonly { readonly name: string; readonly route: Route }[] = Object.entries(api).flatMap(
  ([noun, routes]) =>
    Object.entries(routes).map(([verb, route]) => ({ name: `${noun}.${verb}`, route: route as Route })),
);
