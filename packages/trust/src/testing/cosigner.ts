import { createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { cosignedMessage, witnessKey, type WitnessKey } from '../cosignature.ts';
import { signatureLine, splitNote } from '../note-parts.ts';

/** Signs heads as a witness does, without looking at them. */
export type Cosigner = {
  readonly key: WitnessKey;
  /** The line to be added to a note, with its newline. */
  readonly line: (note: string, at: Date) => string;
};

/** A witness's key, a new one unless it is given. */
export function newCosigner(name: string, privateKey: KeyObject = generateKeyPairSync('ed25519').privateKey): Cosigner {
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  const key = witnessKey(name, Uint8Array.fromBase64(x ?? '', { alphabet: 'base64url' }));
  return {
    key,
    line(note, at) {
      const seconds = BigInt(Math.floor(at.getTime() / 1_000));
      const time = new Uint8Array(8);
      new DataView(time.buffer).setBigUint64(0, seconds);
      const signature = sign(null, cosignedMessage(splitNote(note).text, seconds), privateKey);
      return signatureLine(key, Buffer.concat([time, signature]));
    },
  };
}
