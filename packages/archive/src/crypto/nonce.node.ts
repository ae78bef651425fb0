import { createHmac, type KeyObject } from 'node:crypto';

import { assert } from '@holdfast/base';

import { nonceBytes } from './xaes.ts';

/** Everything that shapes the plaintext of a record, and where it goes. */
export type NonceShape = {
  /** 24 fresh random bytes. */
  readonly random: Uint8Array;
  /** Bytes 0 to 23 of the record's header: kind, epoch, ordinal and lengths. */
  readonly headerStart: Uint8Array;
  /** SHA-256 of the open part. */
  readonly openHash: Uint8Array;
  /** Bytes 0 to 40 of the plaintext: compression, lengths, SHA-256 of the raw bytes. */
  readonly plaintextStart: Uint8Array;
  /** Name, version and level of the compressor: the same raw bytes give another payload under another one. */
  readonly compressor: string;
};

/**
 * A nonce of 24 bytes that repeats only for the same plaintext at the same place, even when a machine was cloned or
 * rolled back with its random generator (docs/formats/archive-v1.md section 2).
 *
 * All parts but the last have fixed lengths, so no two shapes give the same input.
 */
export function hedgeNonce(nonceKey: KeyObject | Uint8Array, shape: NonceShape): Uint8Array<ArrayBuffer> {
  assert(shape.random.length === 24, 'a nonce is hedged with 24 random bytes');
  assert(shape.headerStart.length === 24, 'a nonce is hedged with 24 bytes of the header');
  assert(shape.openHash.length === 32, 'a nonce is hedged with a SHA-256');
  assert(shape.plaintextStart.length === 41, 'a nonce is hedged with 41 bytes of the plaintext');
  const mac = createHmac('sha256', nonceKey)
    .update(shape.random)
    .update(shape.headerStart)
    .update(shape.openHash)
    .update(shape.plaintextStart)
    .update(shape.compressor)
    .digest();
  return new Uint8Array(mac.subarray(0, nonceBytes));
}
