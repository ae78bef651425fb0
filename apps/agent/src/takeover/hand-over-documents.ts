/** The two files that people carry between the old computer and the new one. */
import { createHash } from 'node:crypto';
import { encodeRing, type Introduction, isSignedBy, parseRing, type Ring } from '@holdfast/archive';
import type { Random } from '@holdfast/base';
import {
  canonicalJson,
  type HpkeKey,
  maxTakeoverProofText,
  openHpke,
  openTakeoverProof,
  sealHpke,
  type TakeoverProof,
} from '@holdfast/trust';
import { z } from 'zod';
import { takeoverErrors } from './errors.ts';

const Key32 = z.string().regex(/^[\w-]{42}[AEIMQUYcgkosw048]$/);

/** People read it on a screen and compare what stands beside it: it stays in its line, and shows as what it is. */
const Shown = z
  .string()
  .max(255)
  .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u);

const Request = z.strictObject({
  type: z.literal('holdfast-takeover-request'),
  version: z.literal(1),
  installationId: z.uuid(),
  tenantUid: z.uuid(),
  /** The computer that is to be replaced, as a person named it. */
  device: Shown.min(1),
  /** The new computer: its name, its identifier, and the key that it enrolled with. */
  name: Shown,
  newDeviceUid: z.uuid(),
  newDeviceKey: Key32,
  /** X25519: the keys of the archive are sealed to it. */
  recipientKey: Key32,
  /** Ed25519: the archive's next writer. */
  writerKey: Key32,
});
/** What a new computer asks for: nothing in it is secret, and it proves nothing. */
export type HandOverRequest = z.infer<typeof Request>;

const Document = z.strictObject({
  type: z.literal('holdfast-hand-over'),
  version: z.literal(1),
  proof: z.strictObject({ text: z.string().max(maxTakeoverProofText), signature: z.string().max(100) }),
  /** Base64: the keys of the archive and the introductions, for the new computer alone. */
  sealed: z.base64().max(4_000_000),
  /** Base64 (Ed25519): of the old computer as the archive's writer, over proof and `sealed`. */
  signature: z.base64().max(100),
});

/** What an old computer gives a new one: a proof for the server, and what that must not see. */
export type HandOver = {
  readonly proof: TakeoverProof;
  readonly ring: Ring;
  readonly introductions: readonly Introduction[];
};

/** The text of a request. */
export function formatRequest(request: HandOverRequest): string {
  return `${JSON.stringify(Request.parse(request), undefined, 1)}\n`;
}

/** Reads a request. @throws agent_takeover.document_invalid */
export function parseRequest(text: string): HandOverRequest {
  return read(text, Request);
}

/** What people compare on both screens, so that the request is the one of the computer before them: 80 bits. */
export function fingerprintOf(request: HandOverRequest): string {
  const digest = createHash('sha256')
    .update(canonicalJson({ ...request }))
    .digest('hex');
  return digest.slice(0, 20).replaceAll(/(.{4})(?=.)/g, '$1-');
}

/** A hand-over as it was read. */
export type ReadHandOver = HandOver & {
  /** Whether it was signed by the writer of this key (Ed25519, 32 bytes): anybody can seal keys to those of a request. */
  readonly isFrom: (writerKey: Uint8Array) => boolean;
};

/** How a hand-over is made: to whom it is sealed (X25519, base64url), and what signs as the archive's writer. */
export type HandOverMaking = {
  readonly recipientKey: string;
  readonly signAsWriter: (message: Uint8Array) => Uint8Array;
  readonly random: Random;
};

/** Seals the keys of the archive to the new computer, puts the proof beside them, and signs both. */
export function formatHandOver(
  { proof, ring, introductions }: HandOver,
  { recipientKey, signAsWriter, random }: HandOverMaking,
): string {
  const content = JSON.stringify({
    ring: Buffer.from(encodeRing(ring)).toString('base64'),
    introductions: introductions.map(({ firstCommit, signature }) => ({
      firstCommit,
      signature: Buffer.from(signature).toString('base64'),
    })),
  });
  const publicKey = new Uint8Array(Buffer.from(recipientKey, 'base64url'));
  const sealed = sealHpke(publicKey, { info: infoOf(proof) }, Buffer.from(content), random);
  const signature = signAsWriter(signedOf(proof, sealed));
  const [sealedText, signatureText] = [sealed, signature].map((bytes) => Buffer.from(bytes).toString('base64'));
  const document = { type: 'holdfast-hand-over', version: 1, proof, sealed: sealedText, signature: signatureText };
  return `${JSON.stringify(document, undefined, 1)}\n`;
}

/**
 * Opens a hand-over with the key that its request named. Who made it is to be asked of it once the archive's writer is known.
 *
 * @throws agent_takeover.document_invalid, agent_takeover.for_another, takeover_proof.*
 */
export function openHandOver(text: string, own: HpkeKey, newDeviceKey: string): ReadHandOver {
  const { proof, ...document } = read(text, Document);
  const [sealed, signature] = [document.sealed, document.signature].map((coded) => Buffer.from(coded, 'base64'));
  const isOurs = openTakeoverProof(proof).newDeviceKey === newDeviceKey;
  const content = isOurs ? openHpke(own, { info: infoOf(proof) }, sealed!) : undefined;
  if (!content) throw takeoverErrors.for_another();
  const { ring, introductions } = read(Buffer.from(content).toString('utf8'), Content);
  content.fill(0);
  return {
    proof,
    ring: parseRing(new Uint8Array(Buffer.from(ring, 'base64'))),
    introductions: introductions.map(({ firstCommit, signature }) => ({
      firstCommit,
      signature: new Uint8Array(Buffer.from(signature, 'base64')),
    })),
    isFrom: (writerKey) => isSignedBy(writerKey, signedOf(proof, sealed!), signature!),
  };
}

const Content = z.strictObject({
  ring: z.base64(),
  introductions: z.array(z.strictObject({ firstCommit: z.number().int().min(1), signature: z.base64() })).max(4_096),
});

/** Of a proof: keys that were sealed beside one open beside no other. */
function infoOf({ text }: TakeoverProof): Uint8Array {
  const digest = createHash('sha256').update(text).digest();
  return new Uint8Array(Buffer.concat([Buffer.from('holdfast v1 hand over\0'), digest]));
}

/** What the old computer signs with the key that it signs commits with; those begin otherwise. */
function signedOf(proof: TakeoverProof, sealed: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([infoOf(proof), sealed]));
}

function read<T>(text: string, shape: z.ZodType<T>): T {
  try {
    return shape.parse(JSON.parse(text));
  } catch {
    // The parser's own words are not kept: they may quote keys.
    throw takeoverErrors.document_invalid();
  }
}

const Approval = z.strictObject({
  type: z.literal('holdfast-takeover-approval'),
  version: z.literal(1),
  proof: z.strictObject({ text: z.string().max(maxTakeoverProofText), signature: z.string().max(100) }),
});

/** The text of an administrator's approval: it lets the new computer write, and opens nothing. */
export function formatApproval(proof: TakeoverProof): string {
  return `${JSON.stringify({ type: 'holdfast-takeover-approval', version: 1, proof }, undefined, 1)}\n`;
}

/** Reads an approval. @throws agent_takeover.document_invalid, takeover_proof.* */
export function openApproval(text: string): TakeoverProof {
  const { proof } = read(text, Approval);
  openTakeoverProof(proof);
  return proof;
}
