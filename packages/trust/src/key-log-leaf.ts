import { defineErrors } from '@holdfast/base';
import { canonicalJson } from './canonical-json.ts';
import {
  forms,
  isCount,
  isListOf,
  isOf,
  isOneOf,
  isOptional,
  isReadBy,
  isText,
  readMembers,
  wrongField,
  type Shape,
} from './document-shape.ts';
import type { KeyHolder } from './key-holders.ts';
import {
  parseReleaseApproval,
  parseReleaseRequest,
  releaseBounds,
  releasePurposes,
  type ReleasePurpose,
} from './release-request.ts';
import { parseRulesChange, type ReleaseNotice } from './release-rules.ts';
import { isSignedText, type SignedText } from './signed-text.ts';

/** Failures of reading a leaf of a key log; `details.field` is what is wrong. */
export const keyLogLeafErrors = defineErrors('key_log_leaf', {
  malformed: ['invalid', 'The text is not a leaf of a key log'],
});

/** What every leaf says: when it was added (RFC 3339, UTC, milliseconds), and 16 random bytes (base64url). */
type About = { readonly at: string; readonly nonce: string };

/** A device enrolled, with a key of its own. */
export type KeyRegistered = About & {
  readonly kind: 'key_registered';
  readonly deviceUid: string;
  /** Ed25519, 32 bytes, base64url. */
  readonly publicKey: string;
};

/** A device's key was ended for good: the device was deauthorised. */
export type KeyEnded = About & {
  readonly kind: 'key_ended';
  readonly deviceUid: string;
  readonly publicKey: string;
  /** The device's archive; null where it has none. */
  readonly archiveId: string | null;
};

/** A slot of a keyring, as the server sees it: what it is for follows from its kind (format document, section 5). */
export type LoggedSlot = { readonly slotId: string; readonly slotKind: number };

/** A keyring was offered for an archive, and fits it: all slots that open it. Said before it takes effect. */
export type KeyringAdded = About & {
  readonly kind: 'keyring_added';
  readonly archiveId: string;
  readonly keyringNumber: number;
  /** Of the whole record, hex. */
  readonly keyringSha256: string;
  readonly slots: readonly LoggedSlot[];
};

/** The heads of all of a tenant's archives on one day, as the root of a tree over them. */
export type DailyHeads = About & {
  readonly kind: 'daily_heads';
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly archives: number;
  /** Root over `archiveHeadHash` of each, by rising archive id; hex. */
  readonly root: string;
};

/** A person's key: asks for releases and, where it may, approves those of others. */
export type PersonKeyRegistered = About & {
  readonly kind: 'person_key_registered';
  readonly userUid: string;
  /** Ed25519, 32 bytes, base64url. */
  readonly publicKey: string;
  /** Whether its approvals count from a day later on; said again of a known key where that changes. */
  readonly mayApprove: boolean;
};

/** A person's key was ended for good. */
export type PersonKeyEnded = About & {
  readonly kind: 'person_key_ended';
  readonly userUid: string;
  readonly publicKey: string;
};

/** An older key vouches for a newer one, which then need not wait to ask for releases. */
export type KeyVouched = About & {
  readonly kind: 'key_vouched';
  readonly holder: KeyHolder;
  readonly publicKey: string;
  readonly by: KeyHolder;
  readonly byKey: string;
  /** `signKeyVouch` with the older key. */
  readonly signature: string;
};

/** A document with the keys to which a tenant's escrow slots are sealed was made. */
export type EscrowKeysSet = About & {
  readonly kind: 'escrow_keys_set';
  readonly number: number;
  /** `escrowKeysSha256` of the document, hex. */
  readonly sha256: string;
};

/** Keys of an archive are released: said before anything is opened. Who asked, for what, with whose consent, as signed. */
export type Release = About & {
  readonly kind: 'release';
  /** As in the request. */
  readonly archiveId: string;
  readonly request: SignedText;
  readonly requester: KeyHolder;
  readonly purpose: ReleasePurpose;
  readonly notice: ReleaseNotice;
  /** `signArchiveOwner` over the requester's key; null where the requester is not the device whose archive it is. */
  readonly ownerSignature: string | null;
  readonly approvals: readonly SignedText[];
};

/** A request to release keys was refused. */
export type ReleaseRefused = About & {
  readonly kind: 'release_refused';
  readonly archiveId: string;
  /** Of the text of the request, hex. */
  readonly requestSha256: string;
  /** Of the error that says why. */
  readonly code: string;
};

/** The rules of release are changed; from when on they count, their own history says. */
export type ReleaseRulesChanged = About & {
  readonly kind: 'release_rules';
  /** A `RulesChange`, as it was approved. */
  readonly change: string;
  readonly approvals: readonly SignedText[];
};

