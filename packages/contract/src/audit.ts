import { z } from 'zod';
import { defineRoute } from './route.ts';
import { Instant, queryNumber } from './shapes.ts';

/** One act, as the log keeps it. `logIndex` is its place; `entry` the exact text its leaf is the hash of. */
export const AuditEntry = z.object({
  logIndex: z.number().int(),
  occurredAt: z.string(),
  eventType: z.string(),
  outcome: z.string(),
  actorKind: z.string(),
  actorId: z.string(),
  /** Canonical JSON (RFC 8785) of the whole entry. */
  entry: z.string(),
});
export type AuditEntry = z.infer<typeof AuditEntry>;

/** A signed head of the log: keep it elsewhere, and nobody can shorten or rewrite what it covers. */
export const AuditHead = z.object({
  treeSize: z.number().int(),
  signedAt: Instant,
  /** A signed note: origin, size, root hash, signature. */
  note: z.string(),
  /** The key that verifies it, as a note verifier. */
  verifier: z.string(),
});
export type AuditHead = z.infer<typeof AuditHead>;

/** Routes of the audit log. */
export const auditRoutes = {
  entries: defineRoute({
    method: 'GET',
    path: '/v1/audit/entries',
    summary: 'Read the audit log in the order it was written',
    permission: 'audit.read',
    query: z.object({
      from: queryNumber(0, Number.MAX_SAFE_INTEGER).default(0),
      limit: queryNumber(1, 10_000).default(1_000),
      eventType: z.string().max(100).optional(),
      actorId: z.string().max(256).optional(),
    }),
    status: 200,
    reply: z.object({
      entries: z.array(AuditEntry),
      /** Where to go on; null at the end. */
      nextFrom: z.number().int().nullable(),
      /** Entries in the log. */
      treeSize: z.number().int(),
    }),
  }),
  heads: defineRoute({
    method: 'GET',
    path: '/v1/audit/heads',
    summary: 'Read the newest signed heads of the audit log',
    permission: 'audit.read',
    query: z.object({ limit: queryNumber(1, 1_000).default(10) }),
    status: 200,
    reply: z.object({ heads: z.array(AuditHead) }),
  }),
};
