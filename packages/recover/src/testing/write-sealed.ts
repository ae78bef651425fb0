import { createCipheriv } from 'node:crypto';
import { exchange, publicHalf, sealingKey } from '../format/hpke.ts';

/** Seals to a public key: encapsulated key and ciphertext with its tag; `ephemeral` is the private key that it uses. */
export function sealHpke(
  recipient: Buffer,
  sealing: { readonly info: Buffer; readonly plain: Buffer; readonly ephemeral: Buffer },
): Buffer {
  const encapsulated = publicHalf(sealing.ephemeral);
  const shared = exchange(sealing.ephemeral, recipient)!;
  const { key, nonce } = sealingKey(shared, { encapsulated, recipient, info: sealing.info });
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  return Buffer.concat([encapsulated, cipher.update(sealing.plain), cipher.final(), cipher.getAuthTag()]);
}
