import type { TenantTx } from '../../platform/postgres.ts';
import { instant, nullable, text, uuid, type Columns, type Rows } from '../../platform/table.ts';

/** Tables owned by this module. No other module reads or writes them. */
export const tables = {
  takeover_keys: { tenant_id: uuid, archive_id: uuid, keyring_sha256: text, public_key: text },
  takeovers: {
    tenant_id: uuid,
    takeover_id: uuid,
    archive_id: uuid,
    old_device_id: uuid,
    new_device_id: uuid,
    proof: text,
    signer_key: text,
    proof_id: text,
    begun_at: instant,
    expires_at: instant,
    completed_at: nullable(instant),
  },
} as const satisfies Readonly<Record<string, Columns>>;

const db = (tx: TenantTx) => tx.withTables<Rows<typeof tables>>();

/** One takeover as its row has it. */
export type TakeoverRow = NonNullable<Awaited<ReturnType<typeof findTakeover>>>;

/** Keeps the keys (base64url) that recovery codes of a keyring prove themselves with; again changes nothing. */
export async function addTakeoverKeys(
  tx: TenantTx,
  of: { readonly tenantId: string; readonly archiveId: string; readonly keyringSha256: string },
  publicKeys: readonly string[],
): Promise<void> {
  if (publicKeys.length === 0) return;
  const { tenantId: tenant_id, archiveId: archive_id, keyringSha256: keyring_sha256 } = of;
  const rows = [...new Set(publicKeys)].map((public_key) => ({ tenant_id, archive_id, keyring_sha256, public_key }));
  await db(tx)
    .insertInto('takeover_keys')
    .values(rows)
    .onConflict((c) => c.doNothing())
    .execute();
}

/** The keyrings that have a slot for the recovery code with this key, whichever they are. */
export function listKeyringsOfKey(tx: TenantTx, tenantId: string, publicKey: string) {
  return db(tx)
    .selectFrom('takeover_keys')
    .select(['archive_id', 'keyring_sha256'])
    .where('tenant_id', '=', tenantId)
    .where('public_key', '=', publicKey)
    .execute();
}

/** One takeover of a new device. */
export function findTakeover(
  tx: TenantTx,
  of: { readonly tenantId: string; readonly newDeviceId: string; readonly takeoverId: string },
) {
  return db(tx)
    .selectFrom('takeovers')
    .selectAll()
    .where('tenant_id', '=', of.tenantId)
    .where('new_device_id', '=', of.newDeviceId)
    .where('takeover_id', '=', of.takeoverId)
    .executeTakeFirst();
}

/** The takeover that a proof was used for, whosever. */
export function findByProof(
  tx: TenantTx,
  of: { readonly tenantId: string; readonly signerKey: string; readonly proofId: string },
) {
  return db(tx)
    .selectFrom('takeovers')
    .selectAll()
    .where('tenant_id', '=', of.tenantId)
    .where('signer_key', '=', of.signerKey)
    .where('proof_id', '=', of.proofId)
    .executeTakeFirst();
}

/** How many takeovers of an archive a device has begun since an instant, done or not. */
export async function countBegun(tx: TenantTx, of: DeviceAndArchive, since: Date): Promise<number> {
  const { count } = await db(tx)
    .selectFrom('takeovers')
    .select(({ fn }) => fn.countAll<string>().as('count'))
    .where('tenant_id', '=', of.tenantId)
    .where('archive_id', '=', of.archiveId)
    .where('new_device_id', '=', of.deviceId)
    .where('begun_at', '>', since)
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** Adds a takeover; false where its proof was used at this moment. */
export async function insertTakeover(tx: TenantTx, row: Omit<TakeoverRow, 'completed_at'>): Promise<boolean> {
  const result = await db(tx)
    .insertInto('takeovers')
    .values(row)
    .onConflict((c) => c.doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

/** Notes that a takeover is done. */
export async function setCompleted(
  tx: TenantTx,
  of: { readonly tenantId: string; readonly takeoverId: string; readonly at: Date },
): Promise<void> {
  await db(tx)
    .updateTable('takeovers')
    .set({ completed_at: of.at })
    .where('tenant_id', '=', of.tenantId)
    .where('takeover_id', '=', of.takeoverId)
    .execute();
}

/** A device and an archive. */
export type DeviceAndArchive = { readonly tenantId: string; readonly archiveId: string; readonly deviceId: string };

/**
 * Whether a device has proved that it may take an archive over, and may read it until it does, its time is up or the archive
 * is no longer that of the device it was to be taken from. `ownerId`: whose it is now.
 */
export async function mayReadToTakeOver(
  tx: TenantTx,
  of: DeviceAndArchive & { readonly ownerId: string },
  now: Date,
): Promise<boolean> {
  const row = await db(tx)
    .selectFrom('takeovers')
    .select('takeover_id')
    .where('tenant_id', '=', of.tenantId)
    .where('archive_id', '=', of.archiveId)
    .where('new_device_id', '=', of.deviceId)
    .where('old_device_id', '=', of.ownerId)
    .where('completed_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst();
  return row !== undefined;
}

/** Whether an archive was a device's until another one took it over. */
export async function wasTakenFrom(tx: TenantTx, of: DeviceAndArchive): Promise<boolean> {
  const row = await db(tx)
    .selectFrom('takeovers')
    .select('takeover_id')
    .where('tenant_id', '=', of.tenantId)
    .where('archive_id', '=', of.archiveId)
    .where('old_device_id', '=', of.deviceId)
    .where('completed_at', 'is not', null)
    .executeTakeFirst();
  return row !== undefined;
}
