import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openXaes, sealXaes } from './xaes.ts';

const ascii = (text: string) => new TextEncoder().encode(text);
const nonce = ascii('ABCDEFGHIJKLMNOPQRSTUVWX');
const plaintext = ascii('XAES-256-GCM');

/** Both vectors of C2SP: one for each value of the bit that the doubling carries. */
const published = [
  { byte: 1, data: '', sealed: 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271' },
  { byte: 3, data: 'c2sp.org/XAES-256-GCM', sealed: '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d' },
];

test('the published vectors seal and open', () => {
  for (const { byte, data, sealed } of published) {
    const input = { key: new Uint8Array(32).fill(byte), nonce, associatedData: ascii(data) };
    assert.equal(sealXaes(input, plaintext).toHex(), sealed);
    assert.deepEqual(openXaes(input, Uint8Array.fromHex(sealed)), plaintext);
  }
});

test('what is sealed opens again, and with no bit changed anywhere', () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(bytes(32), bytes(24), fc.uint8Array({ minLength: 1 }), fc.uint8Array(), (key, n, data, text) => {
      const input = { key, nonce: n, associatedData: data };
      const sealed = sealXaes(input, text);
      assert.deepEqual(openXaes(input, sealed), new Uint8Array(text));
      const flip = (part: Uint8Array, at: number) => part.with(at % part.length, part[at % part.length]! ^ 1);
      const at = key[0]!;
      assert.equal(openXaes({ ...input, key: flip(key, at) }, sealed), undefined);
      assert.equal(openXaes({ ...input, nonce: flip(n, at) }, sealed), undefined);
      assert.equal(openXaes({ ...input, associatedData: flip(data, at) }, sealed), undefined);
      assert.equal(openXaes(input, flip(sealed, at)), undefined);
      assert.equal(openXaes(input, sealed.subarray(1)), undefined);
      assert.equal(openXaes(input, sealed.subarray(0, 15)), undefined);
    }),
    { numRuns: 100 },
  );
});
