import { assert } from '@holdfast/base';
import { canonicalJson } from './canonical-json.ts';
import { isSignedLabelled, signLabelled, type Sign } from './signed-text.ts';

/** Whose key it is. */
export type KeyHolder = { readonly kind: 'device' | 'person'; readonly uid: string };

/** A key and its holder: what an older key vouches for. */
export type VouchedKey = {
  readonly tenantUid: string;
  readonly holder: KeyHolder;
  /** Ed25519, 32 bytes, base64url. */
  readonly publicKey: string;
};

/** Vouches for a newly registered key with an older one, so that it need not wait: a signature, base64url. */
export function signKeyVouch(vouched: VouchedKey, sign: Sign): string {
  return signLabelled(vouchLabel, vouchText(vouched), sign);
}

/** Whether the holder of an older key vouches for this key as this holder's. */
export function isKeyVouched(
  vouched: VouchedKey,
  by: { readonly publicKey: string; readonly signature: string },
): boolean {
  return isSignedLabelled(vouchLabel, vouchText(vouched), by);
}

/**
 * States with the key of an archive's writer that a device is the one whose archive it is: a signature, base64url.
 *
 * Made where the writer's key is made, so nobody who never had it can say so later, whatever a server logs.
 */
export function signArchiveOwner(owned: OwnedArchive, sign: Sign): string {
  return signLabelled(ownerLabel, ownerBytes(owned), sign);
}

/** An archive (16 bytes) and the device whose it is, by its key (Ed25519, 32 bytes, base64url). */
export type OwnedArchive = { readonly archiveId: Uint8Array; readonly deviceKey: string };

/** Whether a writer (Ed25519, 32 bytes) of the archive states that the device is the one whose archive it is. */
export function isArchiveOwner(
  owned: OwnedArchive,
  { writerKey, signature }: { readonly writerKey: Uint8Array; readonly signature: string },
): boolean {
  const publicKey = Buffer.from(writerKey).toString('base64url');
  return isSignedLabelled(ownerLabel, ownerBytes(owned), { publicKey, signature });
}

const vouchLabel = 'holdfast v1 key vouched';
const ownerLabel = 'holdfast v1 archive device';

function vouchText({ tenantUid, holder: { kind, uid }, publicKey }: VouchedKey): string {
  return canonicalJson({ version: 1, tenantUid, holder: { kind, uid }, publicKey });
}

function ownerBytes({ archiveId, deviceKey }: OwnedArchive): Uint8Array {
  assert(archiveId.length === 16, 'an archive id has 16 bytes');
  return new Uint8Array(Buffer.concat([archiveId, Buffer.from(deviceKey, 'base64url')]));
}
