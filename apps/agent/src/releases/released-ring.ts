/**
 * A ring that was released for a computer which replaces another, in a file: sealed to that computer by the keystore, so that
 * whoever asked for it and carries it holds no key.
 */
import { assert, parseUuid } from '@holdfast/base';
import { type HpkeKey, openRelease, parseKeyLogLeaf, parseReleaseRequest } from '@holdfast/trust';
import { z } from 'zod';
import { releaseClientErrors } from './errors.ts';
import { expectLogged, type PinnedLog, type ShownLeaf } from './logged-leaf.ts';

const RingFile = z.strictObject({
  type: z.literal('holdfast-released-ring'),
  version: z.literal(1),
  leaf: z.strictObject({
    text: z.string().max(65_536),
    logIndex: z.number().int().min(0),
    inclusion: z.array(z.string().max(44)).max(64),
    head: z.string().max(4_096),
  }),
  /** Base64url: for one computer alone. */
  sealed: z.string().max(262_144),
});

/** What was released to another computer, and the leaf of its release. */
export type SealedRing = { readonly leaf: ShownLeaf; readonly sealed: string };

/** The text of the file. */
export function formatReleasedRing({ leaf, sealed }: SealedRing): string {
  const file = RingFile.parse({ type: 'holdfast-released-ring', version: 1, leaf, sealed });
  return `${JSON.stringify(file, undefined, 1)}\n`;
}

/** A ring as it was released; whoever calls wipes it. */
export type ReleasedRing = {
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  /** Its raw bytes, as in a keyring (format document, section 5). */
  readonly ring: Uint8Array;
  readonly wipe: () => void;
};

/**
 * Opens the file on the computer that it was made for. It is believed only with its leaf: of a request for a ring that names
 * this computer's key, in the log that the pinned key signs.
 *
 * @throws key_release.ring_file_invalid, key_release.for_another, key_release.not_logged, key_release.other_log, release.*
 */
export function openReleasedRing(text: string, own: HpkeKey, pinned: PinnedLog): ReleasedRing {
  const { leaf: shown, sealed } = parse(text);
  const leaf = parseKeyLogLeaf(shown.text);
  if (leaf.kind !== 'release') throw releaseClientErrors.ring_file_invalid();
  const { text: requestText } = leaf.request;
  const { scope, recipientKey, installationId, tenantUid, archiveId } = parseReleaseRequest(requestText);
  const isOurs = recipientKey === Buffer.from(own.publicKey).toString('base64url');
  const isHere = installationId === pinned.installationId && tenantUid === pinned.tenantUid;
  if (scope !== 'ring' || !isOurs || !isHere) throw releaseClientErrors.for_another();
  const bytes = new Uint8Array(Buffer.from(sealed, 'base64url'));
  const { keys, leafHash, wipe } = openRelease({ requestText, leafText: shown.text, sealed: bytes }, own);
  try {
    expectLogged(pinned, leafHash, shown);
    assert(keys.scope === 'ring', 'a release opens for the scope that was asked for');
    const archive = parseUuid(archiveId);
    assert(archive !== undefined, 'an archive is named by an identifier');
    return { archiveId: archive, ring: keys.ring, wipe };
  } catch (error) {
    wipe();
    throw error;
  }
}

function parse(text: string): z.infer<typeof RingFile> {
  try {
    return RingFile.parse(JSON.parse(text));
  } catch {
    throw releaseClientErrors.ring_file_invalid();
  }
}
