import { orgRoutes } from '@holdfast/contract';
import type { FastifyInstance } from 'fastify';
import { mount, type HttpDeps } from '../../platform/mount.ts';
import { getOrg, listOrgs } from './orgs.ts';

/** Mounts the routes of orgs. */
export function mountOrgs(app: FastifyInstance, deps: HttpDeps): void {
  mount(app, deps, orgRoutes.list, (ctx, { query }) => listOrgs(ctx, query));
  mount(app, deps, orgRoutes.get, (ctx, { params }) => getOrg(ctx, params.orgGuid));
}
