import { RecordKind } from './record.ts';

/** The keys of one epoch of one archive, 32 bytes each, derived from the epoch's own key. */
export type EpochKeys = {
  readonly epoch: number;
  /** Seals blocks and bundles. */
  readonly data: Uint8Array;
  /** Seals lists, trees and commits: enough to browse. */
  readonly metadata: Uint8Array;
  /** Hedges nonces. */
  readonly nonces: Uint8Array;
  /** Seeds the chunker. */
  readonly chunking: Uint8Array;
};

/** The keys of an archive by epoch. */
export type KeyRing = ReadonlyMap<number, EpochKeys>;

/** By what label each key of an epoch is derived: HKDF(epoch key, archive id, label). */
export const keyLabels = {
  data: 'holdfast v1 data',
  metadata: 'holdfast v1 metadata',
  nonces: 'holdfast v1 nonces',
  chunking: 'holdfast v1 chunking',
} as const;

/** Which key of an epoch seals records of a kind; the ring key, which is of no epoch, seals keyrings. */
export function keyUseOf(kind: number): 'data' | 'metadata' | 'ring' | undefined {
  switch (kind) {
    case RecordKind.block:
    case RecordKind.bundle:
      return 'data';
    case RecordKind.list:
    case RecordKind.tree:
    case RecordKind.commit:
      return 'metadata';
    case RecordKind.keyring:
      return 'ring';
    default:
      return undefined;
  }
}
