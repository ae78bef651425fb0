import { customerRoutes } from '@holdfast/contract';
import type { FastifyInstance } from 'fastify';
import { mount, type HttpDeps } from '../../platform/mount.ts';
import { getCustomer } from './tenants.ts';

/** Mounts the routes of the tenant itself. */
export function mountTenants(app: FastifyInstance, deps: HttpDeps): void {
  mount(app, deps, customerRoutes.get, (ctx) => getCustomer(ctx));
}
