import { createHmac, hkdfSync } from 'node:crypto';

/** HKDF-SHA-256 (RFC 5869): `lengthBytes` bytes derived from `secret`, at once. `label` is ASCII. */
export function hkdf(
  secret: Uint8Array,
  salt: Uint8Array,
  label: string,
  lengthBytes: number = 32,
): Uint8Array<ArrayBuffer> {
  return new Uint8Array(hkdfSync('sha256', secret, salt, label, lengthBytes));
}

/** The second half of HKDF-SHA-256 alone, for a `key` that is uniformly random already; at most 8,160 bytes. */
export function hkdfExpand(key: Uint8Array, label: string, lengthBytes: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(Math.ceil(lengthBytes / 32) * 32);
  let previous = new Uint8Array(0);
  for (let block = 0; block * 32 < lengthBytes; block += 1) {
    const mac = createHmac('sha256', key)
      .update(previous)
      .update(label)
      .update(Uint8Array.of(block + 1));
    previous = new Uint8Array(mac.digest());
    out.set(previous, block * 32);
  }
  return out.subarray(0, lengthBytes);
}
