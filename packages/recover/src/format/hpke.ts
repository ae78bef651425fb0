import { createDecipheriv, createHmac, createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';

/** Names of kem 0x0020, and of it with kdf 0x0001 and aead 0x0002 (RFC 9180, 4.1 and 5.1). */
const KEM_SUITE = Buffer.from('KEM\x00\x20', 'latin1');
const SUITE = Buffer.from('HPKE\x00\x20\x00\x01\x00\x02', 'latin1');
const NONE = Buffer.alloc(0);

/** DER of X25519 keys up to their 32 bytes (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI_HEAD = Buffer.from('302a300506032b656e032100', 'hex');

/** The public key of an X25519 private key, 32 bytes both. */
export function publicHalf(privateKey: Buffer): Buffer {
  return createPublicKey(privateKeyOf(privateKey)).export({ format: 'der', type: 'spki' }).subarray(-32);
}

/** The shared secret of X25519; undefined for a point of small order (RFC 7748, 6.1). */
export function exchange(privateKey: Buffer, publicKey: Buffer): Buffer | undefined {
  const other = createPublicKey({ key: Buffer.concat([SPKI_HEAD, publicKey]), format: 'der', type: 'spki' });
  try {
    return diffieHellman({ privateKey: privateKeyOf(privateKey), publicKey: other });
  } catch {
    return undefined; // the result would be zero: nobody sealed this rightly
  }
}

/**
 * Opens an encapsulated key (32) and ciphertext with its tag (§5, "seal"); undefined when it is not for this key and info.
 *
 * HPKE, base mode, single shot, no associated data. Source: RFC 9180.
 */
export function openHpke(privateKey: Buffer, info: Buffer, sealed: Buffer): Buffer | undefined {
  if (sealed.length < 48) return undefined;
  const encapsulated = sealed.subarray(0, 32);
  const shared = exchange(privateKey, encapsulated);
  if (shared === undefined) return undefined;
  const { key, nonce } = sealingKey(shared, { encapsulated, recipient: publicHalf(privateKey), info });
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  decipher.setAuthTag(sealed.subarray(sealed.length - 16));
  const plain = decipher.update(sealed.subarray(32, sealed.length - 16));
  try {
    decipher.final();
  } catch {
    return undefined; // the tag does not hold: a normal answer to bytes that were sealed for another place
  }
  return plain;
}

/** Key and nonce of the AES-256-GCM inside (RFC 9180, 4.1 ExtractAndExpand and 5.1 KeySchedule). */
export function sealingKey(
  shared: Buffer,
  context: { readonly encapsulated: Buffer; readonly recipient: Buffer; readonly info: Buffer },
): { readonly key: Buffer; readonly nonce: Buffer } {
  const keys = Buffer.concat([context.encapsulated, context.recipient]);
  const eae = extract(KEM_SUITE, NONE, 'eae_prk', shared);
  const secret = expandLabeled(KEM_SUITE, eae, { label: 'shared_secret', info: keys, bytes: 32 });
  const hashes = [extract(SUITE, NONE, 'psk_id_hash', NONE), extract(SUITE, NONE, 'info_hash', context.info)];
  const scheduled = extract(SUITE, secret, 'secret', NONE);
  const info = Buffer.concat([Buffer.alloc(1), ...hashes]);
  return {
    key: expandLabeled(SUITE, scheduled, { label: 'key', info, bytes: 32 }),
    nonce: expandLabeled(SUITE, scheduled, { label: 'base_nonce', info, bytes: 12 }),
  };
}

function extract(suite: Buffer, salt: Buffer, label: string, keyMaterial: Buffer): Buffer {
  return createHmac('sha256', salt).update('HPKE-v1').update(suite).update(label).update(keyMaterial).digest();
}

/** One block of HKDF-Expand, since nothing here is longer than a hash. */
function expandLabeled(
  suite: Buffer,
  key: Buffer,
  { label, info, bytes }: { readonly label: string; readonly info: Buffer; readonly bytes: number },
): Buffer {
  const mac = createHmac('sha256', key)
    .update(Buffer.from([0, bytes]))
    .update('HPKE-v1')
    .update(suite);
  return mac
    .update(label)
    .update(info)
    .update(Buffer.from([1]))
    .digest()
    .subarray(0, bytes);
}

function privateKeyOf(privateKey: Buffer) {
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, privateKey]), format: 'der', type: 'pkcs8' });
}
