import assert from 'node:assert/strict';
import test from 'node:test';

import { createSigningKey, isSignedBy, signMessage } from './ed25519.node.ts';
import { generateSigningKeyWeb, isSignedByWeb, signMessageWeb } from './ed25519-web.ts';

/** RFC 8032, section 7.1, tests 1 to 3. */
const vectors: Uint8Array<ArrayBuffer>[][] = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
].map((row) => row.map((hex) => Uint8Array.fromHex(hex)));

test('the published vectors sign and verify in Node and verify in WebCrypto', async () => {
  for (const [seed, publicKey, message, signature] of vectors) {
    const key = createSigningKey(seed!);
    assert.deepEqual(key.publicKey, publicKey);
    assert.deepEqual(signMessage(key, message!), signature);
    assert.equal(isSignedBy(publicKey!, message!, signature!), true);
    assert.equal(await isSignedByWeb(publicKey!, message!, signature!), true);
  }
});

test('what WebCrypto signs, Node accepts', async () => {
  const key = await generateSigningKeyWeb();
  const message = Uint8Array.of(1, 2, 3);
  const signature = await signMessageWeb(key, message);
  assert.equal(isSignedBy(key.publicKey, message, signature), true);
  assert.equal(await isSignedByWeb(key.publicKey, message, signature), true);
  assert.equal(isSignedBy(key.publicKey, Uint8Array.of(1, 2), signature), false);
});

test('other keys, messages and signatures are refused without a throw, by both', async () => {
  const [, publicKey, message, signature] = vectors[2]! as [unknown, ...Uint8Array<ArrayBuffer>[]];
  const flip = (bytes: Uint8Array<ArrayBuffer>, at: number) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
  // The same signature with the group's order added to its second half: RFC 8032 refuses it.
  const order = Uint8Array.fromHex('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010');
  const malleable = signature!.slice();
  for (let i = 0, carry = 0; i < 32; i += 1) {
    const sum = malleable[32 + i]! + order[i]! + carry;
    malleable[32 + i] = sum & 255;
    carry = sum >> 8;
  }
  const refused = [
    [vectors[0]![1]!, message!, signature!],
    [flip(publicKey!, 0), message!, signature!],
    [new Uint8Array(32).fill(255), message!, signature!],
    [publicKey!.slice(0, 31), message!, signature!],
    [new Uint8Array(33), message!, signature!],
    [publicKey!, flip(message!, 1), signature!],
    [publicKey!, new Uint8Array(0), signature!],
    [publicKey!, message!, flip(signature!, 0)],
    [publicKey!, message!, flip(signature!, 63)],
    [publicKey!, message!, signature!.slice(0, 63)],
    [publicKey!, message!, new Uint8Array(64)],
    [publicKey!, message!, malleable],
  ] as const;
  for (const [index, [key, text, mark]] of refused.entries()) {
    assert.equal(isSignedBy(key, text, mark), false, `case ${index}`);
    assert.equal(await isSignedByWeb(key, text, mark), false, `case ${index}`);
  }
  for (let i = 0; i < refused.length; i += 1) {
    const key = createSigningKey(new Uint8Array(32).fill(i));
    const text = new Uint8Array(i * 1000).fill(i);
    const mark = signMessage(key, text);
    assert.equal(isSignedBy(key.publicKey, text, mark), true);
    assert.equal(await isSignedByWeb(key.publicKey, text, mark), true);
  }
});
