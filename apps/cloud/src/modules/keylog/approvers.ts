import { parseKeyLogLeaf } from '@holdfast/trust';
import type { TenantTx } from '../../platform/postgres.ts';
import { listJudgingLeaves } from './store.ts';

/**
 * Since when a person's key may approve, by the leaves of the key log alone; undefined where it may not, or has ended.
 *
 * What was ended stays so. Whether it may is the last that was said; since when, the first of what was said without a break.
 */
export async function approvesSince(tx: TenantTx, tenantId: string, publicKey: string): Promise<Date | undefined> {
  let since: Date | undefined;
  for (const text of await listJudgingLeaves(tx, { tenantId, subjects: [] })) {
    const leaf = parseKeyLogLeaf(text);
    if (!('publicKey' in leaf) || leaf.publicKey !== publicKey) continue;
    if (leaf.kind === 'person_key_ended') return undefined;
    if (leaf.kind !== 'person_key_registered') continue;
    since = leaf.mayApprove ? (since ?? new Date(leaf.at)) : undefined;
  }
  return since;
}
