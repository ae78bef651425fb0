import {
  checkRecords,
  emptyLogState,
  type Keyring,
  logErrors,
  parseKeyring,
  parseRecordHeader,
  RecordKind,
  recordLengthOf,
  splitRecord,
} from '@holdfast/archive/log';
import { CodedError, formatUuid, systemRandom } from '@holdfast/base';
import { storageErrors, type Archive, type PolicySettings } from '@holdfast/contract';
import { escrowSlotKind, takeoverKeyIn } from '@holdfast/trust';
import type { IoContext } from '../../platform/context.ts';
import { sha256 } from '../../platform/digest.ts';
import type { JobSender } from '../../platform/jobs.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { findDevice } from '../devices/index.ts';
import { isHeld } from '../holds/index.ts';
import { findRefusal, listEscrowKeyIds, newEscrowSlots } from '../escrow/index.ts';
import { sayKeyringAdded } from '../keylog/index.ts';
import { demandsEscrow, lacksEscrow, resolveForOrg } from '../policies/index.ts';
import { addTakeoverKeys, mayReadToTakeOver, wasTakenFrom } from '../takeovers/index.ts';
import { declaring } from './declared-errors.ts';
import type { Arriving, OpenArchive } from './open-archive.ts';
import { findKeyringIn, type OpenArchives } from './open-archives.ts';
import * as store from './store.ts';

/** What use cases of archives need besides transactions. */
export type StorageAdapters = {
  readonly archives: OpenArchives;
  readonly jobs: Pick<JobSender, 'enqueue'>;
};

/** The archive of the device that asks: one, or none yet. */
export async function listOwnArchives(ctx: IoContext<StorageAdapters>): Promise<{ archives: Archive[] }> {
  const { tenantId, principal } = ctx;
  const rows = await ctx.transact(({ tx }) => store.listArchives(tx, tenantId, principal.principalId));
  const archives: Archive[] = [];
  for (const { archive_id } of rows)
    archives.push(await withOwnArchive(ctx, archive_id, (open) => describe(ctx, open)));
  return { archives };
}

/**
 * Begins the archive of the device that asks, with its header and its keyrings, of which the last is judged.
 *
 * The same records again change nothing. @throws storage.header_invalid, storage.archive_exists, storage.keyring_lacks_escrow
 */
export async function createArchive(
  ctx: IoContext<StorageAdapters>,
  sent: { readonly header: string; readonly keyring: string; readonly more?: readonly string[] | undefined },
): Promise<Archive> {
  const header = Buffer.from(sent.header, 'base64');
  const keyrings = [sent.keyring, ...(sent.more ?? [])].map((text) => Buffer.from(text, 'base64'));
  const id = new Uint8Array(sha256(header)).subarray(0, 16);
  expectBeginning(id, header, keyrings);
  const { tenantId, principal } = ctx;
  const deviceId = principal.principalId;
  const archiveId = formatUuid(id);
  const log: store.StoredLogState = { recentFragments: [], liveSet: 0 };
  const rows = await ctx.transact(async ({ tx, now }) => {
    await store.insertArchive(tx, {
      tenant_id: tenantId,
      archive_id: archiveId,
      device_id: deviceId,
      session_epoch: 0,
      next_fragment: 1,
      log_state: JSON.stringify(log),
      stored_bytes: 0,
      created_at: now,
      modified_at: now,
    });
    return store.listArchives(tx, tenantId, deviceId);
  });
  // Another device's archive of that id, or another archive of this device: neither is touched.
  if (rows[0]?.archive_id !== archiveId) throw storageErrors.archive_exists();
  return withOwnArchive(ctx, archiveId, async (archive) => {
    await archive.appendKeys(Buffer.concat([header, ...keyrings]), (arriving) => admit(ctx, archive, arriving));
    return describe(ctx, archive);
  });
}

function expectBeginning(id: Uint8Array, header: Uint8Array, keyrings: readonly Uint8Array[]): void {
  let fact: unknown = 'the keyring is not one';
  const records = [header, ...keyrings];
  const isWhole = isOne(header, RecordKind.header) && keyrings.every((keyring) => isOne(keyring, RecordKind.keyring));
  if (!isWhole) throw storageErrors.header_invalid({ fact: 'they are not one header and keyrings' });
  try {
    const verdict = checkRecords(
      emptyLogState,
      id,
      records.map((bytes) => ({ bytes, isKnown: false })),
    );
    if (verdict.status === 'fit' && verdict.state.keyring) return;
    if (verdict.status === 'refused') fact = verdict.fact;
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    fact = error.message;
  }
  throw storageErrors.header_invalid({ fact });
}

/** Whether bytes are one record of a kind: what came along with it would pass by the quota, and by who may write. */
function isOne(bytes: Uint8Array, kind: number): boolean {
  try {
    const header = parseRecordHeader(bytes);
    return header.kind === kind && recordLengthOf(header) === bytes.length;
  } catch (error) {
    if (error instanceof CodedError) return false;
    throw error;
  }
}

