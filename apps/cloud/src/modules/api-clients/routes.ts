import { apiClientRoutes, oauthRoutes } from '@holdfast/contract';
import type { FastifyInstance } from 'fastify';
import { mount, mountOpen, type HttpDeps } from '../../platform/mount.ts';
import { createApiClient, listApiClients, revokeApiClient, rotateApiClient } from './api-clients.ts';
import { issueClientToken, readCredentials, type ClientTokenDeps } from './issue-client-token.ts';

/** Mounts the routes of API clients, and those that hand out and explain tokens. */
export function mountApiClients(app: FastifyInstance, deps: HttpDeps & ClientTokenDeps): void {
  mount(app, deps, apiClientRoutes.list, (ctx) => listApiClients(ctx));
  mount(app, deps, apiClientRoutes.create, (ctx, { body }) => createApiClient(ctx, body));
  mount(app, deps, apiClientRoutes.rotate, (ctx, { params, body }) =>
    rotateApiClient(ctx, params.clientId, body.overlapSeconds),
  );
  mount(app, deps, apiClientRoutes.revoke, (ctx, { params }) => revokeApiClient(ctx, params.clientId));
  mountOpen(app, deps, oauthRoutes.token, (ctx, { body, headers }) =>
    issueClientToken(deps, ctx, readCredentials(headers.authorization, body)),
  );
  mountOpen(app, deps, oauthRoutes.jwks, async () => ({ keys: [...(await deps.keys.jwks())] }));
}
