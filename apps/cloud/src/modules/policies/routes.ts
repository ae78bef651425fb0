import { policyRoutes } from '@holdfast/contract';
import type { FastifyInstance } from 'fastify';
import { mount, type HttpDeps } from '../../platform/mount.ts';
import { getPolicy, putPolicy } from './policies.ts';

/** Mounts the routes of policies. */
export function mountPolicies(app: FastifyInstance, deps: HttpDeps): void {
  mount(app, deps, policyRoutes.get, (ctx, { params }) => getPolicy(ctx, params.orgGuid));
  mount(app, deps, policyRoutes.put, (ctx, { params, body }) => putPolicy(ctx, params.orgGuid, body));
}