/** A run of the canary: each of these escrow slots is opened, and nothing is released. */
export type EscrowTried = About & {
  readonly kind: 'escrow_tried';
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly slots: number;
  /** `escrowTriesRoot` of them, hex. */
  readonly root: string;
};

/** One leaf of a tenant's key log. A new kind is a new member here, with a reader and subjects of its own. */
export type KeyLogLeaf =
  | KeyRegistered
  | KeyEnded
  | PersonKeyRegistered
  | PersonKeyEnded
  | KeyVouched
  | KeyringAdded
  | DailyHeads
  | EscrowKeysSet
  | Release
  | ReleaseRefused
  | ReleaseRulesChanged
  | EscrowTried;

/** A leaf before it has time and nonce. */
export type KeyLogFact<Leaf extends KeyLogLeaf = KeyLogLeaf> = Leaf extends KeyLogLeaf
  ? Omit<Leaf, keyof About>
  : never;

/** Names of a kind that a leaf may have. */
export type KeyLogKind = KeyLogLeaf['kind'];

/** No keyring has more slots (format document, section 15). */
const mostSlots = 64;

const { uuid, hex16, hex32, day, instant, key32, nonce16, signature64 } = forms;
const about = { at: instant, nonce: nonce16 };
const slot = isOf({ slotId: hex16, slotKind: isCount(0) });
const holder = isOf({ kind: isOneOf('device', 'person'), uid: uuid });
const approvals = isListOf(isSignedText(isReadBy(parseReleaseApproval, releaseBounds.approvalCharacters)), {
  most: releaseBounds.approvals,
});

/** The members of each kind: these and no others. */
const shapes: Readonly<Record<KeyLogKind, Shape>> = {
  key_registered: { ...about, deviceUid: uuid, publicKey: key32 },
  key_ended: { ...about, deviceUid: uuid, publicKey: key32, archiveId: isOptional(uuid) },
  person_key_registered: { ...about, userUid: uuid, publicKey: key32, mayApprove: isOneOf(true, false) },
  person_key_ended: { ...about, userUid: uuid, publicKey: key32 },
  key_vouched: { ...about, holder, publicKey: key32, by: holder, byKey: key32, signature: signature64 },
  keyring_added: {
    ...about,
    archiveId: uuid,
    keyringNumber: isCount(1),
    keyringSha256: hex32,
    slots: isListOf(slot, { most: mostSlots }),
  },
  daily_heads: { ...about, day, archives: isCount(1), root: hex32 },
  escrow_keys_set: { ...about, number: isCount(1), sha256: hex32 },
  release: {
    ...about,
    archiveId: uuid,
    request: isSignedText(isReadBy(parseReleaseRequest, releaseBounds.requestCharacters)),
    requester: holder,
    purpose: isOneOf(...releasePurposes),
    notice: isOneOf('owner', 'everyone'),
    ownerSignature: isOptional(signature64),
    approvals,
  },
  release_refused: {
    ...about,
    archiveId: uuid,
    requestSha256: hex32,
    code: isText(/^[a-z_0-9]{1,40}\.[a-z_0-9]{1,40}$/),
  },
  release_rules: { ...about, change: isReadBy(parseRulesChange, releaseBounds.requestCharacters), approvals },
  escrow_tried: { ...about, day, slots: isCount(1), root: hex32 },
};

/** The text of a leaf: canonical JSON (RFC 8785). @throws key_log_leaf.malformed, canonical_json.not_representable */
export function formatKeyLogLeaf(leaf: KeyLogLeaf): string {
  const text = canonicalJson(leaf);
  parseKeyLogLeaf(text);
  return text;
}

/**
 * Reads the text of a leaf that anybody may have written: canonical JSON, a known kind, exactly its members.
 *
 * Signatures in it are not asked. @throws key_log_leaf.malformed
 */
export function parseKeyLogLeaf(text: string): KeyLogLeaf {
  const members = readMembers(text, keyLogLeafErrors.malformed);
  const { kind, ...rest } = members;
  if (typeof kind !== 'string' || !Object.hasOwn(shapes, kind)) throw keyLogLeafErrors.malformed({ field: 'kind' });
  const field = wrongField(rest, shapes[kind as KeyLogKind]);
  if (field !== undefined) throw keyLogLeafErrors.malformed({ kind, field });
  const leaf = members as unknown as KeyLogLeaf;
  // Whom a leaf is about follows from its own member, so that must not be another archive than what was asked for.
  if (leaf.kind === 'release' && parseReleaseRequest(leaf.request.text).archiveId !== leaf.archiveId)
    throw keyLogLeafErrors.malformed({ kind, field: 'archiveId' });
  return leaf;
}
