import assert from 'node:assert/strict';
import { createHmac, createSecretKey } from 'node:crypto';
import test from 'node:test';

import { hedgeNonce, type NonceShape } from './nonce.node.ts';

const nonceKey = new Uint8Array(32).fill(1);
const shape: NonceShape = {
  random: new Uint8Array(24).fill(2),
  headerStart: new Uint8Array(24).fill(3),
  openHash: new Uint8Array(32).fill(4),
  plaintextStart: new Uint8Array(41).fill(5),
  compressor: 'zstd 1.5.7 3',
};

test('the nonce is the start of an HMAC over the parts in the order of the format document', () => {
  const { random, headerStart, openHash, plaintextStart, compressor } = shape;
  const input = Buffer.concat([random, headerStart, openHash, plaintextStart, Buffer.from(compressor)]);
  const expected = createHmac('sha256', nonceKey).update(input).digest().subarray(0, 24).toString('hex');
  assert.equal(hedgeNonce(nonceKey, shape).toHex(), expected);
  assert.equal(hedgeNonce(createSecretKey(nonceKey), shape).toHex(), expected);
});

test('a repeated random number gives the same nonce only when nothing else differs', () => {
  const first = (bytes: Uint8Array) => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
  const last = (bytes: Uint8Array) => bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 0x80 : byte));
  const others: NonceShape[] = [
    { ...shape, random: first(shape.random) },
    { ...shape, headerStart: first(shape.headerStart) },
    { ...shape, headerStart: last(shape.headerStart) },
    { ...shape, openHash: last(shape.openHash) },
    { ...shape, plaintextStart: first(shape.plaintextStart) },
    { ...shape, plaintextStart: last(shape.plaintextStart) },
    { ...shape, compressor: 'zstd 1.5.8 3' },
    { ...shape, compressor: 'zstd 1.5.7 1' },
    { ...shape, compressor: 'none' },
  ];
  const nonces = [shape, ...others].map((each) => hedgeNonce(nonceKey, each).toHex());
  assert.equal(new Set([...nonces, hedgeNonce(first(nonceKey), shape).toHex()]).size, others.length + 2);
  assert.equal(hedgeNonce(nonceKey, structuredClone(shape)).toHex(), nonces[0]);
});

test('parts of another length are a bug, not another nonce', () => {
  for (const wrong of [
    { ...shape, random: new Uint8Array(23) },
    { ...shape, headerStart: new Uint8Array(48) },
    { ...shape, openHash: new Uint8Array(0) },
    { ...shape, plaintextStart: new Uint8Array(40) },
  ]) {
    assert.throws(() => hedgeNonce(nonceKey, wrong), /assertion failed/);
  }
});
