import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';

import { CodedError } from '@holdfast/base';
import fc from 'fast-check';

import { hkdf } from './derive.node.ts';
import { importHkdfSecret } from './derive-web.ts';
import { deriveXaesKey, importXaesKey } from './xaes-web.ts';
import { derivationBlocks, doubleBlock } from './xaes.ts';
import { XaesKey } from './xaes.node.ts';

const ascii = (text: string) => new Uint8Array(new TextEncoder().encode(text));
const isNotAuthentic = (error: unknown) => error instanceof CodedError && error.code === 'seal.not_authentic';

/** Test vectors of https://c2sp.org/XAES-256-GCM; in the first the top bit of L is 0, in the second 1. */
const vectors = [
  {
    key: new Uint8Array(32).fill(1),
    l: '7298caa565031eadc6ce23d23ea66378',
    k1: 'e531954aca063d5b8d9c47a47d4cc6f0',
    aad: ascii(''),
    sealed: 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271',
  },
  {
    key: new Uint8Array(32).fill(3),
    l: '91c08762876dccf9ba204a33768fa5fe',
    k1: '23810ec50edb99f374409466ed1f4b7b',
    aad: ascii('c2sp.org/XAES-256-GCM'),
    sealed: '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d',
  },
];
const nonce = ascii('ABCDEFGHIJKLMNOPQRSTUVWX');
const plaintext = ascii('XAES-256-GCM');

test('both published vectors seal and open in Node and open in WebCrypto', async () => {
  for (const { key, aad, sealed } of vectors) {
    const bytes = Uint8Array.fromHex(sealed);
    const node = new XaesKey(key);
    assert.equal(node.seal({ nonce, parts: [plaintext], associated: aad }).toHex(), sealed);
    assert.deepEqual(node.open(nonce, bytes, aad), plaintext);
    assert.deepEqual(await (await importXaesKey(key)).open(nonce, bytes, aad), plaintext);
  }
});

test('the steps of the derivation are the published ones', () => {
  for (const { l, k1 } of vectors) assert.equal(doubleBlock(Uint8Array.fromHex(l)).toHex(), k1);
  assert.deepEqual(
    derivationBlocks(nonce).map((block) => block.toHex()),
    ['000158004142434445464748494a4b4c', '000258004142434445464748494a4b4c'],
  );
});

test('the accumulated vector over 10,000 random messages holds', async () => {
  // Keys, nonces, messages and associated data are read from one SHAKE-128 stream, lengths included.
  const stream = createHash('shake128', { outputLength: 10_000 * (32 + 24 + 2 + 2 * 255) }).digest();
  let at = 0;
  const read = (length: number) => new Uint8Array(stream.subarray(at, (at += length)));
  const accumulated = createHash('shake128', { outputLength: 32 });
  for (let i = 0; i < 10_000; i += 1) {
    const key = read(32);
    const nonce = read(24);
    const message = read(read(1)[0]!);
    const aad = read(read(1)[0]!);
    const node = new XaesKey(key);
    const sealed = node.seal({ nonce, parts: [message], associated: aad });
    assert.deepEqual(node.open(nonce, sealed, aad), message);
    // Each costs WebCrypto five calls: every hundredth will do.
    if (i % 100 === 0) assert.deepEqual(await (await importXaesKey(key)).open(nonce, sealed, aad), message);
    accumulated.update(sealed);
  }
  assert.equal(accumulated.digest('hex'), 'e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939');
});

test('a message in parts is sealed like the same bytes in one, at any place of the target and over itself', () => {
  const key = new XaesKey(new Uint8Array(32).fill(9));
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 70 }), { maxLength: 5 }),
      fc.uint8Array({ maxLength: 60 }),
      fc.uint8Array({ minLength: 24, maxLength: 24 }),
      fc.nat(40),
      (parts, associated, nonce, offset) => {
        const whole = Uint8Array.from(parts.flatMap((part) => [...part]));
        const sealed = key.seal({ nonce, parts: [whole], associated });
        const target = new Uint8Array(offset + sealed.length + 7).fill(0xee);
        assert.equal(key.sealInto(target, offset, { nonce, parts, associated }), sealed.length);
        assert.deepEqual(target.subarray(offset, offset + sealed.length), sealed);
        const around = [...target.subarray(0, offset), ...target.subarray(offset + sealed.length)];
        assert.ok(around.every((byte) => byte === 0xee));
        const inPlace = new Uint8Array(sealed.length);
        inPlace.set(whole);
        key.sealInto(inPlace, 0, { nonce, parts: [inPlace.subarray(0, whole.length)], associated });
        assert.deepEqual(inPlace, sealed);
      },
    ),
  );
});

test('any change is refused by both implementations, and every unchanged message opens', async () => {
  const key = new Uint8Array(32).fill(5);
  const otherKey = new Uint8Array(32).fill(6);
  const aad = ascii('bound to this');
  const flip = (bytes: Uint8Array<ArrayBuffer>, at: number) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
  const sealed = new XaesKey(key).seal({ nonce, parts: [plaintext], associated: aad });
  const refused: [
    Uint8Array<ArrayBuffer>,
    Uint8Array<ArrayBuffer>,
    Uint8Array<ArrayBuffer>,
    Uint8Array<ArrayBuffer>,
  ][] = [
    [key, flip(nonce, 0), sealed, aad],
    [key, flip(nonce, 11), sealed, aad],
    [key, flip(nonce, 12), sealed, aad],
    [key, flip(nonce, 23), sealed, aad],
    [key, nonce, flip(sealed, 0), aad],
    [key, nonce, flip(sealed, sealed.length - 1), aad],
    [key, nonce, sealed.slice(0, -1), aad],
    [key, nonce, sealed.slice(0, 16), aad],
    [key, nonce, sealed.slice(0, 15), aad],
    [key, nonce, new Uint8Array(0), aad],
    [key, nonce, sealed, flip(aad, 0)],
    [key, nonce, sealed, aad.slice(0, -1)],
    [key, nonce, sealed, new Uint8Array(0)],
    [otherKey, nonce, sealed, aad],
  ];
  for (const [k, n, s, a] of refused) {
    assert.throws(() => new XaesKey(k).open(n, s, a), isNotAuthentic);
    await assert.rejects(async () => (await importXaesKey(k)).open(n, s, a), isNotAuthentic);
  }
  const lengths = [0, 1, 15, 16, 17, 41, 511, 512, 4096, 65_535, 65_536, 100_000, 262_144, 1_048_576];
  assert.equal(lengths.length, refused.length);
  for (const length of lengths) {
    const message = new Uint8Array(length).fill(length);
    const bytes = new XaesKey(key).seal({ nonce, parts: [message], associated: aad });
    assert.deepEqual(new XaesKey(key).open(nonce, bytes, aad), message);
    assert.deepEqual(await (await importXaesKey(key)).open(nonce, bytes, aad), message);
  }
});

test('a key derived inside WebCrypto opens what the key derived by Node sealed', async () => {
  const secret = new Uint8Array(32).fill(8);
  const salt = ascii('an archive id...');
  const sealed = new XaesKey(hkdf(secret, salt, 'holdfast v1 data')).seal({
    nonce,
    parts: [plaintext],
    associated: salt,
  });
  const web = await importHkdfSecret(secret);
  assert.deepEqual(await (await deriveXaesKey(web, salt, 'holdfast v1 data')).open(nonce, sealed, salt), plaintext);
  const metadata = await deriveXaesKey(web, salt, 'holdfast v1 metadata');
  await assert.rejects(async () => metadata.open(nonce, sealed, salt), isNotAuthentic);
});
