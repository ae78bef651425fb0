import { archiveHeadsRoot, canonicalJson } from '@holdfast/trust';
import type { TenantTx } from '../../platform/postgres.ts';
import { appendKeyLogLeaf, type AppendedLeaf } from './append-leaf.ts';
import * as store from './store.ts';

/**
 * Writes the leaf over the heads of all archives of a tenant, once a day (UTC); undefined when the day has it already, or
 * no archive has a commit yet.
 *
 * With it a server that rolls one archive back, or forks it, has to lie to everybody who follows the log.
 */
export async function writeDailyHeads(
  tx: TenantTx,
  { tenantId, at }: { readonly tenantId: string; readonly at: Date },
): Promise<AppendedLeaf | undefined> {
  const heads = await store.listArchiveHeads(tx, tenantId);
  if (heads.length === 0) return undefined;
  const day = at.toISOString().slice(0, 10);
  const isNew = await store.insertDailyHeads(tx, { tenant_id: tenantId, day, heads: canonicalJson(heads) });
  if (!isNew) return undefined;
  const root = archiveHeadsRoot(heads).toHex();
  return appendKeyLogLeaf(tx, { tenantId, at }, { kind: 'daily_heads', day, archives: heads.length, root });
}
