import { keyLogRoutes, ownKeyLogRoutes } from '@holdfast/contract';
import type { FastifyInstance } from 'fastify';
import { mount, mountIo, type HttpDeps } from '../../platform/mount.ts';
import { listLeaves, listOwnLeaves, readConsistency, readHead, readInclusion, type HeadDeps } from './read-key-log.ts';

/** Mounts the routes of the key log. */
export function mountKeyLog(app: FastifyInstance, deps: HttpDeps & { readonly adapters: HeadDeps }): void {
  for (const routes of [keyLogRoutes, ownKeyLogRoutes]) {
    mountIo(app, deps, routes.head, (ctx) => readHead(ctx));
    mount(app, deps, routes.inclusion, (ctx, { query }) => readInclusion(ctx, query));
    mount(app, deps, routes.consistency, (ctx, { query }) => readConsistency(ctx, query));
  }
  mount(app, deps, keyLogRoutes.leaves, (ctx, { query }) => listLeaves(ctx, query));
  mount(app, deps, ownKeyLogRoutes.leaves, (ctx, { query }) => listOwnLeaves(ctx, query));
}
