/** What a signed note is made of, whatever signs it: its text, its signature lines, and keys as text. Source: C2SP, signed-note. */
import { createHash } from 'node:crypto';
import { defineErrors } from '@holdfast/base';

/** Failures of opening or making a signed note. */
export const noteErrors = defineErrors('note', {
  malformed: ['invalid', 'The text is not a signed note'],
  malformed_key: ['invalid', 'The text is not the verifier key of a signed note'],
  unverified: ['corrupt', 'No known key signed the note'],
  forged: ['corrupt', 'A signature in the name of a known key is false'],
  not_signable: ['invalid', 'The text cannot be signed as a note'],
});

/** Notes beyond these bounds are refused; C2SP asks for at least 16 signatures. */
const maxNoteBytes = 1024 * 1024;
const maxSignatures = 100;

const signaturePrefix = '\u2014 ';

/** A key as notes name it: `keyId` follows from its name, its type and the key. */
export type TypedKey = { readonly name: string; readonly keyId: number; readonly publicKey: Uint8Array };

/** The key of a type over a raw Ed25519 public key. @throws note.malformed_key */
export function typedKey(type: number, name: string, publicKey: Uint8Array): TypedKey {
  if (!isKeyName(name) || publicKey.length !== 32) throw noteErrors.malformed_key({ name });
  return { name, keyId: keyIdOf(type, name, publicKey), publicKey };
}

/** Reads `name+hex(key id)+base64(type, key)`. @throws note.malformed_key */
export function parseTypedKey(type: number, text: string): TypedKey {
  const [, name, keyId, encoded] = /^([^+]+)\+([0-9a-f]{8})\+([^\s]+)$/u.exec(text) ?? [];
  const typed = decodeBase64(encoded ?? '');
  if (!name || !keyId || typed?.length !== 33 || typed[0] !== type) throw noteErrors.malformed_key();
  const key = typedKey(type, name, typed.subarray(1));
  if (key.keyId !== Number.parseInt(keyId, 16)) throw noteErrors.malformed_key({ name });
  return key;
}

/** Writes a key in the form `parseTypedKey` reads. */
export function formatTypedKey(type: number, key: TypedKey): string {
  const typed = Uint8Array.of(type, ...key.publicKey);
  return `${key.name}+${key.keyId.toString(16).padStart(8, '0')}+${typed.toBase64()}`;
}

/** A line below the text of a note; whose it is only its name and id claim. */
export type NoteSignature = {
  readonly name: string;
  readonly keyId: number;
  readonly signature: Uint8Array;
  /** The line without its newline. */
  readonly line: string;
};

/** Takes a note apart, and judges no signature. @throws note.malformed */
export function splitNote(note: string): { readonly text: string; readonly signatures: readonly NoteSignature[] } {
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
  return { name: name!, keyId, signature: bytes.subarray(4), line };
}

/** Writes the line of a signature, with its newline. */
export function signatureLine({ name, keyId }: Omit<TypedKey, 'publicKey'>, signature: Uint8Array): string {
  const bytes = new Uint8Array(4 + signature.length);
  new DataView(bytes.buffer).setUint32(0, keyId);
  bytes.set(signature, 4);
  return `${signaturePrefix}${name} ${bytes.toBase64()}\n`;
}

function keyIdOf(type: number, name: string, publicKey: Uint8Array): number {
  return createHash('sha256')
    .update(`${name}\n`)
    .update(Uint8Array.of(type))
    .update(publicKey)
    .digest()
    .readUInt32BE(0);
}

function isKeyName(name: string): boolean {
  return name.length > 0 && name.isWellFormed() && !/[\p{White_Space}+]/u.test(name) && !hasControls(name);
}

/** Whether a text can be signed as a note. */
export function isNoteText(text: string): boolean {
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
