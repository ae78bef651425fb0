import { assert } from '@holdfast/base';

/**
 * XAES-256-GCM: AES-256-GCM under a key derived from the first half of a 24-byte nonce, so that random nonces are safe
 * for 2^80 messages. What both implementations share. Source: C2SP, https://c2sp.org/XAES-256-GCM
 */

/** Bytes of a nonce. */
export const nonceBytes = 24;

/** Bytes by which sealing lengthens a message. */
export const tagBytes = 16;

/** Opens what was sealed; one implementation is synchronous (Node), the other is not (WebCrypto). */
export type XaesOpener = {
  /** The message of `sealed` (ciphertext, then tag). @throws seal.not_authentic */
  open(
    nonce: Uint8Array<ArrayBuffer>,
    sealed: Uint8Array<ArrayBuffer>,
    associated: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>;
};

/** The CMAC subkey K1 for L, the encryption of the zero block: L doubled in GF(2^128) (NIST SP 800-38B, 6.1). */
export function doubleBlock(block: Uint8Array): Uint8Array<ArrayBuffer> {
  assert(block.length === 16, 'an AES block has 16 bytes');
  const doubled = new Uint8Array(16);
  for (let i = 0; i < 16; i += 1) doubled[i] = (block[i]! << 1) | ((block[i + 1] ?? 0) >> 7);
  if (block[0]! & 0x80) doubled[15]! ^= 0x87;
  return doubled;
}

/** The two blocks whose CMACs are the two halves of the derived key: counter, label "X", first half of the nonce. */
export function derivationBlocks(nonce: Uint8Array): readonly [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>] {
  assert(nonce.length === nonceBytes, 'an XAES nonce has 24 bytes');
  const first = new Uint8Array(16);
  first.set([0x00, 0x01, 0x58, 0x00]);
  first.set(nonce.subarray(0, 12), 4);
  const second = first.slice();
  second[1] = 0x02;
  return [first, second];
}
