import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { systemRandom } from '@holdfast/base';
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import fc from 'fast-check';
import { hpkeBytes, hpkeKeyId, importHpkeKey, openHpke, sealHpke } from './hpke.ts';

const hex = (text: string) => Uint8Array.fromHex(text);
const text = (content: string) => new TextEncoder().encode(content);

/**
 * The vector set of RFC 9180 (github.com/cfrg/draft-irtf-cfrg-hpke, test-vectors.json): mode 0, kem 0x0020, kdf 0x0001,
 * aead 0x0002, the first encryption. The RFC's own appendix prints this KEM with its other two AEADs only.
 */
const vector = {
  info: hex('4f6465206f6e2061204772656369616e2055726e'),
  ikmE: hex('2cd7c601cefb3d42a62b04b7a9041494c06c7843818e0ce28a8f704ae7ab20f9'),
  skRm: hex('497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d'),
  pkRm: hex('430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c'),
  enc: '6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256',
  associatedData: hex('436f756e742d30'),
  plaintext: hex('4265617574792069732074727574682c20747275746820626561757479'),
  ciphertext: 'e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a',
};

test('sealing and opening are those of the vectors of RFC 9180', () => {
  const { info, associatedData, plaintext } = vector;
  const key = importHpkeKey(vector.skRm);
  assert.deepEqual(key.publicKey, vector.pkRm);
  const sealed = sealHpke(vector.pkRm, { info, associatedData }, plaintext, () => vector.ikmE.slice());
  assert.equal(sealed.toHex(), vector.enc + vector.ciphertext);
  assert.deepEqual(openHpke(key, { info, associatedData }, sealed), plaintext);
});

test('what was sealed opens with its key, purpose and data alone', () => {
  const key = importHpkeKey(systemRandom(32));
  const context = { info: text('purpose'), associatedData: text('data') };
  const sealed = sealHpke(key.publicKey, context, text('secret'), systemRandom);
  assert.equal(sealed.length, 6 + hpkeBytes.overhead);
  const refused = [
    openHpke(importHpkeKey(systemRandom(32)), context, sealed),
    openHpke(key, { ...context, info: text('Purpose') }, sealed),
    openHpke(key, { ...context, info: text('purposed') }, sealed),
    openHpke(key, { info: text('purpose') }, sealed),
    openHpke(key, context, sealed.subarray(1)),
    openHpke(key, context, new Uint8Array([...sealed, 0])),
    openHpke(key, context, new Uint8Array()),
    ...Array.from(sealed, (byte, at) => openHpke(key, context, sealed.with(at, byte ^ 1))),
    ...Array.from(sealed, (_, at) => openHpke(key, context, sealed.subarray(0, at))),
  ];
  assert.deepEqual(new Set(refused), new Set([undefined]));
  const accepted = Array.from({ length: refused.length }, () => {
    const again = sealHpke(key.publicKey, { ...context }, text('secret'), systemRandom);
    return openHpke(key, { ...context }, new Uint8Array([0, ...again]).subarray(1));
  });
  for (const opened of accepted) assert.deepEqual(opened, text('secret'));
});

test('anything seals and opens, and twice the same is sealed differently', () => {
  const key = importHpkeKey(systemRandom(32));
  const bytes = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(bytes, bytes, bytes, (info, associatedData, plaintext) => {
      const seal = () => sealHpke(key.publicKey, { info, associatedData }, plaintext, systemRandom);
      const [one, two] = [seal(), seal()];
      assert.notDeepEqual(one, two);
      for (const sealed of [one, two])
        assert.deepEqual(openHpke(key, { info, associatedData }, sealed), new Uint8Array(plaintext));
    }),
    { numRuns: 30 },
  );
});

test('a library of others opens what is sealed here, and what it seals opens here', async () => {
  const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
  const bytes = fc.uint8Array({ maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(bytes, bytes, bytes, async (info, associatedData, plaintext) => {
      const privateKey = systemRandom(32);
      const key = importHpkeKey(privateKey);
      const theirs = {
        recipientKey: await suite.kem.deserializePrivateKey(privateKey),
        recipientPublicKey: await suite.kem.deserializePublicKey(key.publicKey),
      };
      const sealed = sealHpke(key.publicKey, { info, associatedData }, plaintext, systemRandom);
      const recipient = { recipientKey: theirs.recipientKey, enc: sealed.subarray(0, 32), info };
      const opened = await suite.open(recipient, sealed.subarray(32), associatedData);
      assert.deepEqual(new Uint8Array(opened), new Uint8Array(plaintext));
      const { enc, ct } = await suite.seal({ ...theirs, info }, plaintext, associatedData);
      const received = new Uint8Array([...new Uint8Array(enc), ...new Uint8Array(ct)]);
      assert.deepEqual(openHpke(key, { info, associatedData }, received), new Uint8Array(plaintext));
    }),
    { numRuns: 30 },
  );
});

/** Some points of small order: with one of these the shared secret is zero, which RFC 7748 (section 6.1) has one refuse. */
const smallOrder = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].map(hex);

