/** A key held by WebCrypto. */
export type WebKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/** Hands a secret of any length to WebCrypto as a source of keys; it does not come out again. */
export function importHkdfSecret(secret: Uint8Array<ArrayBuffer>): Promise<WebKey> {
  return crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits', 'deriveKey']);
}

/** HKDF-SHA-256 (RFC 5869) through WebCrypto alone: what `hkdf` of `derive.node.ts` gives. */
export async function hkdfWeb(
  secret: WebKey,
  salt: Uint8Array<ArrayBuffer>,
  label: string,
  lengthBytes: number = 32,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.deriveBits(hkdfParameters(salt, label), secret, lengthBytes * 8));
}

/** The parameters by which WebCrypto derives with HKDF-SHA-256; `label` is ASCII. */
export function hkdfParameters(salt: Uint8Array<ArrayBuffer>, label: string) {
  return { name: 'HKDF', hash: 'SHA-256', salt, info: new TextEncoder().encode(label) };
}
