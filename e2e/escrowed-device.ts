/** Escrow of tenants, and what opens their devices' archives. */
import path from 'node:path';
import { openRecordSync, parseKeyring, parseRing, RecordKind, splitRecord } from '@holdfast/archive';
import { openArchive } from '@holdfast/archive/read';
import { fixedTools, folderSource } from '@holdfast/archive/testing';
import { systemClock, type Clock } from '@holdfast/base';
import { openTenantEscrow } from '@holdfast/cloud/testing';
import type { PolicySettings } from '@holdfast/contract';
import {
  escrowSlotKind,
  openEscrowInner,
  openEscrowOuter,
  openSlotWithKey,
  type Slot,
  type SlotPlace,
} from '@holdfast/trust';
import type { AdministeredTenant, RunningCloud } from './running-cloud.ts';

/** Gives the ring key of a slot by a secret; undefined where it is another's. */
export type OpenRing = (slot: Slot, place: SlotPlace) => Promise<Uint8Array | undefined> | Uint8Array | undefined;

/** The machine's clock, on which nobody sleeps long. */
export const hasty: Clock = {
  ...systemClock,
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 1_000), signal),
};

/** Opens escrow slots of a tenant as its log and its keystore do together. */
export async function openerOfEscrow({ homeDir }: RunningCloud, { tenantUid }: AdministeredTenant): Promise<OpenRing> {
  const { logKey, keystoreKey } = await openTenantEscrow(homeDir, tenantUid);
  return (slot, place) => {
    if (slot.kind !== escrowSlotKind) return undefined;
    const inner = openEscrowOuter(slot, place.archiveId, logKey);
    return openSlotWithKey(slot, place, openEscrowInner(slot, place.archiveId, inner, keystoreKey));
  };
}

/** Sets what a tenant asks of escrow. */
export async function askEscrow({ client }: AdministeredTenant, escrow: PolicySettings['escrow']): Promise<void> {
  const { orgs } = await client.orgs.list({ query: {} });
  const params = { orgGuid: orgs[0]!.orgGuid };
  const { revision } = await client.policies.get({ params });
  await client.policies.put({ params, body: { own: { settings: { escrow }, locked: [] }, revision } });
}

/** The folder of an archive at its server. */
export function archiveFolder({ homeDir }: RunningCloud, tenant: AdministeredTenant, archiveIdHex: string): string {
  return path.join(homeDir, 'blobs', tenant.tenantUid, archiveIdHex);
}

/** The epochs that each keyring of a folder gives to a secret; none where it opens none of its slots. */
export async function epochsOpened(
  folder: string,
  open: OpenRing,
  archiveIdHex: string = path.basename(folder),
): Promise<ReadonlyMap<number, readonly number[]>> {
  const archiveId = Uint8Array.fromHex(archiveIdHex);
  const source = await folderSource(folder, archiveIdHex);
  const found = new Map<number, readonly number[]>();
  try {
    for await (const ordinal of source.ordinalsOf(RecordKind.keyring)) {
      const record = (await source.read(ordinal))!;
      const { number } = parseKeyring(splitRecord(record).open);
      found.set(number, await epochsIn(record, archiveId, open));
    }
    return found;
  } finally {
    await source.close();
  }
}

async function epochsIn(record: Uint8Array, archiveId: Uint8Array, open: OpenRing): Promise<readonly number[]> {
  const { number, slots } = parseKeyring(splitRecord(record).open);
  for (const slot of slots) {
    const ringKey = await open(slot, { archiveId, keyringNumber: number });
    if (!ringKey) continue;
    const { raw } = openRecordSync(record, { archiveId, ring: new Map(), ringKey });
    return parseRing(raw).epochs.map((epoch) => epoch.number);
  }
  return [];
}

/** The newest commit of a folder that a secret leads to, by the engine's own reader. */
export async function headOpened(folder: string, open: OpenRing): Promise<number> {
  const source = await folderSource(folder, path.basename(folder));
  try {
    const { head } = await openArchive(source, { openSlot: open }, fixedTools);
    return head.number;
  } finally {
    await source.close();
  }
}
