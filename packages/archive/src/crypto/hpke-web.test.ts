import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';

import { joinBytes } from '../format/cursor.ts';
import { publicHalf, sealToPublicKey } from '../testing/seal-to-public-key.ts';
import { openHpkeWeb } from './hpke-web.ts';

const random = (bytes: number): Uint8Array<ArrayBuffer> => joinBytes(randomBytes(bytes));
const info = new TextEncoder().encode('purpose');
const flip = (bytes: Uint8Array<ArrayBuffer>, at: number) => bytes.with(at, bytes[at]! ^ 1);

test('what was sealed to a public key opens with its private key and purpose alone, and with no bit changed', async () => {
  const [key, secret] = [random(32), random(32)];
  const sealed = joinBytes(sealToPublicKey(publicHalf(key), info, secret, random(32)));
  const refused = [
    openHpkeWeb(random(32), info, sealed),
    openHpkeWeb(key, info.subarray(1), sealed),
    openHpkeWeb(key, new Uint8Array(), sealed),
    openHpkeWeb(key, info, joinBytes(sealed, Uint8Array.of(0))),
    ...Array.from(sealed, (_, at) => openHpkeWeb(key, info, flip(sealed, at))),
    ...Array.from(sealed, (_, at) => openHpkeWeb(key, info, sealed.subarray(0, at))),
  ];
  for (const outcome of await Promise.allSettled(refused)) {
    assert.equal(outcome.status === 'rejected' && (outcome.reason as { code?: string }).code, 'seal.not_authentic');
  }
  for (let length = 0; length < 100; length += 7) {
    const [own, plain, purpose] = [random(32), random(length), random(100 - length)];
    const bytes = joinBytes(sealToPublicKey(publicHalf(own), purpose, plain, random(32)));
    assert.deepEqual(await openHpkeWeb(own, purpose, bytes), plain);
  }
});

test('an encapsulated key of small order is refused as what does not open', async () => {
  for (const first of [0, 1]) {
    const sealed = joinBytes(Uint8Array.of(first), new Uint8Array(31), random(48));
    await assert.rejects(openHpkeWeb(random(32), info, sealed), { code: 'seal.not_authentic' });
  }
});
