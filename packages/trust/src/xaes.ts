import { createCipheriv, createDecipheriv } from 'node:crypto';
import { assert } from '@holdfast/base';

/** Bytes of a key, of a nonce, and of the tag behind the ciphertext. */
export const xaesBytes = { key: 32, nonce: 24, tag: 16 } as const;

/** What one sealing takes; the associated data is authenticated and not kept. */
export type XaesInput = {
  readonly key: Uint8Array;
  /** 24 bytes; so many that random ones never meet. */
  readonly nonce: Uint8Array;
  readonly associatedData: Uint8Array;
};

/**
 * Seals with XAES-256-GCM: the ciphertext with its tag of 16 bytes behind it.
 *
 * Source: C2SP, XAES-256-GCM.
 */
export function sealXaes(input: XaesInput, plaintext: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', subkeyOf(input), input.nonce.subarray(12));
  cipher.setAAD(input.associatedData);
  return new Uint8Array(Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]));
}

/** Opens what `sealXaes` made; undefined when key, nonce, data or ciphertext is another. */
export function openXaes(input: XaesInput, sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < xaesBytes.tag) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', subkeyOf(input), input.nonce.subarray(12));
  decipher.setAAD(input.associatedData);
  decipher.setAuthTag(sealed.subarray(-xaesBytes.tag));
  const plaintext = decipher.update(sealed.subarray(0, -xaesBytes.tag));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return new Uint8Array(plaintext);
}

/** The AES-256 key for this nonce: CMAC of the counter, an "X" and the first half of the nonce, twice. */
function subkeyOf({ key, nonce }: XaesInput): Uint8Array {
  assert(key.length === xaesBytes.key && nonce.length === xaesBytes.nonce, 'an XAES key has 32 bytes, a nonce 24');
  const mask = doubled(encryptBlocks(key, new Uint8Array(16)));
  const blocks = new Uint8Array(32);
  for (const half of [0, 1]) {
    blocks.set([0, half + 1, 0x58, 0, ...nonce.subarray(0, 12)], half * 16);
    mask.forEach((byte, index) => (blocks[half * 16 + index]! ^= byte));
  }
  return encryptBlocks(key, blocks);
}

function encryptBlocks(key: Uint8Array, blocks: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
  return cipher.update(blocks);
}

/** Twice a block in GF(2^128), as CMAC derives its first subkey (NIST SP 800-38B). */
function doubled(block: Uint8Array): Uint8Array {
  const carry = block[0]! >> 7;
  return block.map((byte, index) => ((byte << 1) | ((block[index + 1] ?? 0) >> 7)) ^ (index === 15 ? carry * 0x87 : 0));
}
