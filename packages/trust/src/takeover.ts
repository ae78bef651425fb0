/**
 * What proves that a computer may go on with another one's archive: a document that the old computer, the recovery code or
 * an administrator signs for the key of the new one. It is worth something for that key alone, for a short time, once.
 */
import { createPublicKey, verify } from 'node:crypto';
import { defineErrors } from '@holdfast/base';
import { canonicalJson, parseCanonicalJson, type Json } from './canonical-json.ts';

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
export type TakeoverProof = {
  /** Canonical JSON of the claim. */
  readonly text: string;
  /** Ed25519, 64 bytes, base64url. */
  readonly signature: string;
};

/** Longest life of each kind, in milliseconds, from when the server sees it: what is carried by people lives longer. */
export const takeoverProofLifeMs: Readonly<Record<TakeoverProofKind, number>> = {
  recovery_code: 10 * 60_000,
  hand_over: 24 * 3_600_000,
  approval: 7 * 24 * 3_600_000,
};

/** Most characters of a proof's text. */
export const maxTakeoverProofText = 2_048;

const label = Buffer.from('holdfast v1 takeover\0');

/** Signs a claim with the key that it names. @throws takeover_proof.malformed */
export function signTakeoverProof(claim: TakeoverClaim, sign: (message: Uint8Array) => Uint8Array): TakeoverProof {
  const text = canonicalJson({ version: 1, ...claim });
  readClaim(text);
  return { text, signature: Buffer.from(sign(messageOf(text))).toString('base64url') };
}

/**
 * Reads a proof that anybody may have written, and checks that the key it names signed it. Who that key is, and whether it
 * may hand the archive on, is the caller's to find out.
 *
 * @throws takeover_proof.malformed, takeover_proof.forged
 */
export function openTakeoverProof({ text, signature }: TakeoverProof): TakeoverClaim {
  const claim = readClaim(text);
  const mark = Buffer.from(signature, 'base64url');
  const isWritten = mark.length === 64 && mark.toString('base64url') === signature;
  if (!isWritten || !isSigned(claim.signerKey, messageOf(text), mark)) throw takeoverProofErrors.forged();
  return claim;
}

function isSigned(signerKey: string, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: signerKey }, format: 'jwk' });
    return verify(null, message, key, signature);
  } catch {
    // Not every 32 bytes are a key.
    return false;
  }
}

function messageOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.concat([label, Buffer.from(text)]));
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** The last digit carries the bits that are left over, and they are zero: each key has one spelling. */
const key32 = /^[\w-]{42}[AEIMQUYcgkosw048]$/;
const bytes16 = /^[\w-]{21}[AQgw]$/;
// A name that a person typed: no controls.
const named = /^[^\p{C}]{1,255}$/u;

type Field = (value: Json | undefined, claim: { readonly [name: string]: Json }) => boolean;
const isText =
  (shape: RegExp): Field =>
  (value) =>
    typeof value === 'string' && shape.test(value);

const fields: Readonly<Record<keyof TakeoverClaim | 'version', Field>> = {
  version: (value) => value === 1,
  kind: (value) => takeoverProofKinds.some((kind) => kind === value),
  installationId: isText(uuid),
  tenantUid: isText(uuid),
  archiveId: (value, { kind }) => (kind === 'recovery_code' ? value === null : isText(uuid)(value, {})),
  device: (value, { kind }) => isText(kind === 'recovery_code' ? named : uuid)(value, {}),
  newDeviceKey: isText(key32),
  signerKey: isText(key32),
  expiresAt: (value) => typeof value === 'string' && isInstant(value),
  proofId: isText(bytes16),
};

function readClaim(text: string): TakeoverClaim {
  if (text.length > maxTakeoverProofText) throw takeoverProofErrors.malformed({ field: 'text' });
  const claim = membersOf(text);
  const names = Object.keys(fields) as (keyof typeof fields)[];
  const unknown = Object.keys(claim).find((name) => !Object.hasOwn(fields, name));
  const wrong = unknown ?? names.find((name) => !fields[name](claim[name], claim));
  if (wrong !== undefined) throw takeoverProofErrors.malformed({ field: wrong });
  const { version: _version, ...rest } = claim;
  return rest as unknown as TakeoverClaim;
}

function membersOf(text: string): { readonly [name: string]: Json } {
  let value: Json;
  try {
    value = parseCanonicalJson(text);
  } catch (error) {
    throw takeoverProofErrors.malformed({}, error);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as { [name: string]: Json };
  throw takeoverProofErrors.malformed();
}

function isInstant(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text)) return false;
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString() === text;
}
