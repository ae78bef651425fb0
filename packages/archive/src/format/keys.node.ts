import { hkdf } from '../crypto/derive.node.ts';
import { type EpochKeys, keyLabels, type KeyRing } from './keys.ts';

/** Derives the keys of an epoch from its 32 random bytes. */
export function deriveEpochKeys(archiveId: Uint8Array, epoch: number, epochKey: Uint8Array): EpochKeys {
  const derive = (label: string) => hkdf(epochKey, archiveId, label);
  return {
    epoch,
    data: derive(keyLabels.data),
    metadata: derive(keyLabels.metadata),
    nonces: derive(keyLabels.nonces),
    chunking: derive(keyLabels.chunking),
  };
}

/** Derives the keys of all epochs of a ring or of a key file. */
export function deriveKeyRing(
  archiveId: Uint8Array,
  epochs: readonly { readonly number: number; readonly key: Uint8Array }[],
): KeyRing {
  return new Map(epochs.map(({ number, key }) => [number, deriveEpochKeys(archiveId, number, key)]));
}
