import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import { scramVerifier } from './scram-verifier.ts';

const hmac = (key: Uint8Array, text: string) => createHmac('sha256', key).update(text).digest();

test('a verifier of the example of RFC 7677 accepts its proof and makes its signature', () => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
  const verifier = scramVerifier('pencil', () => new Uint8Array(salt));
  const [, storedKey = '', serverKey = ''] =
    /^SCRAM-SHA-256\$4096:W22ZaJ0SNY7soEsUEjb6gQ==\$([\w+/]{43}=):([\w+/]{43}=)$/.exec(verifier) ?? [];
  const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
  const message = `n=user,r=rOprNGfwEbeRWgbNEkqO,r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=${nonce}`;
  const signature = hmac(Buffer.from(serverKey, 'base64'), message);
  assert.equal(signature.toString('base64'), '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
  const proof = Buffer.from('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', 'base64');
  const clientSignature = hmac(Buffer.from(storedKey, 'base64'), message);
  const clientKey = proof.map((byte, at) => byte ^ clientSignature[at]!);
  assert.equal(createHash('sha256').update(clientKey).digest('base64'), storedKey);
});

test('two verifiers of one password have nothing in common', () => {
  const [one, two] = [scramVerifier('pencil'), scramVerifier('pencil')];
  assert.equal(new Set([...one.split(/[$:]/).slice(2), ...two.split(/[$:]/).slice(2)]).size, 6);
});
