import { type Cipheriv, createCipheriv, createDecipheriv } from 'node:crypto';

import { assert } from '@holdfast/base';

import { sealErrors } from './errors.ts';
import { release } from './release.ts';
import { derivationBlocks, doubleBlock, nonceBytes, tagBytes, type XaesOpener } from './xaes.ts';

/** What is sealed: its nonce, the message in as many parts as it lies in, and the bytes it is bound to. */
export type Message = {
  /** 24 bytes, never used twice under one key for different messages. */
  readonly nonce: Uint8Array;
  readonly parts: readonly Uint8Array[];
  readonly associated: Uint8Array;
};

/**
 * Seals and opens with XAES-256-GCM under one 32-byte key, synchronously, by Node's own cryptography.
 *
 * Holds an expanded AES key for as long as it lives, so that a message costs one call for its derived key.
 */
export class XaesKey implements XaesOpener {
  readonly #block: Cipheriv;
  readonly #k1: Uint8Array;

  constructor(key: Uint8Array) {
    assert(key.length === 32, 'an XAES key has 32 bytes');
    this.#block = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
    this.#k1 = doubleBlock(this.#block.update(new Uint8Array(16)));
  }

  /**
   * Writes the sealed message (ciphertext, then tag) to `target` from `offset` on and returns its length, which is that
   * of the parts and 16 more. The parts may lie in `target` themselves, even where the sealed bytes go.
   */
  sealInto(target: Uint8Array, offset: number, message: Message): number {
    const lengthBytes = message.parts.reduce((sum, part) => sum + part.length, tagBytes);
    assert(offset >= 0 && offset + lengthBytes <= target.length, 'the sealed message fits the target');
    const cipher = createCipheriv('aes-256-gcm', this.#derive(message.nonce), message.nonce.subarray(12));
    cipher.setAAD(message.associated);
    // All parts are read before any is written: they may overlap the target.
    const sealed = message.parts.map((part) => cipher.update(part));
    cipher.final();
    let at = offset;
    for (const part of sealed) {
      target.set(part, at);
      at += part.length;
      release(part);
    }
    target.set(cipher.getAuthTag(), at);
    return lengthBytes;
  }

  /** The sealed message in bytes of its own: what `sealInto` writes. */
  seal(message: Message): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(message.parts.reduce((sum, part) => sum + part.length, tagBytes));
    this.sealInto(out, 0, message);
    return out;
  }

  /** The message of `sealed` (ciphertext, then tag). @throws seal.not_authentic */
  open(nonce: Uint8Array, sealed: Uint8Array, associated: Uint8Array): Uint8Array<ArrayBuffer> {
    const derived = this.#derive(nonce);
    if (sealed.length < tagBytes) throw sealErrors.not_authentic({ sealedBytes: sealed.length });
    const tagAt = sealed.length - tagBytes;
    const decipher = createDecipheriv('aes-256-gcm', derived, nonce.subarray(12), { authTagLength: tagBytes });
    derived.fill(0);
    decipher.setAAD(associated).setAuthTag(sealed.subarray(tagAt));
    const message = decipher.update(sealed.subarray(0, tagAt));
    try {
      decipher.final();
    } catch (error) {
      throw sealErrors.not_authentic({ sealedBytes: sealed.length }, error);
    }
    return new Uint8Array(message.buffer, message.byteOffset, message.length);
  }

  /** Gives the expanded key back, which overwrites it: for a key that must not outlive its use. Nothing opens or seals after it. */
  close(): void {
    this.#block.final();
    this.#k1.fill(0);
  }

  #derive(nonce: Uint8Array): Uint8Array {
    assert(nonce.length === nonceBytes, 'an XAES nonce has 24 bytes');
    const [first, second] = derivationBlocks(nonce);
    const blocks = new Uint8Array(32);
    for (let i = 0; i < 16; i += 1) {
      blocks[i] = first[i]! ^ this.#k1[i]!;
      blocks[16 + i] = second[i]! ^ this.#k1[i]!;
    }
    return this.#block.update(blocks);
  }
}
