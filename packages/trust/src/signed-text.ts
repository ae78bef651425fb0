import { createHash, createPublicKey, verify } from 'node:crypto';
import { forms, isOf, type Field } from './document-shape.ts';

/** A document with one signature: what is signed is a label that says what for, and the text. */
export type SignedText = {
  /** Canonical JSON. */
  readonly text: string;
  /** Ed25519, 64 bytes, base64url. */
  readonly signature: string;
};

/** Signs a message with an Ed25519 key: 64 bytes; where the private half lies is its own affair. */
export type Sign = (message: Uint8Array) => Uint8Array;

/** A signed text of a bounded length, as a member of another document. What it says and who signed it is not asked. */
export const isSignedText = (text: Field): Field => isOf({ text, signature: forms.signature64 });

/** Signs what a label says about a text or bytes: base64url. The label ends where the text begins, by a zero byte. */
export function signLabelled(label: string, text: string | Uint8Array, sign: Sign): string {
  return Buffer.from(sign(labelled(label, text))).toString('base64url');
}

/** Whether the holder of a public key (32 bytes, base64url) signed what a label says about a text or bytes; never an exception. */
export function isSignedLabelled(
  label: string,
  text: string | Uint8Array,
  { signature, publicKey }: { readonly signature: string; readonly publicKey: string },
): boolean {
  if (!forms.signature64(signature) || !forms.key32(publicKey)) return false;
  return verifyEd25519(Buffer.from(publicKey, 'base64url'), labelled(label, text), Buffer.from(signature, 'base64url'));
}

/** Whether a signature is one of the message by the holder of an Ed25519 key (32 bytes); false for what is none. */
export function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  const key = createPublicKey({ key: publicKey, format: 'raw-public', asymmetricKeyType: 'ed25519' });
  return verify(null, message, key, signature);
}

/** SHA-256 of a text in UTF-8, hex: how documents name one another. */
export function textSha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function labelled(label: string, text: string | Uint8Array): Uint8Array {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  return new Uint8Array(Buffer.concat([new TextEncoder().encode(`${label}\0`), bytes]));
}
