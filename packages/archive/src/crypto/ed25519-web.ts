/** A writer's secret key, held by WebCrypto, and its public half as 32 bytes. */
export type WebSigningKey = {
  readonly secret: Awaited<ReturnType<typeof crypto.subtle.importKey>>;
  readonly publicKey: Uint8Array<ArrayBuffer>;
};

/** Makes an Ed25519 key pair whose secret half does not leave WebCrypto. */
export async function generateSigningKeyWeb(): Promise<WebSigningKey> {
  const pair = await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify']);
  if (!('privateKey' in pair)) throw new TypeError('WebCrypto gave no Ed25519 key pair');
  return {
    secret: pair.privateKey,
    publicKey: new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey)),
  };
}

/** The Ed25519 signature (RFC 8032, 64 bytes) of a message, through WebCrypto. */
export async function signMessageWeb(
  key: WebSigningKey,
  message: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.sign('Ed25519', key.secret, message));
}

/** Whether `signature` is one of the message by the holder of `publicKey`, through WebCrypto. False for bytes that are no key. */
export async function isSignedByWeb(
  publicKey: Uint8Array<ArrayBuffer>,
  message: Uint8Array<ArrayBuffer>,
  signature: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  const key = await importPublicKey(publicKey);
  return key !== undefined && crypto.subtle.verify('Ed25519', key, signature, message);
}

async function importPublicKey(publicKey: Uint8Array<ArrayBuffer>) {
  try {
    return await crypto.subtle.importKey('raw', publicKey, 'Ed25519', false, ['verify']);
  } catch (error) {
    // Browsers differ in when they notice that 32 bytes are not a point; without Ed25519 at all it is another matter.
    if (error instanceof Error && error.name === 'NotSupportedError') throw error;
    return undefined;
  }
}
