import { createHash, createPublicKey, sign, type KeyObject } from 'node:crypto';
import { defineErrors } from '@holdfast/base';
import { verifyEd25519 } from './signed-text.ts';

/** Failures of opening or making a signed note. */
export const noteErrors = defineErrors('note', {
  malformed: ['invalid', 'The text is not a signed note'],
  malformed_key: ['invalid', 'The text is not the verifier key of a signed note'],
  unverified: ['corrupt', 'No known key signed the note'],
  forged: ['corrupt', 'A signature in the name of a known key is false'],
  not_signable: ['invalid', 'The text cannot be signed as a note'],
});

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

/** Notes beyond these bounds are refused; C2SP asks for at least 16 signatures. */
const maxNoteBytes = 1024 * 1024;
const maxSignatures = 100;

const ed25519Type = 1;
const signaturePrefix = '\u2014 ';

/** The verifier key of a raw Ed25519 public key (32 bytes) and the name it signs under. */
export function verifierKey(name: string, publicKey: Uint8Array): VerifierKey {
  if (!isKeyName(name) || publicKey.length !== 32) throw noteErrors.malformed_key({ name });
  return { name, keyId: keyIdOf(name, publicKey), publicKey };
}

/** Reads `name+hex(key id)+base64(type, key)`, the text form in which keys are handed on; the id must fit the key. */
export function parseVerifierKey(text: string): VerifierKey {
  const [, name, keyId, encoded] = /^([^+]+)\+([0-9a-f]{8})\+([^\s]+)$/u.exec(text) ?? [];
  const typed = decodeBase64(encoded ?? '');
  if (!name || !keyId || typed?.length !== 33 || typed[0] !== ed25519Type) throw noteErrors.malformed_key();
  const key = verifierKey(name, typed.subarray(1));
  if (key.keyId !== Number.parseInt(keyId, 16)) throw noteErrors.malformed_key({ name });
  return key;
}

/** Writes a key in the form `parseVerifierKey` reads. */
export function formatVerifierKey(key: VerifierKey): string {
  const typed = Uint8Array.of(ed25519Type, ...key.publicKey);
  return `${key.name}+${key.keyId.toString(16).padStart(8, '0')}+${typed.toBase64()}`;
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
  return `${text}\n${signers.map((signer) => signatureLine(text, signer)).join('')}`;
}

/** Adds a signature to a note as it stands, as a witness does; the signatures it has are not judged. */
export function cosignNote(note: string, signer: NoteSigner): string {
  return note + signatureLine(splitNote(note).text, signer);
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

type NoteSignature = { readonly name: string; readonly keyId: number; readonly signature: Uint8Array };

function splitNote(note: string): { readonly text: string; readonly signatures: readonly NoteSignature[] } {
  if (note.length > maxNoteBytes || hasControls(note) || !note.isWellFormed()) throw noteErrors.malformed();
  const split = note.lastIndexOf('\n\n') + 1;
  const text = note.slice(0, split);
  const lines = note.slice(split + 1).split('\n');
  if (split === 0 || lines.pop() !== '' || lines.length === 0) throw noteErrors.malformed();
  if (lines.length > maxSignatures) throw noteErrors.malformed({ signatures: lines.length, maxSignatures });
  return { text, signatures: lines.map(parseSignatureLine) };
}

function parseSignatureLine(line: string): NoteSignature {
  const [name, encoded, ...rest] = line.slice(signaturePrefix.length).split(' ');
  const bytes = decodeBase64(encoded ?? '');
  const wellFormed = line.startsWith(signaturePrefix) && rest.length === 0 && isKeyName(name ?? '');
  if (!wellFormed || !bytes || bytes.length < 5) throw noteErrors.malformed();
  const keyId = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  return { name: name!, keyId, signature: bytes.subarray(4) };
}

function signatureLine(text: string, { key, sign: signMessage }: NoteSigner): string {
  const signature = signMessage(new TextEncoder().encode(text));
  const bytes = new Uint8Array(4 + signature.length);
  new DataView(bytes.buffer).setUint32(0, key.keyId);
  bytes.set(signature, 4);
  return `${signaturePrefix}${key.name} ${bytes.toBase64()}\n`;
}

function keyIdOf(name: string, publicKey: Uint8Array): number {
  const digest = createHash('sha256').update(`${name}\n`).update(Uint8Array.of(ed25519Type)).update(publicKey).digest();
  return digest.readUInt32BE(0);
}

function isKeyName(name: string): boolean {
  return name.length > 0 && name.isWellFormed() && !/[\p{White_Space}+]/u.test(name) && !hasControls(name);
}

function isNoteText(text: string): boolean {
  return text.endsWith('\n') && text.isWellFormed() && !hasControls(text) && text.length < maxNoteBytes / 4;
}

function hasControls(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- these characters are what the format forbids
  return /[\u0000-\u0009\u000b-\u001f]/u.test(text);
}

/** Standard base64 in its one spelling; undefined for any other, spaces included. */
function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    const bytes = Uint8Array.fromBase64(text, { lastChunkHandling: 'strict' });
    return bytes.toBase64() === text ? bytes : undefined;
  } catch {
    return undefined;
  }
}
