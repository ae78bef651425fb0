import { releaseRoutes } from '@holdfast/contract';
import type { FastifyInstance } from 'fastify';
import { mount, mountOpen, type HttpDeps } from '../../platform/mount.ts';
import { vouchForKey } from '../persons/index.ts';
import { approveRelease, refuseRelease } from './approve-release.ts';
import { keepOwner } from './archive-owner.ts';
import { countAct, type ReleaseDeps } from './callers.ts';
import { changeRules, readRules } from './change-rules.ts';
import { requestRelease } from './request-release.ts';
import { describeArchive, listReleases, takeRelease } from './take-release.ts';

/** Mounts the routes of releases. */
export function mountReleases(app: FastifyInstance, deps: HttpDeps & ReleaseDeps): void {
  const routes = releaseRoutes;
  mountOpen(app, deps, routes.archive, (ctx, { body }) => describeArchive(deps, ctx, body.call));
  mountOpen(app, deps, routes.request, (ctx, { body }) => requestRelease(deps, ctx, body.request));
  mountOpen(app, deps, routes.approve, (ctx, { body }) => approveRelease(deps, ctx, body));
  mountOpen(app, deps, routes.list, (ctx, { body }) => listReleases(deps, ctx, body.call));
  mountOpen(app, deps, routes.take, (ctx, { body }) => takeRelease(deps, ctx, body.call));
  mountOpen(app, deps, routes.refuse, (ctx, { body }) => refuseRelease(deps, ctx, body.call));
  mountOpen(app, deps, routes.rules, (ctx, { body }) => readRules(deps, ctx, body.call));
  mountOpen(app, deps, routes.changeRules, (ctx, { body }) => changeRules(deps, ctx, body));
  mountOpen(app, deps, routes.vouch, (ctx, { body }) => vouchForKey({ ...deps, countAct }, ctx, body));
  mount(app, deps, routes.own, (ctx, { body }) => keepOwner(ctx, body));
}
