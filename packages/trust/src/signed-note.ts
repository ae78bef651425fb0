import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import {
  formatTypedKey,
  isNoteText,
  noteErrors,
  parseTypedKey,
  signatureLine,
  splitNote,
  typedKey,
} from './note-parts.ts';
import { verifyEd25519 } from './signed-text.ts';

export { noteErrors } from './note-parts.ts';

/** A key that notes are checked against; `keyId` is derived from the other two and only finds signatures. */
export type VerifierKey = {
  /** Not empty, without spaces and `+`; by custom a URL without its scheme. */
  readonly name: string;
  readonly keyId: number;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
};

/** Signs in a key's name; where the private half lies is its own affair. */
export type NoteSigner = { readonly key: VerifierKey; readonly sign: (message: Uint8Array) => Uint8Array };

/** A note whose signatures were checked: only now may its text be used. */
export type OpenedNote = { readonly text: string; readonly signedBy: readonly VerifierKey[] };

const ed25519Type = 1;

/** The verifier key of a raw Ed25519 public key (32 bytes) and the name it signs under. */
export function verifierKey(name: string, publicKey: Uint8Array): VerifierKey {
  return typedKey(ed25519Type, name, publicKey);
}

/** Reads `name+hex(key id)+base64(type, key)`, the text form in which keys are handed on; the id must fit the key. */
export function parseVerifierKey(text: string): VerifierKey {
  return parseTypedKey(ed25519Type, text);
}

/** Writes a key in the form `parseVerifierKey` reads. */
export function formatVerifierKey(key: VerifierKey): string {
  return formatTypedKey(ed25519Type, key);
}

/** A signer over an Ed25519 private key held in this process. */
export function noteSigner(name: string, privateKey: KeyObject): NoteSigner {
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  const key = verifierKey(name, Uint8Array.fromBase64(x ?? '', { alphabet: 'base64url' }));
  return { key, sign: (message) => sign(null, message, privateKey) };
}

/**
 * Signs a text: its lines, a blank line, one signature line for each signer.
 *
 * Source: C2SP, signed-note, Ed25519 signatures.
 * @throws note.not_signable when the text does not end in a newline or holds control characters.
 */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  if (!isNoteText(text) || signers.length === 0) throw noteErrors.not_signable();
  return `${text}\n${signers.map((signer) => signed(text, signer)).join('')}`;
}

/** Adds a signature to a note as it stands, as a witness does; the signatures it has are not judged. */
export function cosignNote(note: string, signer: NoteSigner): string {
  return note + signed(splitNote(note).text, signer);
}

/**
 * Opens a note: its text, and which of the known keys signed it.
 *
 * Signatures of unknown keys are ignored, so co-signatures and newer keys do no harm; a false signature in the name
 * of a known key condemns the note, whatever else it carries.
 * @throws note.malformed, note.forged, note.unverified
 */
export function openNote(note: string, keys: readonly VerifierKey[]): OpenedNote {
  const { text, signatures } = splitNote(note);
  const message = new TextEncoder().encode(text);
  const signedBy = keys.filter((key) => {
    const claimed = signatures.filter(({ name, keyId }) => name === key.name && keyId === key.keyId);
    for (const { signature } of claimed)
      if (!verifyEd25519(key.publicKey, message, signature)) throw noteErrors.forged({ name: key.name });
    return claimed.length > 0;
  });
  if (signedBy.length === 0) throw noteErrors.unverified();
  return { text, signedBy };
}

function signed(text: string, { key, sign: signMessage }: NoteSigner): string {
  return signatureLine(key, signMessage(new TextEncoder().encode(text)));
}
