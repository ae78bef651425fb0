import { createPrivateKey, sign as signWith } from 'node:crypto';
import { formatUuid } from '@holdfast/base';
import { signArchiveOwner } from '@holdfast/trust';
import type { StoredKeys } from './key-store.ts';

/** What the newest writer of an archive states: whose the archive is. */
export type OwnerStatement = { readonly archiveId: string; readonly signature: string };

/**
 * States with the key of this device's writer that the archive is the device's with this key (Ed25519, 32 bytes, base64url).
 *
 * The same each time. It is made here and nowhere else: so no server can say later whose the archive is.
 */
export function ownerStatement({ keys }: StoredKeys, deviceKey: string): OwnerStatement {
  const { archiveId, signingSeed } = keys;
  const key = createPrivateKey({ key: signingSeed, format: 'raw-private', asymmetricKeyType: 'ed25519' });
  const signature = signArchiveOwner({ archiveId, deviceKey }, (message) => signWith(null, message, key));
  return { archiveId: formatUuid(archiveId), signature };
}
