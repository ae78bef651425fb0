import { systemRandom, type Random } from '@holdfast/base';
import { subject, writeKeyLogLeaf, type KeyLogFact, type KeyLogLeaf } from '@holdfast/trust';
import type { TenantTx } from '../../platform/postgres.ts';
import { findArchiveIds, insertLeaf } from './store.ts';

/** Where a leaf goes, and when that is. */
export type LeafPlace = { readonly tenantId: string; readonly at: Date; readonly random?: Random };

/** A leaf that was appended. */
export type AppendedLeaf = { readonly logIndex: number; readonly leaf: KeyLogLeaf };

/**
 * Appends a leaf to the tenant's key log, in the caller's transaction and with it or not at all; its place is known at once.
 *
 * The head of the log is locked until the transaction ends: call it last.
 * @throws key_log_leaf.malformed when a fact is not of its shape
 */
export async function appendKeyLogLeaf(tx: TenantTx, place: LeafPlace, fact: KeyLogFact): Promise<AppendedLeaf> {
  const { tenantId, at, random = systemRandom } = place;
  // So that nobody who sees only the hash of a text can find the text by trying.
  const nonce = Buffer.from(random(16)).toString('base64url');
  const leaf = { ...fact, at: at.toISOString(), nonce };
  const { text, outline, subjects } = writeKeyLogLeaf(leaf);
  const logIndex = await insertLeaf(tx, { tenant_id: tenantId, body: text, outline }, subjects);
  return { logIndex, leaf };
}

/** Appends the leaf that a device's key was ended. */
export async function appendKeyEnded(
  tx: TenantTx,
  place: LeafPlace,
  key: { readonly deviceUid: string; readonly publicKey: string },
): Promise<AppendedLeaf> {
  const [archiveId = null] = await findArchiveIds(tx, place.tenantId, key.deviceUid);
  return appendKeyLogLeaf(tx, place, { kind: 'key_ended', ...key, archiveId });
}

/** Whom leaves have to be about for a device to see them. */
export async function subjectsOfDevice(tx: TenantTx, tenantId: string, deviceUid: string): Promise<readonly string[]> {
  const archiveIds = await findArchiveIds(tx, tenantId, deviceUid);
  return [subject.everyone, subject.device(deviceUid), ...archiveIds.map(subject.archive)];
}
