import { createHash } from 'node:crypto';
import { formatUuid } from '@holdfast/base';
import { isEscrowTryProved, type EscrowTried, type EscrowTry, type Hash, type KeyringAdded } from '@holdfast/trust';
import { keystoreErrors } from './errors.ts';
import { judgeLeaf, type KeptHead, type LeafFacts, type Tenant } from './judge-leaf.ts';
import { withEscrowedKeyring, type OpeningKeys } from './open-release.ts';

/** An escrow slot that is to be shown to open: of a run of the canary, or of a keyring that is new. */
export type SlotTry = {
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  /** 16 bytes. */
  readonly slotId: Uint8Array;
  /** The whole record. */
  readonly keyring: Uint8Array;
  /** Of a run: the slot's place among those tried, and the proof of that; null where the leaf is that of the keyring. */
  readonly among: { readonly place: number; readonly proof: readonly Hash[] } | null;
};

/**
 * Judges that a leaf announces the try of each of these slots: a run of the canary, or the keyring itself. The head is to be kept before
 * anything is opened.
 *
 * @throws keystore.*, of which each says why; then none of them is tried
 */
export function judgeTries(
  facts: LeafFacts & { readonly tenant: Tenant },
  tries: readonly SlotTry[],
): { readonly head: KeptHead } {
  const { leaf, head } = judgeLeaf(facts.tenant, facts, ['escrow_tried', 'keyring_added']);
  for (const { archiveId, slotId, keyring, among } of tries) {
    const tried: EscrowTry = {
      archiveId: formatUuid(archiveId),
      slotId: hexOf(slotId),
      keyringSha256: createHash('sha256').update(keyring).digest('hex'),
    };
    const isSaid = leaf.kind === 'escrow_tried' ? isAmong(tried, leaf, among) : isOfKeyring(tried, leaf);
    if (!isSaid) throw keystoreErrors.other_leaf(tried);
  }
  return { head };
}

/**
 * Opens an announced slot and says which is the newest epoch that it leads to; nothing that was opened is left.
 *
 * @throws keystore.no_epoch where that is not the epoch under which the keyring was sealed; what `withEscrowedKeyring` throws
 */
export function proveEscrow(
  judged: Pick<SlotTry, 'archiveId' | 'slotId' | 'keyring'>,
  keys: Pick<OpeningKeys, 'inner' | 'keystoreKey'>,
): { readonly epoch: number } {
  return withEscrowedKeyring(judged, keys, ({ ring, sealedUnder }) => {
    const epoch = ring.epochs.at(-1)!.number;
    if (epoch !== sealedUnder) throw keystoreErrors.no_epoch({ epoch: sealedUnder });
    return { epoch };
  });
}

function isAmong(tried: EscrowTry, { slots, root }: EscrowTried, among: SlotTry['among']): boolean {
  if (among === null) return false;
  const claim = { place: among.place, slots, root: new Uint8Array(Buffer.from(root, 'hex')) };
  return isEscrowTryProved(tried, claim, among.proof);
}

function isOfKeyring({ archiveId, keyringSha256, slotId }: EscrowTry, leaf: KeyringAdded): boolean {
  const isSame = leaf.archiveId === archiveId && leaf.keyringSha256 === keyringSha256;
  return isSame && leaf.slots.some((slot) => slot.slotId === slotId);
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
