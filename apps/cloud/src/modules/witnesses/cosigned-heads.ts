import type { CosignedKeyLogHead } from '@holdfast/contract';
import type { TenantTx } from '../../platform/postgres.ts';
import { findSignedHead } from '../logs/index.ts';
import { findNewestCosignature } from './store.ts';

/** The newest head of a tenant's key log that each witness cosigned, as a note with the lines of all for which it is that. */
export async function listCosignedHeads(
  tx: TenantTx,
  tenantId: string,
  witnessKeys: readonly string[],
): Promise<CosignedKeyLogHead[]> {
  const lines = new Map<number, string[]>();
  for (const witness of witnessKeys) {
    const newest = await findNewestCosignature(tx, tenantId, witness);
    if (newest) lines.set(newest.tree_size, [...(lines.get(newest.tree_size) ?? []), `${newest.line}\n`]);
  }
  const heads: CosignedKeyLogHead[] = [];
  for (const [treeSize, ofHead] of lines) {
    const signed = await findSignedHead(tx, { tenantId, log: 'key' }, treeSize);
    if (signed) heads.push({ treeSize, note: signed.note + ofHead.join('') });
  }
  return heads;
}