test('a public key of another length or of small order is refused, as recipient and as encapsulated key', () => {
  const key = importHpkeKey(systemRandom(32));
  const context = { info: text('purpose') };
  const refused = [new Uint8Array(), key.publicKey.subarray(1), new Uint8Array(33), ...smallOrder];
  for (const publicKey of refused)
    assert.throws(() => sealHpke(publicKey, context, text('secret'), systemRandom), { code: 'hpke.bad_public_key' });
  const sealed = sealHpke(key.publicKey, context, text('secret'), systemRandom);
  for (const enc of smallOrder)
    assert.equal(openHpke(key, context, new Uint8Array([...enc, ...sealed.subarray(32)])), undefined);
  for (const _ of refused) {
    const other = importHpkeKey(systemRandom(32));
    const genuine = sealHpke(other.publicKey, context, text('secret'), systemRandom);
    assert.deepEqual(openHpke(other, context, genuine), text('secret'));
  }
});

test('a private key gives the public key that the crypto library gives', () => {
  for (let run = 0; run < 5; run += 1) {
    const { privateKey, publicKey } = generateKeyPairSync('x25519');
    const raw = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32);
    const key = importHpkeKey(raw);
    const exported = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
    assert.deepEqual(Buffer.from(key.publicKey), exported);
    assert.ok(key.privateKey.equals(privateKey));
  }
  assert.throws(() => importHpkeKey(new Uint8Array(31)));
});

test('a key is named by the first 8 bytes of its SHA-256', () => {
  // FIPS 180-4's example: SHA-256 of "abc".
  assert.equal(hpkeKeyId(text('abc')).toHex(), 'ba7816bf8f01cfea');
});

test('sealing leaves what it seals as it is, and overwrites what the ephemeral key was derived from', () => {
  const key = importHpkeKey(systemRandom(32));
  const [secret, chance] = [text('secret'), new Uint8Array(32).fill(7)];
  sealHpke(key.publicKey, { info: text('purpose') }, secret, () => chance);
  assert.deepEqual([secret, chance], [text('secret'), new Uint8Array(32)]);
});

/** An X25519 key's u coordinate in another spelling, which is reduced to the same: RFC 7748, section 5. */
test('a public key is taken in its one spelling alone, since its holder could not open what is sealed to another', () => {
  const spell = (u: bigint) => Uint8Array.fromHex(u.toString(16).padStart(64, '0')).toReversed();
  const p = 2n ** 255n - 19n;
  const seal = (publicKey: Uint8Array) => sealHpke(publicKey, { info: text('purpose') }, text('secret'), systemRandom);
  for (let own = 2n; own < 19n; own += 1n) {
    for (const u of [p + own, 2n ** 255n + own, 2n ** 255n + p + own])
      assert.throws(() => seal(spell(u)), { code: 'hpke.bad_public_key' }, String(u));
    assert.equal(seal(spell(own)).length, 6 + hpkeBytes.overhead, String(own));
  }
  for (const u of [p - 2n, p - 19n, 2n ** 254n, 2n ** 255n - 2n ** 248n])
    assert.equal(seal(spell(u)).length, 6 + hpkeBytes.overhead, String(u));
});

test('bytes that are views of larger memory are sealed alone, and what is around them is left as it is', () => {
  const key = importHpkeKey(systemRandom(32));
  const around = Buffer.alloc(96, 0x5a);
  const [secret, chance] = [Buffer.from('a secret of a pool'), around.subarray(32, 64)];
  const kept = secret.toString('hex');
  const context = { info: Buffer.from('purpose'), associatedData: Buffer.from('data') };
  const sealed = sealHpke(Buffer.from(key.publicKey), context, secret, () => chance);
  assert.equal(sealed.length, secret.length + hpkeBytes.overhead);
  assert.equal(secret.toString('hex'), kept);
  assert.deepEqual(around, Buffer.concat([Buffer.alloc(32, 0x5a), Buffer.alloc(32), Buffer.alloc(32, 0x5a)]));
  assert.deepEqual(openHpke(key, context, Buffer.from(sealed)), new Uint8Array(secret));
  assert.throws(() => sealHpke(key.publicKey, context, secret, () => chance.subarray(1)), /32 bytes/);
});
