/** That a release stands in the log of its tenant, which the key signs that was pinned. */
import { keyLogOrigin, openCheckpoint, parseVerifierKey, verifyInclusion } from '@holdfast/trust';
import { releaseClientErrors } from './errors.ts';

/** Which log it is, and whose signature counts there. */
export type PinnedLog = {
  readonly installationId: string;
  readonly tenantUid: string;
  /** Verifier of the tenant's log, as it was pinned. */
  readonly logKey: string;
};

/** A leaf as a server shows it: its place, what proves that it stands there, and the head that this was proved for. */
export type ShownLeaf = {
  readonly text: string;
  readonly logIndex: number;
  /** Base64url. */
  readonly inclusion: readonly string[];
  /** A signed note. */
  readonly head: string;
};

/** Expects the leaf of this hash in the log. @throws key_release.other_log, key_release.not_logged */
export function expectLogged(
  { installationId, tenantUid, logKey }: PinnedLog,
  leafHash: Uint8Array,
  shown: Omit<ShownLeaf, 'text'>,
): void {
  const head = openHead(shown.head, keyLogOrigin(installationId, tenantUid), logKey);
  const proof = shown.inclusion.map((hash) => new Uint8Array(Buffer.from(hash, 'base64url')));
  const claim = { leafHash, leafIndex: shown.logIndex, treeSize: head.treeSize, root: head.root };
  if (!verifyInclusion(claim, proof)) throw releaseClientErrors.not_logged({ logIndex: shown.logIndex });
}

function openHead(note: string, origin: string, logKey: string) {
  try {
    return openCheckpoint(note, origin, [parseVerifierKey(logKey)]);
  } catch (error) {
    throw releaseClientErrors.other_log({}, error);
  }
}
