import type { Random } from '@holdfast/base';
import { assert, parseUuid } from '@holdfast/base';
import { hpkeBytes, type HpkeKey, openHpke, sealHpke } from './hpke.ts';
import { parseKeyLogLeaf, type Release } from './key-log-leaf.ts';
import { outlineHash, writeKeyLogLeaf } from './key-log.ts';
import type { Hash } from './merkle-log.ts';
import { openReleaseRequest, releaseErrors, type ReleaseRequest } from './release-request.ts';

/** The keys that read one epoch; 32 bytes each. */
export type ReadKeys = {
  readonly epoch: number;
  /** Opens blocks and bundles. */
  readonly data: Uint8Array;
  /** Opens lists, trees and commits. */
  readonly metadata: Uint8Array;
};

/** What a release gives: keys that read epochs, by rising number, or the raw bytes of a ring (format document, section 5). */
export type ReleasedKeys =
  | { readonly scope: 'read'; readonly epochs: readonly ReadKeys[] }
  | { readonly scope: 'ring'; readonly ring: Uint8Array };

/** What a release is bound to: another archive or leaf does not open it. */
export type ReleaseBinding = {
  /** 16 bytes. */
  readonly archiveId: Uint8Array;
  /** `outlineHash` of the leaf of the release. */
  readonly leafHash: Hash;
};

/**
 * Seals released keys to their recipient (X25519, 32 bytes), bound to archive and leaf.
 *
 * The keys are the caller's to overwrite; what is made of them here is overwritten here.
 * @throws hpke.bad_public_key
 */
export function sealRelease(
  keys: ReleasedKeys,
  binding: ReleaseBinding,
  recipientKey: Uint8Array,
  random: Random,
): Uint8Array {
  const plaintext = encodeKeys(keys);
  try {
    return sealHpke(recipientKey, { info: infoOf(binding) }, plaintext, random);
  } finally {
    plaintext.fill(0);
  }
}

/** What the recipient of a release has: the request it made, the leaf it was shown, and what it was sent. */
export type ReceivedRelease = {
  /** The text of the own request, as it was signed. */
  readonly requestText: string;
  /** The text of the leaf. That it stands in the log is for who follows the log to see. */
  readonly leafText: string;
  readonly sealed: Uint8Array;
};

/** What a release gave, and its leaf, for whoever looks for it in the log. */
export type OpenedRelease = {
  readonly leaf: Release;
  readonly leafHash: Hash;
  readonly keys: ReleasedKeys;
  /** Overwrites the keys, wherever they lie. */
  readonly wipe: () => void;
};

/**
 * Opens a release on the side of its recipient, which works out the leaf's hash by itself.
 *
 * A release whose leaf is of another request opens nothing: who reads the log would look for the wrong leaf.
 * @throws release.other_leaf, release.not_opened, key_log_leaf.malformed, release.malformed_request, release.forged
 */
export function openRelease({ requestText, leafText, sealed }: ReceivedRelease, recipient: HpkeKey): OpenedRelease {
  const leaf = parseKeyLogLeaf(leafText);
  if (leaf.kind !== 'release' || leaf.request.text !== requestText) throw releaseErrors.other_leaf();
  const request = openReleaseRequest(leaf.request);
  const leafHash = outlineHash(writeKeyLogLeaf(leaf).outline);
  const plaintext = openHpke(recipient, { info: infoOf({ archiveId: archiveIdOf(request), leafHash }) }, sealed);
  if (plaintext === undefined) throw releaseErrors.not_opened();
  const keys = parseKeys(plaintext);
  const wipe = () => void plaintext.fill(0);
  if (keys !== undefined && isAskedFor(keys, request)) return { leaf, leafHash, keys, wipe };
  wipe();
  throw releaseErrors.not_opened({ fact: 'it holds what was not asked for' });
}

const label = new TextEncoder().encode('holdfast v1 release\0');
const scopes = { read: 1, ring: 2 } as const;
const HEAD_BYTES = 2;
const EPOCH_BYTES = 2 + 2 * hpkeBytes.key;

function infoOf({ archiveId, leafHash }: ReleaseBinding): Uint8Array {
  assert(archiveId.length === 16 && leafHash.length === 32, 'a release is bound to an archive and a leaf');
  return new Uint8Array(Buffer.concat([label, archiveId, leafHash]));
}

/** Version 1 and scope, a byte each; then number (u16, little-endian), data and metadata key of each epoch, or the ring. */
function encodeKeys(keys: ReleasedKeys): Uint8Array {
  const lengthBytes = keys.scope === 'ring' ? keys.ring.length : keys.epochs.length * EPOCH_BYTES;
  const bytes = new Uint8Array(HEAD_BYTES + lengthBytes);
  bytes.set([1, scopes[keys.scope]]);
  if (keys.scope === 'ring') bytes.set(keys.ring, HEAD_BYTES);
  else for (const [place, one] of keys.epochs.entries()) putEpoch(bytes, HEAD_BYTES + place * EPOCH_BYTES, one);
  return bytes;
}

function putEpoch(bytes: Uint8Array, at: number, { epoch, data, metadata }: ReadKeys): void {
  assert(data.length === hpkeBytes.key && metadata.length === hpkeBytes.key, 'a read key has 32 bytes');
  new DataView(bytes.buffer).setUint16(at, epoch, true);
  bytes.set(data, at + 2);
  bytes.set(metadata, at + 2 + hpkeBytes.key);
}

/** Views of the plaintext, so that overwriting it overwrites them; undefined where it is not of the form. */
function parseKeys(bytes: Uint8Array): ReleasedKeys | undefined {
  const body = bytes.subarray(HEAD_BYTES);
  if (bytes[0] !== 1 || body.length === 0) return undefined;
  if (bytes[1] === scopes.ring) return { scope: 'ring', ring: body };
  if (bytes[1] !== scopes.read || body.length % EPOCH_BYTES !== 0) return undefined;
  const epochs = Array.from({ length: body.length / EPOCH_BYTES }, (_, place) => {
    const one = body.subarray(place * EPOCH_BYTES, (place + 1) * EPOCH_BYTES);
    const epoch = one[0]! + one[1]! * 256;
    return { epoch, data: one.subarray(2, 2 + hpkeBytes.key), metadata: one.subarray(2 + hpkeBytes.key) };
  });
  const isRising = epochs.every(({ epoch }, place) => place === 0 || epochs[place - 1]!.epoch < epoch);
  return isRising ? { scope: 'read', epochs } : undefined;
}

/** A reader that asked for some epochs is given these and no others; one that asked for all is given what there is. */
function isAskedFor(keys: ReleasedKeys, { scope, epochs }: ReleaseRequest): boolean {
  if (keys.scope !== scope) return false;
  if (keys.scope === 'ring' || epochs === 'all') return true;
  return keys.epochs.length === epochs.length && keys.epochs.every(({ epoch }, place) => epoch === epochs[place]);
}

function archiveIdOf({ archiveId }: ReleaseRequest): Uint8Array {
  return parseUuid(archiveId)!;
}
