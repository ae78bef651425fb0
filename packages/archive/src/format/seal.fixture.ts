/** Keys and contents that tests of sealed records share. */
import { createSigningKey, signMessage } from '../crypto/ed25519.node.ts';
import { deriveEpochKeys } from './keys.node.ts';
import { isSealedKind, RecordKind, type RecordKindName } from './record.ts';
import type { SealContent, SealKeys } from './seal.node.ts';

export const archiveId = new Uint8Array(16).fill(9);
export const ring = new Map(
  [0, 3].map((epoch) => [epoch, deriveEpochKeys(archiveId, epoch, new Uint8Array(32).fill(epoch + 1))]),
);
export const signer = createSigningKey(new Uint8Array(32).fill(5));
export const keys: SealKeys = {
  archiveId,
  ring,
  ringKey: new Uint8Array(32).fill(7),
  sign: (message) => signMessage(signer, message),
};
export const kinds = Object.keys(RecordKind) as RecordKindName[];

/** Content of a kind: at the newest epoch where it is sealed. */
export function contentOf(kind: RecordKindName, raw: Uint8Array, open = new Uint8Array(0)): SealContent {
  const isSealed = isSealedKind(RecordKind[kind]);
  return { kind, epoch: isSealed ? 3 : 0, ordinal: 2 ** 32 + 5, open, ...(isSealed && { raw }) };
}
