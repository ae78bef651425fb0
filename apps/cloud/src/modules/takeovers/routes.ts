import { takeoverRoutes } from '@holdfast/contract';
import type { FastifyInstance } from 'fastify';
import { mount, type HttpDeps } from '../../platform/mount.ts';
import { beginTakeover, completeTakeover, type TakeoverDeps } from './take-over.ts';

/** Mounts the routes of takeovers. */
export function mountTakeovers(app: FastifyInstance, deps: HttpDeps & TakeoverDeps): void {
  mount(app, deps, takeoverRoutes.begin, (ctx, { body }) => beginTakeover(ctx, deps, body));
  mount(app, deps, takeoverRoutes.complete, (ctx, { params, body }) =>
    completeTakeover(ctx, deps, { ...params, ...body }),
  );
}