/** Adds the next keyring. @throws storage.keyring_refused, storage.keyring_lacks_escrow, storage.not_found */
export async function addKeyring(ctx: IoContext<StorageAdapters>, archiveId: string, sent: string): Promise<Archive> {
  return withOwnArchive(ctx, archiveId, async (archive) => {
    const keyring = Buffer.from(sent, 'base64');
    try {
      if (!isOne(keyring, RecordKind.keyring)) throw storageErrors.keyring_refused({ fact: 'it is not one keyring' });
      await archive.appendKeys(keyring, (arriving) => admit(ctx, archive, arriving));
    } catch (error) {
      const codes = ['log.record_refused', 'log.keyring_known', 'log.record_invalid'];
      if (error instanceof CodedError && codes.includes(error.code))
        throw storageErrors.keyring_refused(error.details, error);
      throw error;
    }
    return describe(ctx, archive);
  });
}

/**
 * Lets keyrings and commits in that are to be added next, or refuses them.
 *
 * @throws storage.escrow_broken, and what `admitKeyrings` throws
 */
export async function admit(
  ctx: IoContext<StorageAdapters>,
  archive: OpenArchive,
  { keyrings, hasCommit }: Arriving,
): Promise<void> {
  if (hasCommit) await expectSoundEscrow(ctx, archive);
  if (keyrings.length > 0) await admitKeyrings(ctx, archive, keyrings);
}

/**
 * Lets keyrings in that are to be added next, or refuses them: the newest one has to be what the policy asks for. Says of
 * each in the tenant's key log which slots it has, before it is added: what opens an archive is there for all who follow the
 * log, also where the server stops in between. Whether the escrow of the newest one opens is tried right after.
 *
 * Nothing is said twice of one that did not reach the disk then.
 * @throws storage.keyring_lacks_escrow, storage.too_many_keyrings, log.fenced when the archive is another device's by now
 */
async function admitKeyrings(
  ctx: IoContext<StorageAdapters>,
  { row, state }: OpenArchive,
  records: readonly Uint8Array[],
): Promise<void> {
  const { archive_id: archiveId } = row;
  const keyrings = records.map((record) => ({ record, ...parseKeyring(splitRecord(record).open) }));
  const newest = keyrings.at(-1);
  if (!newest) return;
  await ctx.transact(async ({ tx, tenantId }) => {
    if (!(await store.isStillSo(tx, row, state.sessionEpoch))) throw logErrors.fenced();
    await expectEscrow(tx, row, newest);
    if (newest.slots.some(isEscrow)) await ctx.jobs.enqueue(tx, newEscrowSlots, { isSecondLook: false });
    for (const { record, number: keyringNumber, slots } of keyrings) {
      const said = { archiveId, keyringNumber, keyringSha256: sha256(record), slots, nonce: systemRandom(16) };
      if ((await sayKeyringAdded(tx, said)) === 'too_many') throw storageErrors.too_many_keyrings();
      const keys = slots.flatMap((slot) => takeoverKeyIn(slot) ?? []);
      const of = { tenantId, archiveId, keyringSha256: said.keyringSha256.toString('hex') };
      await addTakeoverKeys(
        tx,
        of,
        keys.map((key) => Buffer.from(key).toString('base64url')),
      );
    }
  });
}

/**
 * Refuses commits where the escrow that the org asks for was found not to open, until a keyring has come whose does. One that
 * could not be tried yet refuses nothing. @throws storage.escrow_broken
 */
async function expectSoundEscrow(ctx: IoContext<StorageAdapters>, { row, folder, state }: OpenArchive): Promise<void> {
  const { tenant_id: tenantId, archive_id: archiveId } = row;
  const { cause, escrow } = await ctx.transact(async ({ tx }) => {
    const found = await findRefusal(tx, { tenantId, archiveId });
    return { cause: found, escrow: found === undefined ? 'off' : await escrowSettingOf(tx, row) };
  });
  if (cause === undefined || escrow === 'off') return;
  const newest = await findKeyringIn(folder, state.keyring?.sha256);
  const slots = newest ? parseKeyring(splitRecord(newest).open).slots : [];
  // A key of the user's own may stand in its place, and what the server lost is its own fault.
  if (slots.some(isEscrow) && demandsEscrow({ slots }, escrow)) throw storageErrors.escrow_broken({ cause });
}

const isEscrow = ({ kind }: Keyring['slots'][number]) => kind === escrowSlotKind;

/** Refuses a keyring without the escrow that the device's org asks for. @throws storage.keyring_lacks_escrow */
async function expectEscrow(tx: TenantTx, row: store.ArchiveRow, keyring: Keyring): Promise<void> {
  const keyIds = await listEscrowKeyIds(tx, row.tenant_id);
  // Of a tenant without escrow keys no device can make a slot for them.
  if (keyIds.length === 0) return;
  const escrow = await escrowSettingOf(tx, row);
  if (lacksEscrow(keyring, escrow, keyIds)) throw storageErrors.keyring_lacks_escrow({ escrow });
}

