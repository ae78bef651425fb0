import { defineErrors } from '@holdfast/base';
import { canonicalJson } from './canonical-json.ts';
import {
  forms,
  isCount,
  isListOf,
  isOneOf,
  isOptional,
  isText,
  readMembers,
  wrongField,
  type Field,
  type Malformed,
  type Shape,
} from './document-shape.ts';
import { isSignedLabelled, signLabelled, textSha256, type Sign, type SignedText } from './signed-text.ts';

/** Failures of the documents of a release; `details.field` is what is wrong of one that is malformed. */
export const releaseErrors = defineErrors('release', {
  malformed_request: ['invalid', 'The text is not a request to release keys'],
  malformed_approval: ['invalid', 'The text is not the approval of a request'],
  malformed_rules: ['invalid', 'The text is not a change of the rules of release'],
  forged: ['corrupt', 'The document is not signed by the key that it names'],
  other_leaf: ['corrupt', 'The leaf of the release is not that of the own request'],
  not_opened: ['corrupt', 'The release does not open: it was altered, or made for another recipient, archive or leaf'],
});

/** What is asked for: keys that read epochs, or the whole ring, for a device that replaces another. */
export type ReleaseScope = 'read' | 'ring';

/** A request to release keys of an archive: who asks for what, for whom, why and until when. */
export type ReleaseRequest = {
  readonly version: 1;
  readonly installationId: string;
  readonly tenantUid: string;
  readonly archiveId: string;
  /** Of the whole keyring record that is to be opened, hex. */
  readonly keyringSha256: string;
  /** The escrow slot of that keyring, hex. */
  readonly slotId: string;
  readonly scope: ReleaseScope;
  /** By rising number, or all of the keyring; a ring is whole. */
  readonly epochs: readonly number[] | 'all';
  /** Of the legal case or the ticket it is for; null where there is none. */
  readonly caseId: string | null;
  /** For people: 1 to 1,000 characters on one line. */
  readonly reason: string;
  /** Ed25519, 32 bytes, base64url: signs the request. */
  readonly requesterKey: string;
  /** X25519, 32 bytes, base64url: what is released is sealed to it, and to nothing else. */
  readonly recipientKey: string;
  /** RFC 3339, UTC, milliseconds. */
  readonly expiresAt: string;
  /** 16 random bytes, base64url: a request counts once. */
  readonly requestId: string;
};

/** Somebody's consent to one document, which its hash names: a request, or a change of rules. */
export type ReleaseApproval = {
  readonly version: 1;
  /** SHA-256 of the text of the document, hex. */
  readonly requestSha256: string;
  /** Ed25519, 32 bytes, base64url: signs the approval. */
  readonly approverKey: string;
  readonly at: string;
};

/** Bounds of the documents of a release. */
export const releaseBounds = {
  requestCharacters: 16_384,
  approvalCharacters: 512,
  epochs: 1_000,
  approvals: 16,
} as const;

/** Why a scope is asked for, as the keystore derives it; nobody claims one. */
export const releasePurposes = ['own_restore', 'admin_restore', 'replacement'] as const;

/** A purpose of a release. */
export type ReleasePurpose = (typeof releasePurposes)[number];

/** Writes and signs a request with the key it names. @throws release.malformed_request */
export function signReleaseRequest(request: ReleaseRequest, sign: Sign): SignedText {
  const text = canonicalJson(request);
  parseReleaseRequest(text);
  return { text, signature: signLabelled(requestLabel, text, sign) };
}

/** Reads a request that anybody may have written; who signed it is not asked. @throws release.malformed_request */
export function parseReleaseRequest(text: string): ReleaseRequest {
  const request = parse(text, {
    shape: requestShape,
    mostCharacters: releaseBounds.requestCharacters,
    malformed: releaseErrors.malformed_request,
  }) as ReleaseRequest;
  if (request.scope === 'ring' && request.epochs !== 'all')
    throw releaseErrors.malformed_request({ field: 'epochs', fact: 'a ring is whole' });
  return request;
}

/** Reads a request and expects that the key which it names signed it. @throws release.malformed_request, release.forged */
export function openReleaseRequest({ text, signature }: SignedText): ReleaseRequest {
  const request = parseReleaseRequest(text);
  const { requesterKey: publicKey } = request;
  if (!isSignedLabelled(requestLabel, text, { signature, publicKey })) throw releaseErrors.forged({ publicKey });
  return request;
}

/** The hash by which approvals and leaves name a request, hex. */
export function releaseRequestSha256(text: string): string {
  return textSha256(text);
}

/** Whether a request counts no more at an instant (milliseconds since 1970). */
export function isReleaseExpired({ expiresAt }: Pick<ReleaseRequest, 'expiresAt'>, nowMs: number): boolean {
  return nowMs >= Date.parse(expiresAt);
}

/** Writes and signs an approval with the key it names. @throws release.malformed_approval */
export function signReleaseApproval(approval: ReleaseApproval, sign: Sign): SignedText {
  const text = canonicalJson(approval);
  parseReleaseApproval(text);
  return { text, signature: signLabelled(approvalLabel, text, sign) };
}

/** Reads an approval that anybody may have written; who signed it is not asked. @throws release.malformed_approval */
export function parseReleaseApproval(text: string): ReleaseApproval {
  return parse(text, {
    shape: approvalShape,
    mostCharacters: releaseBounds.approvalCharacters,
    malformed: releaseErrors.malformed_approval,
  }) as ReleaseApproval;
}

/** Reads an approval and expects that the key which it names signed it. @throws release.malformed_approval, release.forged */
export function openReleaseApproval({ text, signature }: SignedText): ReleaseApproval {
  const approval = parseReleaseApproval(text);
  const { approverKey: publicKey } = approval;
  if (!isSignedLabelled(approvalLabel, text, { signature, publicKey })) throw releaseErrors.forged({ publicKey });
  return approval;
}

const requestLabel = 'holdfast v1 release request';
const approvalLabel = 'holdfast v1 release approval';

const isEpochs: Field = (value) =>
  value === 'all' ||
  (epochList(value) && (value as readonly number[]).every((one, at, all) => at === 0 || all[at - 1]! < one));
const epochList = isListOf(isCount(0, 0xffff), { least: 1, most: releaseBounds.epochs });

const requestShape: { readonly [K in keyof ReleaseRequest]: Field } = {
  version: isOneOf(1),
  installationId: forms.uuid,
  tenantUid: forms.uuid,
  archiveId: forms.uuid,
  keyringSha256: forms.hex32,
  slotId: forms.hex16,
  scope: isOneOf('read', 'ring'),
  epochs: isEpochs,
  caseId: isOptional(isText(/^[\w.:-]{1,100}$/)),
  // On one line: it is shown to people, and nothing in it may look like the next line.
  reason: isText(/^[^\p{Cc}\p{Zl}\p{Zp}]{1,1000}$/u),
  requesterKey: forms.key32,
  recipientKey: forms.key32,
  expiresAt: forms.instant,
  requestId: forms.nonce16,
};

const approvalShape: { readonly [K in keyof ReleaseApproval]: Field } = {
  version: isOneOf(1),
  requestSha256: forms.hex32,
  approverKey: forms.key32,
  at: forms.instant,
};

type Reading = {
  readonly shape: Shape;
  readonly mostCharacters: number;
  readonly malformed: Malformed;
};

function parse(text: string, { shape, mostCharacters, malformed }: Reading): unknown {
  if (text.length > mostCharacters) throw malformed({ characters: text.length });
  const members = readMembers(text, malformed);
  const field = wrongField(members, shape);
  if (field !== undefined) throw malformed({ field });
  return members;
}
