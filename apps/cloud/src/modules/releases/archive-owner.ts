import { parseUuid } from '@holdfast/base';
import { releasesErrors } from '@holdfast/contract';
import { isArchiveOwner, type ReleaseRequest } from '@holdfast/trust';
import { readKeyring } from '../../keystore/read-keyring.ts';
import type { TxContext } from '../../platform/context.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import * as store from './store.ts';

/** The statement of the newest writer of a keyring that the archive is the requester's; null where there is none. */
export async function ownerSignatureFor(
  tx: TenantTx,
  {
    tenantId,
    request: { archiveId, requesterKey },
    record,
  }: { readonly tenantId: string; readonly request: ReleaseRequest; readonly record: Uint8Array },
): Promise<string | null> {
  const { signature } = await store.findOwner(tx, tenantId, archiveId);
  const writerKey = readKeyring(record).writers.at(-1)?.publicKey;
  if (signature === undefined || writerKey === undefined) return null;
  const owned = { archiveId: parseUuid(archiveId)!, deviceKey: requesterKey };
  return isArchiveOwner(owned, { writerKey, signature }) ? signature : null;
}

/**
 * Keeps the statement that an archive is the device's that asks. It is not judged: the keystore does that, with the keyring.
 *
 * @throws releases.archive_not_found
 */
export async function keepOwner(
  { tx, tenantId, principal, now, audit }: TxContext,
  { archiveId, signature }: { readonly archiveId: string; readonly signature: string },
): Promise<{ kept: boolean }> {
  const [archive] = await store.listArchivesCalled(tx, tenantId, archiveId);
  if (archive?.archive_id !== archiveId || archive.device_id !== principal.principalId)
    throw releasesErrors.archive_not_found();
  const { signature: newest, statements } = await store.findOwner(tx, tenantId, archiveId);
  const isNew = newest !== signature && statements < store.MOST_OWNERS;
  const row = { tenant_id: tenantId, archive_id: archiveId, signature, stated_at: now };
  const kept = isNew && (await store.insertOwner(tx, row));
  await audit({ eventType: 'archive.owner_stated', target: { kind: 'archive', id: archiveId }, facts: { kept } });
  return { kept };
}
