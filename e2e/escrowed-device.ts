/** Devices of tenants whose escrow keys a test holds in private, and what opens their archives. */
import { generateKeyPairSync } from 'node:crypto';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { openRecordSync, parseKeyring, parseRing, RecordKind, splitRecord } from '@holdfast/archive';
import { openArchive } from '@holdfast/archive/read';
import { fixedTools, folderSource } from '@holdfast/archive/testing';
import { systemClock, systemRandom, type Clock } from '@holdfast/base';
import type { EscrowKeyIds, FindEscrowKeyIds } from '@holdfast/cloud';
import type { PolicySettings } from '@holdfast/contract';
import {
  escrowSlotKind,
  formatEscrowKeys,
  formatVerifierKey,
  hpkeKeyId,
  importHpkeKey,
  keystoreKeyName,
  noteSigner,
  openEscrowInner,
  openEscrowOuter,
  openSlotWithKey,
  type Slot,
  type SlotPlace,
} from '@holdfast/trust';
import { enrollDevice, type AdministeredTenant, type EnrolledDevice, type RunningCloud } from './running-cloud.ts';

/** Gives the ring key of a slot by a secret; undefined where it is another's. */
export type OpenRing = (slot: Slot, place: SlotPlace) => Promise<Uint8Array | undefined> | Uint8Array | undefined;

/** The machine's clock, on which nobody sleeps long. */
export const hasty: Clock = {
  ...systemClock,
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 1_000), signal),
};

/** Escrow keys whose private halves are here: as a server demands them, as devices pin them, and what they open. */
export class HeldEscrow {
  readonly #log = importHpkeKey(systemRandom(32));
  readonly #keystore = importHpkeKey(systemRandom(32));
  /** Whether the server was told of devices that have them. */
  isDemanded = true;

  readonly findEscrowKeyIds: FindEscrowKeyIds = async (): Promise<readonly EscrowKeyIds[]> => {
    const keyId = ({ publicKey }: { publicKey: Uint8Array }) => Buffer.from(hpkeKeyId(publicKey)).toString('hex');
    return this.isDemanded ? [{ outerKeyId: keyId(this.#log), innerKeyId: keyId(this.#keystore) }] : [];
  };

  /** The document that an enrolment has. */
  documentFor({ installationId, tenantUid }: { installationId: string; tenantUid: string }): string {
    const { privateKey } = generateKeyPairSync('ed25519');
    const signer = noteSigner(keystoreKeyName(installationId, tenantUid), privateKey);
    const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');
    return formatEscrowKeys({
      version: 1,
      installationId,
      tenantUid,
      number: 1,
      keystoreKey: text(this.#keystore.publicKey),
      keystoreVerifier: formatVerifierKey(signer.key),
      logSealingKey: text(this.#log.publicKey),
    });
  }

  /** Opens a slot as log and keystore do together. */
  readonly open: OpenRing = (slot, place) => {
    if (slot.kind !== escrowSlotKind) return undefined;
    const inner = openEscrowOuter(slot, place.archiveId, this.#log);
    return openSlotWithKey(slot, place, openEscrowInner(slot, place.archiveId, inner, this.#keystore));
  };
}

/** Enrols a device that was given these escrow keys. */
export async function enrollWithEscrow(
  t: TestContext,
  tenant: AdministeredTenant,
  escrow: HeldEscrow,
): Promise<EnrolledDevice> {
  const device = await enrollDevice(t, tenant);
  device.store.save({ ...device.enrollment, escrowKeys: escrow.documentFor(device.enrollment) });
  return device;
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
