import { canonicalJson } from './canonical-json.ts';
import { forms, isOneOf, isOptional, isText, readMembers, wrongField, type Field } from './document-shape.ts';
import { releaseErrors } from './release-request.ts';
import { isSignedLabelled, signLabelled, type Sign, type SignedText } from './signed-text.ts';

/** What the holder of a registered key asks a server about releases; requests and approvals are documents of their own. */
export const releaseCalls = ['archive', 'list', 'take', 'refuse', 'rules'] as const;

/** One of those. */
export type ReleaseCallName = (typeof releaseCalls)[number];

/** A call by which somebody with a registered key proves who asks: it opens nothing, and counts for some minutes. */
export type ReleaseCall = {
  readonly version: 1;
  readonly installationId: string;
  readonly tenantUid: string;
  readonly call: ReleaseCallName;
  /** What it is about: the SHA-256 of a request (hex), or an archive's or a device's name; null where it is about none. */
  readonly about: string | null;
  /** Ed25519, 32 bytes, base64url: signs the call. */
  readonly callerKey: string;
  readonly at: string;
  /** 16 random bytes, base64url. */
  readonly nonce: string;
};

/** A call counts for so long before and after the server's time (milliseconds). */
export const RELEASE_CALL_MS = 300_000;

/** Writes and signs a call with the key it names. @throws release.malformed_call */
export function signReleaseCall(call: ReleaseCall, sign: Sign): SignedText {
  const text = canonicalJson(call);
  parseReleaseCall(text);
  return { text, signature: signLabelled(callLabel, text, sign) };
}

/** Reads a call that anybody may have written; who signed it is not asked. @throws release.malformed_call */
export function parseReleaseCall(text: string): ReleaseCall {
  if (text.length > CALL_CHARACTERS) throw releaseErrors.malformed_call({ characters: text.length });
  const members = readMembers(text, releaseErrors.malformed_call);
  const field = wrongField(members, callShape);
  if (field !== undefined) throw releaseErrors.malformed_call({ field });
  return members as unknown as ReleaseCall;
}

/** Reads a call and expects that the key which it names signed it. @throws release.malformed_call, release.forged */
export function openReleaseCall({ text, signature }: SignedText): ReleaseCall {
  const call = parseReleaseCall(text);
  const { callerKey: publicKey } = call;
  if (!isSignedLabelled(callLabel, text, { signature, publicKey })) throw releaseErrors.forged({ publicKey });
  return call;
}

const CALL_CHARACTERS = 2_048;
const callLabel = 'holdfast v1 release call';

const callShape: { readonly [K in keyof ReleaseCall]: Field } = {
  version: isOneOf(1),
  installationId: forms.uuid,
  tenantUid: forms.uuid,
  call: isOneOf(...releaseCalls),
  about: isOptional(isText(/^[^\p{Cc}\p{Zl}\p{Zp}]{1,200}$/u)),
  callerKey: forms.key32,
  at: forms.instant,
  nonce: forms.nonce16,
};
