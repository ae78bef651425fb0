import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

/** Bytes of an Ed25519 signature. */
export const signatureBytes = 64;

/** A writer's key pair: the secret half as Node holds it, the public half as 32 bytes. */
export type SigningKey = {
  readonly secret: KeyObject;
  readonly publicKey: Uint8Array<ArrayBuffer>;
};

/** The key pair of a 32-byte seed (the private key of RFC 8032). */
export function createSigningKey(seed: Uint8Array): SigningKey {
  const secret = createPrivateKey({ key: seed, format: 'raw-private', asymmetricKeyType: 'ed25519' });
  return { secret, publicKey: new Uint8Array(createPublicKey(secret).export({ format: 'raw-public' })) };
}

/** The Ed25519 signature (RFC 8032, 64 bytes) of a message. */
export function signMessage(key: SigningKey, message: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(sign(null, message, key.secret));
}

/** Whether `signature` is one of the message by the holder of `publicKey`. False, never a throw, for bytes that are no key. */
export function isSignedBy(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== signatureBytes) return false;
  const key = createPublicKey({ key: publicKey, format: 'raw-public', asymmetricKeyType: 'ed25519' });
  return verify(null, message, key, signature);
}
