import { noteErrors, openNote, signNote, type NoteSigner, type VerifierKey } from './signed-note.ts';
import type { Hash } from './merkle-log.ts';

/** The head of a log: how many entries it has and the root over them. */
export type Checkpoint = {
  /** Which log this is; one line, not empty. */
  readonly origin: string;
  readonly treeSize: number;
  readonly root: Hash;
};

/**
 * Signs the head of a log, as a note of three lines: origin, size, root.
 *
 * Who signs must never sign two heads without a consistency proof between them.
 * Source: C2SP, tlog-checkpoint.
 */
export function signCheckpoint(checkpoint: Checkpoint, signers: readonly NoteSigner[]): string {
  const { origin, treeSize, root } = checkpoint;
  if (origin === '' || origin.includes('\n') || !isTreeSize(treeSize) || root.length !== 32)
    throw noteErrors.not_signable({ origin, treeSize });
  return signNote(`${origin}\n${treeSize}\n${root.toBase64()}\n`, signers);
}

/**
 * Opens a signed head of one log; extension lines are allowed and ignored.
 *
 * @throws note.malformed when it is no head, or one of another log; note.forged, note.unverified
 */
export function openCheckpoint(note: string, origin: string, keys: readonly VerifierKey[]): Checkpoint {
  const { text } = openNote(note, keys);
  const [found, size, encodedRoot, ...extensions] = text.slice(0, -1).split('\n');
  const treeSize = /^(0|[1-9]\d{0,15})$/.test(size ?? '') ? Number(size) : NaN;
  // 32 bytes have 43 digits and one `=`; the last digit carries four bits only.
  const rootIsExact = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/.test(encodedRoot ?? '');
  if (found !== origin || !isTreeSize(treeSize) || !rootIsExact || extensions.includes(''))
    throw noteErrors.malformed({ origin });
  return { origin, treeSize, root: Uint8Array.fromBase64(encodedRoot!) };
}

function isTreeSize(treeSize: number): boolean {
  return Number.isSafeInteger(treeSize) && treeSize >= 0;
}
