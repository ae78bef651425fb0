import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import test from 'node:test';

import fc from 'fast-check';

import { hkdf, hkdfExpand } from './derive.node.ts';
import { hkdfWeb, importHkdfSecret } from './derive-web.ts';

// RFC 5869, A.3: no salt, no label.
const secret = new Uint8Array(22).fill(0x0b);
const extracted = '19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04';
const expanded = '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8';

test('the published vector holds in Node and in WebCrypto', async () => {
  const none = new Uint8Array(0);
  assert.equal(hkdf(secret, none, '', 42).toHex(), expanded);
  assert.equal((await hkdfWeb(await importHkdfSecret(secret), none, '', 42)).toHex(), expanded);
  assert.equal(hkdfExpand(Uint8Array.fromHex(extracted), '', 42).toHex(), expanded);
});

test('all three forms agree for any secret, salt, label and length', async () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 80 }).map((array) => new Uint8Array(array));
  const label = fc.string({ unit: 'grapheme-ascii', maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(bytes, bytes, label, fc.integer({ min: 1, max: 8160 }), async (secret, salt, label, length) => {
      const derived = hkdf(secret, salt, label, length);
      assert.equal(derived.length, length);
      assert.deepEqual(await hkdfWeb(await importHkdfSecret(secret), salt, label, length), derived);
      assert.deepEqual(hkdfExpand(createHmac('sha256', salt).update(secret).digest(), label, length), derived);
    }),
    { numRuns: 60 },
  );
});

test('a key has 32 bytes unless said otherwise', async () => {
  assert.equal(hkdf(secret, secret, 'label').length, 32);
  assert.equal((await hkdfWeb(await importHkdfSecret(secret), secret, 'label')).length, 32);
});
