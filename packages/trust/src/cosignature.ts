import { formatTypedKey, noteErrors, parseTypedKey, splitNote, typedKey, type NoteSignature } from './note-parts.ts';
import { verifyEd25519 } from './signed-text.ts';

/** The key of a witness, by which its cosignatures are checked. Not one that signs notes: its id is another. */
export type WitnessKey = {
  /** Not empty, without spaces and `+`; by custom a URL without its scheme. */
  readonly name: string;
  readonly keyId: number;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
};

/**
 * A cosignature that was checked: at that time, the head was the largest of its log that the witness had seen, and continued
 * all that it had seen before.
 */
export type Cosignature = {
  readonly key: WitnessKey;
  /** By the clock of the witness. */
  readonly cosignedAt: Date;
  /** The signature line, without its newline. */
  readonly line: string;
};

/** Ed25519 cosignatures. */
const cosignatureType = 4;
const TIME_BYTES = 8;
const SIGNATURE_BYTES = 64;
/** The last second of the year 9999: what comes later is no time, and no calendar shows it. */
const LAST_SECOND = 253_402_300_799n;

/** The key of a witness of some name, from its raw Ed25519 public key (32 bytes). @throws note.malformed_key */
export function witnessKey(name: string, publicKey: Uint8Array): WitnessKey {
  return typedKey(cosignatureType, name, publicKey);
}

/** Reads a witness's key, `name+hex(key id)+base64(4, key)`; the id must fit the key. @throws note.malformed_key */
export function parseWitnessKey(text: string): WitnessKey {
  return parseTypedKey(cosignatureType, text);
}

/** Writes a key in the form `parseWitnessKey` reads. */
export function formatWitnessKey(key: WitnessKey): string {
  return formatTypedKey(cosignatureType, key);
}

/**
 * The cosignatures of a head by known witnesses, at most one of each: the newest. Who signed the head itself is not judged.
 *
 * Lines of unknown keys are ignored; a false one in the name of a known witness condemns the note, whatever else it carries.
 * Source: C2SP, tlog-cosignature, Ed25519.
 * @throws note.malformed, note.forged
 */
export function openCosignatures(note: string, keys: readonly WitnessKey[]): readonly Cosignature[] {
  const { text, signatures } = splitNote(note);
  return keys.flatMap((key) => {
    const claimed = signatures.filter(({ name, keyId }) => name === key.name && keyId === key.keyId);
    const opened = claimed.map((signature) => openOne(text, signature, key));
    return opened.toSorted((a, b) => b.cosignedAt.getTime() - a.cosignedAt.getTime()).slice(0, 1);
  });
}

function openOne(text: string, { signature, line }: NoteSignature, key: WitnessKey): Cosignature {
  if (signature.length !== TIME_BYTES + SIGNATURE_BYTES) throw noteErrors.forged({ name: key.name });
  const seconds = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0);
  const isTime = seconds <= LAST_SECOND;
  if (!isTime || !verifyEd25519(key.publicKey, cosignedMessage(text, seconds), signature.subarray(TIME_BYTES)))
    throw noteErrors.forged({ name: key.name });
  return { key, cosignedAt: new Date(Number(seconds) * 1_000), line };
}

/** What a witness signs: the time in seconds since 1970, and the text of the head. */
export function cosignedMessage(text: string, seconds: bigint): Uint8Array {
  return new TextEncoder().encode(`cosignature/v1\ntime ${seconds}\n${text}`);
}
