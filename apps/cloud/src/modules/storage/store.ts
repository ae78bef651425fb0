import { sql } from 'kysely';
import type { FolderPosition, LogState } from '@holdfast/archive/log';
import type { TenantTx } from '../../platform/postgres.ts';
import { bigint, instant, json, nullable, text, uuid, type Columns, type Rows } from '../../platform/table.ts';

/** What is kept of an archive's log besides its folder; session and next fragment have columns of their own. */
export type StoredLogState = Omit<LogState, 'writers' | 'sessionEpoch' | 'nextFragment'>;

/** What the newest complete live set lets go: its number, and the bytes of the records it covers and does not name. */
export type LetGo = { readonly number: number; readonly bytes: number };

/** Tables owned by this module. No other module writes them. */
export const tables = {
  archives: {
    tenant_id: uuid,
    archive_id: uuid,
    device_id: uuid,
    session_epoch: bigint,
    next_fragment: bigint,
    log_state: json<StoredLogState>(),
    position: nullable(json<FolderPosition>()),
    stored_bytes: bigint,
    let_go: nullable(json<LetGo>()),
    created_at: instant,
    modified_at: instant,
    next_writer_key: nullable(text),
    taken_over_at: nullable(instant),
  },
  receipt_keys: { key_id: text, public_key: text, wrapped_private_key: text, created_at: instant },
} as const satisfies Readonly<Record<string, Columns>>;

type Tables = Rows<typeof tables>;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** One archive as its row has it. */
export type ArchiveRow = NonNullable<Awaited<ReturnType<typeof findArchive>>>;

/** One archive, whosever. */
export function findArchive(tx: TenantTx, tenantId: string, archiveId: string) {
  return db(tx)
    .selectFrom('archives')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('archive_id', '=', archiveId)
    .executeTakeFirst();
}

/** The device whose archive it is; undefined when there is no archive of that id. */
export async function deviceOfArchive(tx: TenantTx, tenantId: string, archiveId: string): Promise<string | undefined> {
  const row = await db(tx)
    .selectFrom('archives')
    .select('device_id')
    .where('tenant_id', '=', tenantId)
    .where('archive_id', '=', archiveId)
    .executeTakeFirst();
  return row?.device_id;
}

/** Lets a transaction that only locks end without waiting for the disk: nothing of it has to outlive the server. */
export async function endUnsynced(tx: TenantTx): Promise<void> {
  await sql`select set_config('synchronous_commit', 'off', true)`.execute(db(tx));
}

/**
 * Whether an archive is still whose it was when its row was read, and no newer session has begun on another node; nobody
 * hands it on until the transaction ends.
 */
export async function isStillSo(
  tx: TenantTx,
  opened: Pick<ArchiveRow, 'tenant_id' | 'archive_id' | 'device_id' | 'taken_over_at'>,
  sessionEpoch: number,
): Promise<boolean> {
  const row = await db(tx)
    .selectFrom('archives')
    .select(['device_id', 'taken_over_at', 'session_epoch'])
    .where('tenant_id', '=', opened.tenant_id)
    .where('archive_id', '=', opened.archive_id)
    .forShare()
    .executeTakeFirst();
  // It may have gone to another device and come back since.
  const isSameHand =
    row?.device_id === opened.device_id && row.taken_over_at?.getTime() === opened.taken_over_at?.getTime();
  return row !== undefined && isSameHand && row.session_epoch <= sessionEpoch;
}

/** An archive that has a keyring, as it stands; nobody else changes its row until the transaction ends. */
export async function lockArchiveToHandOn(tx: TenantTx, tenantId: string, archiveId: string) {
  const row = await db(tx)
    .selectFrom('archives')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('archive_id', '=', archiveId)
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (!row?.log_state.keyring) return undefined;
  const { head, keyring } = row.log_state;
  return {
    archiveId: row.archive_id,
    deviceId: row.device_id,
    head: head ? { number: head.number, sha256: head.sha256 } : null,
    keyring: { number: keyring.number, sha256: keyring.sha256 },
    storedBytes: row.stored_bytes,
    modifiedAt: row.modified_at,
  };
}

/** Makes an archive another device's and ends the session that is open: whoever has it finds out when it is to be noted. */
export async function handArchiveOn(
  tx: TenantTx,
  next: { tenantId: string; archiveId: string; deviceId: string; writerKey: string; at: Date },
): Promise<void> {
  await db(tx)
    .updateTable('archives')
    .set((set) => ({
      device_id: next.deviceId,
      session_epoch: set('session_epoch', '+', 1),
      next_writer_key: next.writerKey,
      taken_over_at: next.at,
      modified_at: next.at,
    }))
    .where('tenant_id', '=', next.tenantId)
    .where('archive_id', '=', next.archiveId)
    .execute();
}

/** The archives of a device: one, or none. */
export function listArchives(tx: TenantTx, tenantId: string, deviceId: string) {
  return db(tx)
    .selectFrom('archives')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('device_id', '=', deviceId)
    .execute();
}

/** Adds an archive, unless its id is taken or its device has one. */
export async function insertArchive(
  tx: TenantTx,
  row: {
    tenant_id: string;
    archive_id: string;
    device_id: string;
    session_epoch: number;
    next_fragment: number;
    log_state: string;
    stored_bytes: number;
    created_at: Date;
    modified_at: Date;
  },
) {
  await db(tx)
    .insertInto('archives')
    .values(row)
    .onConflict((c) => c.doNothing())
    .execute();
}

/** Notes how far an archive has come; false when a newer session than the one named has begun, on whichever node. */
export async function updateArchive(
  tx: TenantTx,
  of: { readonly tenantId: string; readonly archiveId: string; readonly sessionEpoch: number },
  change: {
    session_epoch: number;
    next_fragment: number;
    log_state: string;
    position: string;
    stored_bytes: number;
    let_go: string | null;
    modified_at: Date;
  },
): Promise<boolean> {
  const result = await db(tx)
    .updateTable('archives')
    .set(change)
    .where('tenant_id', '=', of.tenantId)
    .where('archive_id', '=', of.archiveId)
    .where('session_epoch', '=', of.sessionEpoch)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** The oldest receipt key: nodes that made one at the same moment agree on it. */
export function findReceiptKey(tx: TenantTx) {
  return db(tx).selectFrom('receipt_keys').selectAll().orderBy('created_at').orderBy('key_id').executeTakeFirst();
}

/** Adds a receipt key. */
export async function insertReceiptKey(
  tx: TenantTx,
  row: { key_id: string; public_key: string; wrapped_private_key: string; created_at: Date },
) {
  await db(tx).insertInto('receipt_keys').values(row).execute();
}
