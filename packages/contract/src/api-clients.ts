import { defineErrors } from '@holdfast/base';
import { z } from 'zod';
import { defineRoute, nothing } from './route.ts';
import { DisplayName, Instant } from './shapes.ts';

/** A program that may call the API. Its secret is not stored and shown only when it is made. */
export const ApiClient = z.object({
  clientId: z.string(),
  name: z.string(),
  roleId: z.string(),
  orgGuid: z.uuid(),
  createdAt: Instant,
  lastUsedAt: Instant.nullable(),
  /** When the older of two secrets stops working; null when there is one. */
  oldSecretEndsAt: Instant.nullable(),
});
export type ApiClient = z.infer<typeof ApiClient>;

/** An API client with the secret that is shown this once. */
export const ApiClientSecret = ApiClient.extend({ clientSecret: z.string() });
export type ApiClientSecret = z.infer<typeof ApiClientSecret>;

/** Failures about API clients. */
export const apiClientErrors = defineErrors('api_clients', {
  not_found: ['not_found', 'API client not found'],
  org_not_found: ['not_found', 'Org not found'],
  role_not_found: ['invalid', 'There is no such role'],
  role_exceeds_yours: ['forbidden', 'That role holds a permission you do not hold there'],
});

const oneClient = z.object({ clientId: z.string().min(1).max(100) });

/** Routes of API clients. */
export const apiClientRoutes = {
  list: defineRoute({
    method: 'GET',
    path: '/v1/api-clients',
    summary: 'List API clients',
    permission: 'clients.read',
    status: 200,
    reply: z.object({ apiClients: z.array(ApiClient) }),
  }),
  create: defineRoute({
    method: 'POST',
    path: '/v1/api-clients',
    summary: 'Create an API client; the reply shows its secret for the only time',
    permission: 'clients.write',
    body: z.strictObject({ name: DisplayName, roleId: z.string().max(100), orgGuid: z.uuid().optional() }),
    status: 201,
    reply: ApiClientSecret,
    errors: [apiClientErrors.org_not_found, apiClientErrors.role_not_found, apiClientErrors.role_exceeds_yours],
  }),
  rotate: defineRoute({
    method: 'POST',
    path: '/v1/api-clients/:clientId/rotate',
    summary: 'Make a new secret; the older one works for the overlap asked for',
    permission: 'clients.write',
    params: oneClient,
    body: z.strictObject({ overlapSeconds: z.number().int().min(0).max(604_800).default(86_400) }),
    status: 200,
    reply: ApiClientSecret,
    errors: [apiClientErrors.not_found, apiClientErrors.role_exceeds_yours],
  }),
  revoke: defineRoute({
    method: 'DELETE',
    path: '/v1/api-clients/:clientId',
    summary: 'Revoke an API client and every token it holds',
    permission: 'clients.write',
    params: oneClient,
    status: 204,
    reply: nothing,
    errors: [apiClientErrors.not_found],
  }),
};
