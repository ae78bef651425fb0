import { deriveReadKeys, withOpenedKeyring, type KeyringSlot, type OpenedKeyring } from '@holdfast/archive/keyring';
import type { Random } from '@holdfast/base';
import {
  openEscrowInner,
  openSlotWithKey,
  sealRelease,
  type HpkeKey,
  type ReadKeys,
  type ReleasedKeys,
} from '@holdfast/trust';
import { keystoreErrors } from './errors.ts';
import type { Grant } from './judge-release.ts';
import { expectEscrowSlot, readKeyring } from './read-keyring.ts';

/** What opens a granted release: the inner layer of its escrow slot, as the api opened it (80 bytes), and the tenant's keystore key. */
export type OpeningKeys = { readonly inner: Uint8Array; readonly keystoreKey: HpkeKey; readonly random: Random };

/**
 * Opens a granted release and seals it to its recipient, bound to archive and leaf. What was granted is kept before this is called.
 *
 * Slot key, ring key, ring and read keys are overwritten when it returns or throws; none becomes text. What cannot be
 * overwritten: the slot key as the crypto library holds it for HPKE, which it clears when the collector frees it, and what
 * zstd held of a ring that was compressed.
 * @throws keystore.no_epoch, keystore.bad_keyring, keystore.no_escrow_slot, escrow.*, slot.*, archive.*, hpke.bad_public_key
 */
export function openGrantedRelease(grant: Grant, keys: OpeningKeys): Uint8Array {
  return withEscrowedKeyring(grant, keys, (opened) => seal(grant, opened, keys.random));
}

/**
 * Opens a keyring by its escrow slot for as long as `work` takes, and overwrites all that was opened.
 *
 * @throws keystore.bad_keyring, keystore.no_escrow_slot, escrow.*, slot.*, archive.*
 */
export function withEscrowedKeyring<T>(
  { archiveId, slotId, keyring: record }: Pick<Grant, 'archiveId' | 'slotId' | 'keyring'>,
  { inner, keystoreKey }: Pick<OpeningKeys, 'inner' | 'keystoreKey'>,
  work: (opened: OpenedKeyring) => T,
): T {
  const keyring = readKeyring(record);
  const slot = expectEscrowSlot(keyring, slotId);
  const slotKey = openEscrowInner(slot, archiveId, inner, keystoreKey);
  try {
    return withRingKey(slot, { archiveId, keyringNumber: keyring.number, slotKey }, (ringKey) =>
      withOpenedKeyring(record, { archiveId, ringKey }, work),
    );
  } finally {
    slotKey.fill(0);
  }
}

function withRingKey<T>(
  slot: KeyringSlot,
  {
    slotKey,
    ...place
  }: { readonly archiveId: Uint8Array; readonly keyringNumber: number; readonly slotKey: Uint8Array },
  work: (ringKey: Uint8Array) => T,
): T {
  const ringKey = openSlotWithKey(slot, place, slotKey);
  // The inner layer has given the key that the slot commits to.
  if (ringKey === undefined) throw keystoreErrors.no_escrow_slot();
  try {
    return work(ringKey);
  } finally {
    ringKey.fill(0);
  }
}

function seal(grant: Grant, { ring, raw }: OpenedKeyring, random: Random): Uint8Array {
  const { recipientKey } = grant;
  if (grant.scope === 'ring') return sealRelease({ scope: 'ring', ring: raw }, grant, recipientKey, random);
  const epochs = askedFor(grant, ring.epochs);
  const read: ReadKeys[] = [];
  try {
    for (const { number, key } of epochs) read.push({ epoch: number, ...deriveReadKeys(grant.archiveId, key) });
    const keys: ReleasedKeys = { scope: 'read', epochs: read };
    return sealRelease(keys, grant, recipientKey, random);
  } finally {
    for (const { data, metadata } of read) for (const key of [data, metadata]) key.fill(0);
  }
}

type Epoch = OpenedKeyring['ring']['epochs'][number];

/** @throws keystore.no_epoch */
function askedFor({ epochs }: Grant, held: readonly Epoch[]): readonly Epoch[] {
  if (epochs === 'all') return held;
  return epochs.map((number) => {
    const epoch = held.find((one) => one.number === number);
    if (epoch === undefined) throw keystoreErrors.no_epoch({ epoch: number });
    return epoch;
  });
}