/** What the policy of an archive's device asks of escrow. */
async function escrowSettingOf(tx: TenantTx, row: store.ArchiveRow): Promise<PolicySettings['escrow']> {
  return (await settingsOf(tx, row))?.escrow ?? 'required';
}

async function settingsOf(
  tx: TenantTx,
  { tenant_id: tenantId, device_id: deviceId }: store.ArchiveRow,
): Promise<PolicySettings | undefined> {
  const device = await findDevice(tx, tenantId, deviceId);
  return device && (await resolveForOrg(tx, tenantId, device.org_id))?.settings;
}

/**
 * Runs `work` with the archive open, if it is the device's own; somebody else's does not exist for it.
 *
 * @throws storage.not_found; failures of the log and its disk as the contract declares them
 */
export async function withOwnArchive<T>(
  ctx: IoContext<StorageAdapters>,
  archiveId: string,
  work: (archive: OpenArchive) => Promise<T>,
): Promise<T> {
  const lease = await leaseOwnArchive(ctx, archiveId);
  try {
    return await declaring(() => work(lease.archive));
  } finally {
    lease.release();
  }
}

/**
 * Holds the device's own archive open, for writing, until it is released. Whose it is now is asked each time: what a device
 * sends that lost it reaches no disk. @throws storage.not_found, storage.taken_over
 */
export async function leaseOwnArchive(ctx: IoContext<StorageAdapters>, archiveId: string) {
  const { tenantId, principal } = ctx;
  const { principalId: deviceId } = principal;
  const owner = await ctx.transact(({ tx }) => store.deviceOfArchive(tx, tenantId, archiveId));
  const lease = owner === deviceId ? await leaseOf(ctx, archiveId, deviceId) : undefined;
  return lease ?? leaseNow(ctx, archiveId, deviceId);
}

/** The same, for reading: a device that has proved that it may take the archive over reads it before it does. */
export async function leaseReadableArchive(ctx: IoContext<StorageAdapters>, archiveId: string) {
  const { principalId: deviceId } = ctx.principal;
  const own = await leaseOf(ctx, archiveId, deviceId);
  if (own) return own;
  const { tenantId } = ctx;
  const mayRead = await ctx.transact(async ({ tx, now }) => {
    const ownerId = await store.deviceOfArchive(tx, tenantId, archiveId);
    return ownerId !== undefined && mayReadToTakeOver(tx, { tenantId, archiveId, deviceId, ownerId }, now);
  });
  const lease = mayRead ? await declaring(() => ctx.archives.lease(tenantId, archiveId)) : undefined;
  return lease ?? leaseNow(ctx, archiveId, deviceId);
}

/** Of an archive that is open as this device's. */
async function leaseOf(ctx: IoContext<StorageAdapters>, archiveId: string, deviceId: string) {
  const lease = await declaring(() => ctx.archives.lease(ctx.tenantId, archiveId));
  if (lease?.archive.row.device_id === deviceId) return lease;
  lease?.release();
  return undefined;
}

/** The archive may have changed hands since it was opened: what the database says now counts. */
async function leaseNow(ctx: IoContext<StorageAdapters>, archiveId: string, deviceId: string) {
  const { tenantId } = ctx;
  const [owner, wasOurs] = await ctx.transact(async ({ tx }) => [
    await store.deviceOfArchive(tx, tenantId, archiveId),
    await wasTakenFrom(tx, { tenantId, archiveId, deviceId }),
  ]);
  if (owner !== deviceId) throw wasOurs ? storageErrors.taken_over() : storageErrors.not_found();
  await ctx.archives.renew(tenantId, archiveId, deviceId);
  const lease = await leaseOf(ctx, archiveId, deviceId);
  if (lease) return lease;
  throw storageErrors.not_found();
}

/** How archives are handed on to another device. */
export const archivesToHandOn = {
  lock: store.lockArchiveToHandOn,
  handOn: store.handArchiveOn,
  hasArchive: async (tx: TenantTx, tenantId: string, deviceId: string) =>
    (await store.listArchives(tx, tenantId, deviceId)).length > 0,
};

/** What the device's policy lets it store; nothing limits an archive under legal hold. */
export async function quotaOf(tx: TenantTx, { row }: OpenArchive): Promise<number | null> {
  if (await isHeld(tx, row.tenant_id, row.archive_id)) return null;
  return (await settingsOf(tx, row))?.archiveQuotaBytes ?? null;
}

async function describe(ctx: IoContext<StorageAdapters>, archive: OpenArchive): Promise<Archive> {
  const quotaBytes = await ctx.transact(({ tx }) => quotaOf(tx, archive));
  const storedBytes = await archive.countBytes();
  const { state, row } = archive;
  return {
    archiveId: row.archive_id,
    head: state.head ? { number: state.head.number, sha256: state.head.sha256 } : null,
    keyring: state.keyring ?? null,
    storedBytes,
    quotaBytes,
    createdAt: row.created_at.toISOString(),
  };
}
