import { auditRoutes } from '@holdfast/contract';
import type { FastifyInstance } from 'fastify';
import { mount, type HttpDeps } from '../../platform/mount.ts';
import { listAuditEntries, listAuditHeads } from './audit.ts';

/** Mounts the routes of the audit log. */
export function mountAudit(app: FastifyInstance, deps: HttpDeps): void {
  mount(app, deps, auditRoutes.entries, (ctx, { query }) => listAuditEntries(ctx, query));
  mount(app, deps, auditRoutes.heads, (ctx, { query }) => listAuditHeads(ctx, query.limit));
}
