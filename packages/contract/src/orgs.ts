import { defineErrors } from '@holdfast/base';
import { z } from 'zod';
import { defineRoute } from './route.ts';
import { Instant, pageFromOne } from './shapes.ts';

/** A unit inside a tenant, in the words of existing clients. */
export const Org = z.object({
  orgGuid: z.uuid(),
  /** The number older interfaces use. */
  orgId: z.string(),
  orgName: z.string(),
  orgExtRef: z.string().nullable(),
  notes: z.string().nullable(),
  parentOrgGuid: z.uuid().nullable(),
  active: z.boolean(),
  creationDate: Instant,
  modificationDate: Instant,
  deactivationDate: Instant.nullable(),
  registrationKey: z.string(),
  userCount: z.number().int(),
  computerCount: z.number().int(),
  orgCount: z.number().int(),
});
export type Org = z.infer<typeof Org>;

/** Failures about orgs. */
export const orgErrors = defineErrors('orgs', {
  not_found: ['not_found', 'Org not found'],
});

/** Routes of orgs. */
export const orgRoutes = {
  list: defineRoute({
    method: 'GET',
    path: '/v1/orgs',
    summary: 'List the orgs the caller reaches',
    permission: 'orgs.read',
    query: z.object(pageFromOne),
    status: 200,
    reply: z.object({ orgs: z.array(Org), totalCount: z.number().int() }),
  }),
  get: defineRoute({
    method: 'GET',
    path: '/v1/orgs/:orgGuid',
    summary: 'Read one org',
    permission: 'orgs.read',
    params: z.object({ orgGuid: z.uuid() }),
    status: 200,
    reply: Org,
    errors: [orgErrors.not_found],
  }),
};
