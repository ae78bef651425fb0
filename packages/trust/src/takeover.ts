/**
 * What proves that a computer may go on with another one's archive: a document that the old computer, the recovery code or
 * an administrator signs for the key of the new one. It is worth something for that key alone, for a short time, once.
 */
import { defineErrors } from '@holdfast/base';
import { canonicalJson } from './canonical-json.ts';
import { forms, isOneOf, isText, readMembers, wrongField, type Shape } from './document-shape.ts';
import { isSignedLabelled, signLabelled, type Sign, type SignedText } from './signed-text.ts';

/** Failures of reading a takeover proof; `details.field` is what is wrong. */
export const takeoverProofErrors = defineErrors('takeover_proof', {
  malformed: ['invalid', 'The text is not a proof for taking an archive over'],
  forged: ['unauthenticated', 'The proof for taking an archive over is not signed by the key that it names'],
});

/** Who signs: the key of the old computer, that of its recovery code, or that of a person who administers the tenant. */
export const takeoverProofKinds = ['hand_over', 'recovery_code', 'approval'] as const;

/** One of `takeoverProofKinds`. */
export type TakeoverProofKind = (typeof takeoverProofKinds)[number];

/** What is signed. Keys are Ed25519, 32 bytes, base64url. */
export type TakeoverClaim = {
  readonly kind: TakeoverProofKind;
  readonly installationId: string;
  readonly tenantUid: string;
  /** The archive; null where a recovery code is all that is known of it: its key is in that archive's slot alone. */
  readonly archiveId: string | null;
  /** The computer whose archive it is: its identifier; beside a recovery code its name will do. */
  readonly device: string;
  /** The key that the new computer enrolled with. */
  readonly newDeviceKey: string;
  readonly signerKey: string;
  /** Instant of the server's clock (RFC 3339, UTC, milliseconds) after which it is worth nothing. */
  readonly expiresAt: string;
  /** 16 random bytes, base64url: it is used once. */
  readonly proofId: string;
};

/** A claim with its signature. */
export type TakeoverProof = SignedText;

/** Longest life of each kind, in milliseconds, from when the server sees it: what is carried by people lives longer. */
export const takeoverProofLifeMs: Readonly<Record<TakeoverProofKind, number>> = {
  recovery_code: 10 * 60_000,
  hand_over: 24 * 3_600_000,
  approval: 7 * 24 * 3_600_000,
};

/** Most characters of a proof's text. */
export const maxTakeoverProofText = 2_048;

const label = 'holdfast v1 takeover';

/** Signs a claim with the key that it names. @throws takeover_proof.malformed */
export function signTakeoverProof(claim: TakeoverClaim, sign: Sign): TakeoverProof {
  const text = canonicalJson({ version: 1, ...claim });
  readClaim(text);
  return { text, signature: signLabelled(label, text, sign) };
}

/**
 * Reads a proof that anybody may have written, and checks that the key it names signed it. Who that key is, and whether it
 * may hand the archive on, is the caller's to find out.
 *
 * @throws takeover_proof.malformed, takeover_proof.forged
 */
export function openTakeoverProof({ text, signature }: TakeoverProof): TakeoverClaim {
  const claim = readClaim(text);
  if (!isSignedBySigner(claim, { text, signature })) throw takeoverProofErrors.forged();
  return claim;
}

function isSignedBySigner({ signerKey: publicKey }: TakeoverClaim, { text, signature }: TakeoverProof): boolean {
  try {
    return isSignedLabelled(label, text, { publicKey, signature });
  } catch {
    // Not every 32 bytes are a key.
    return false;
  }
}

const { uuid, key32, nonce16, instant } = forms;
const common = {
  version: isOneOf(1),
  installationId: uuid,
  tenantUid: uuid,
  newDeviceKey: key32,
  signerKey: key32,
  expiresAt: instant,
  proofId: nonce16,
};
const named = { ...common, archiveId: uuid, device: uuid };

/** The members of each kind: these and no others. */
const shapes: Readonly<Record<TakeoverProofKind, Shape>> = {
  hand_over: named,
  approval: named,
  // A name that a person typed: no controls.
  recovery_code: { ...common, archiveId: isOneOf(null), device: isText(/^[^\p{C}]{1,255}$/u) },
};

function readClaim(text: string): TakeoverClaim {
  if (text.length > maxTakeoverProofText) throw takeoverProofErrors.malformed({ field: 'text' });
  const { kind, ...members } = readMembers(text, takeoverProofErrors.malformed);
  const known = takeoverProofKinds.find((one) => one === kind);
  const wrong = known === undefined ? 'kind' : wrongField(members, shapes[known]);
  if (wrong !== undefined) throw takeoverProofErrors.malformed({ field: wrong });
  const { version: _version, ...claim } = members;
  return { ...claim, kind } as unknown as TakeoverClaim;
}
