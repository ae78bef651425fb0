import { CodedError } from '@holdfast/base';
import { openCheckpoint, parseVerifierKey, readTreeState, rootOf } from '@holdfast/trust';
import type { TenantTx } from '../../platform/postgres.ts';
import { findHead, findLogVerifier, hasSignedHead, nodeSource, originOf, signingErrors } from '../logs/index.ts';

/** What a head that a device verified says of the log that is here. */
export type HeadVerdict =
  | 'same_log'
  /** It is signed for other leaves than those that are here, or not all of them are. */
  | 'forked'
  /** It has more leaves than are here: this log was set back. */
  | 'longer'
  /** No key of this tenant signed it, or it is no head of its key log. */
  | 'not_signed_here';

/** Compares a head that a device verified with the log as it is: heads come back here, where a device was shown another log. */
export async function compareHead(
  tx: TenantTx,
  { tenantId, installationId }: { readonly tenantId: string; readonly installationId: string },
  note: string,
): Promise<HeadVerdict> {
  const of = { tenantId, log: 'key' } as const;
  const head = openHead(note, originOf(installationId, of), await findLogVerifier(tx, tenantId));
  if (!head) return 'not_signed_here';
  const size = (await findHead(tx, of))?.tree_size ?? 0;
  if (head.treeSize > size) return 'longer';
  // Signatures of Ed25519 are always the same: an honest head is one that is kept.
  if (await hasSignedHead(tx, of, note)) return 'same_log';
  try {
    const root = rootOf(await readTreeState(nodeSource(tx, of), head.treeSize));
    return Buffer.compare(root, head.root) === 0 ? 'same_log' : 'forked';
  } catch (error) {
    // Nodes are missing: this log is not the one that the head was signed for, and its device is heard nevertheless.
    if (error instanceof CodedError && error.code === signingErrors.inconsistent.code) return 'forked';
    throw error;
  }
}

function openHead(note: string, origin: string, verifier: string) {
  try {
    return openCheckpoint(note, origin, [parseVerifierKey(verifier)]);
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}
