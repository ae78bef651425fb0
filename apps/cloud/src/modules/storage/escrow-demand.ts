/** What an org's policy demands of its archives' keyrings. */
import type { Keyring } from '@holdfast/archive/log';
import { CodedError } from '@holdfast/base';
import { storageErrors } from '@holdfast/contract';
import {
  customKeySlotKind,
  type EscrowParameters,
  escrowSlotKind,
  parseEscrowParameters,
  passwordSlotKind,
} from '@holdfast/trust';
import type { TenantTx } from '../../platform/postgres.ts';
import { findDevice } from '../devices/index.ts';
import { resolveForOrg } from '../policies/index.ts';

type KeyringSlot = Keyring['slots'][number];

/** The two public keys that an escrow slot is sealed to, by `hpkeKeyId` (hex). */
export type EscrowKeyIds = { readonly outerKeyId: string; readonly innerKeyId: string };

/** A device of a tenant. */
export type DeviceOfTenant = { readonly tenantId: string; readonly deviceId: string };

/**
 * The escrow keys that a device was given when it enrolled, and those that follow them; none where it was given none, since
 * it could make no slot for them.
 */
export type FindEscrowKeyIds = (tx: TenantTx, device: DeviceOfTenant) => Promise<readonly EscrowKeyIds[]>;

/**
 * Refuses a keyring without the escrow that the device's org asks for.
 *
 * With `required` a slot of the user's own choosing (archive key password, custom key) stands in its place, with `always`
 * nothing does. Whether a slot opens is for the keystore to prove: here it is only seen what it says. Keyrings that are
 * there are not judged again. @throws storage.keyring_lacks_escrow
 */
export async function expectEscrow(
  tx: TenantTx,
  device: DeviceOfTenant,
  { keyring, findKeyIds }: { readonly keyring: Keyring; readonly findKeyIds: FindEscrowKeyIds | undefined },
): Promise<void> {
  const keyIds = (await findKeyIds?.(tx, device)) ?? [];
  if (keyIds.length === 0) return;
  const { tenantId, deviceId } = device;
  const found = await findDevice(tx, tenantId, deviceId);
  const policy = found && (await resolveForOrg(tx, tenantId, found.org_id));
  const setting = policy?.settings.escrow ?? 'off';
  if (setting === 'off' || keyring.slots.some((slot) => isSealedTo(slot, keyIds))) return;
  if (setting === 'required' && keyring.slots.some(isOwnKey)) return;
  throw storageErrors.keyring_lacks_escrow({ escrow: setting });
}

function isOwnKey({ kind }: KeyringSlot): boolean {
  return kind === passwordSlotKind || kind === customKeySlotKind;
}

function isSealedTo(slot: KeyringSlot, keyIds: readonly EscrowKeyIds[]): boolean {
  const says = parametersOf(slot);
  return keyIds.some(
    ({ outerKeyId, innerKeyId }) => says?.outerKeyId.toHex() === outerKeyId && says.innerKeyId.toHex() === innerKeyId,
  );
}

function parametersOf(slot: KeyringSlot): EscrowParameters | undefined {
  if (slot.kind !== escrowSlotKind) return undefined;
  try {
    return parseEscrowParameters(slot);
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}
