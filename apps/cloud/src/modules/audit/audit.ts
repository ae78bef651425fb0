import type { AuditEntry, AuditHead } from '@holdfast/contract';
import type { TxContext } from '../../platform/context.ts';
import { findHead, listSignedHeads } from '../logs/index.ts';
import * as store from './store.ts';

/** A page of the log, in its order; `from` is where the next page begins. */
export async function listAuditEntries(
  ctx: TxContext,
  query: { from: number; limit: number; eventType?: string | undefined; actorId?: string | undefined },
): Promise<{ entries: AuditEntry[]; nextFrom: number | null; treeSize: number }> {
  const { tenantId } = ctx;
  const rows = await store.listEntries(ctx.tx, { tenantId, ...query });
  const head = await findHead(ctx.tx, { tenantId, log: 'audit' });
  const entries = rows.map((row) => ({
    logIndex: row.log_index,
    occurredAt: row.occurred_at,
    eventType: row.event_type,
    outcome: row.outcome,
    actorKind: row.actor_kind,
    actorId: row.actor_id,
    entry: row.entry,
  }));
  const last = rows.length < query.limit ? undefined : rows.at(-1);
  return { entries, nextFrom: last ? last.log_index + 1 : null, treeSize: head?.tree_size ?? 0 };
}

/** The newest signed heads of the log, newest first. */
export async function listAuditHeads(ctx: TxContext, limit: number): Promise<{ heads: AuditHead[] }> {
  const rows = await listSignedHeads(ctx.tx, { tenantId: ctx.tenantId, log: 'audit' }, limit);
  const heads = rows.map((row) => ({
    treeSize: row.tree_size,
    signedAt: row.signed_at.toISOString(),
    note: row.note,
    verifier: row.verifier,
  }));
  return { heads };
}
