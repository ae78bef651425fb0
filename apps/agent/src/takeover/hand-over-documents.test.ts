import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { systemRandom } from '@holdfast/base';
import { importHpkeKey, signTakeoverProof } from '@holdfast/trust';
import {
  formatApproval,
  type HandOver,
  formatHandOver,
  formatRequest,
  type HandOverRequest,
  openApproval,
  openHandOver,
  parseRequest,
} from './hand-over-documents.ts';

const uid = '0198c0de-0000-7000-8000-000000000001';
const key = 'A'.repeat(43);
const request: HandOverRequest = {
  type: 'holdfast-takeover-request',
  version: 1,
  installationId: uid,
  tenantUid: uid,
  device: uid,
  name: 'laptop',
  newDeviceUid: uid,
  newDeviceKey: key,
  recipientKey: key,
  writerKey: key,
};

test('a request whose name would show as something else is refused, and one in any language is read', () => {
  for (const name of ['lap\ntop', 'lap\u001b[2Ktop', 'lap\u009btop', 'lap\u202etop', 'lap\u2028top', 'lap\u200btop'])
    for (const field of ['name', 'device'])
      assert.throws(() => parseRequest(JSON.stringify({ ...request, [field]: name })), {
        code: 'agent_takeover.document_invalid',
      });
  for (const name of ['laptop', 'Büro 2 (alt)', '電腦', '']) {
    const one = { ...request, name };
    assert.deepEqual(parseRequest(formatRequest(one)), one);
  }
});

function newSigner() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  const signAsWriter = (message: Uint8Array) => new Uint8Array(sign(null, message, privateKey));
  return { x, publicKey: new Uint8Array(Buffer.from(x, 'base64url')), signAsWriter };
}

test('who sealed the keys of a hand-over is known by the signature of the writer over all of it', () => {
  const [old, stranger, next] = [newSigner(), newSigner(), newSigner()];
  const recipient = importHpkeKey(systemRandom(32));
  const proofOf = (proofId: string) =>
    signTakeoverProof(
      {
        kind: 'hand_over',
        installationId: uid,
        tenantUid: uid,
        archiveId: uid,
        device: uid,
        newDeviceKey: next.x,
        signerKey: old.x,
        expiresAt: '2026-11-22T18:00:00.000Z',
        proofId,
      },
      old.signAsWriter,
    );
  const ring = { epochs: [{ number: 1, suite: 1, key: systemRandom(32) }], slotKeys: [] } as const;
  const handOver = { proof: proofOf(key.slice(0, 22)), ring, introductions: [] } satisfies HandOver;
  const recipientKey = Buffer.from(recipient.publicKey).toString('base64url');
  const madeBy = ({ signAsWriter }: typeof old, given: HandOver = handOver) =>
    formatHandOver(given, { recipientKey, signAsWriter, random: systemRandom });
  const isFromOld = (text: string) => openHandOver(text, recipient, next.x).isFrom(old.publicKey);
  assert.equal(isFromOld(madeBy(old)), true);
  assert.deepEqual(openHandOver(madeBy(old), recipient, next.x).ring, ring);

  assert.equal(isFromOld(madeBy(stranger)), false, 'keys that a stranger sealed beside a genuine proof');
  const signatureIn = (text: string) => (JSON.parse(text) as { signature: string }).signature;
  const withSignature = (text: string, signature: string) => JSON.stringify({ ...JSON.parse(text), signature });
  assert.equal(isFromOld(withSignature(madeBy(old), signatureIn(madeBy(old)))), false, 'of other keys');
  const other = { ...handOver, proof: proofOf(`B${key.slice(1, 22)}`) };
  assert.equal(isFromOld(withSignature(madeBy(stranger, other), signatureIn(madeBy(old)))), false, 'of another proof');
  assert.equal(isFromOld(withSignature(madeBy(old), '')), false, 'none');
});

test('an approval is read as it was signed, and one that is broken is refused as such', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  const ids = { installationId: crypto.randomUUID(), tenantUid: crypto.randomUUID(), archiveId: crypto.randomUUID() };
  const device = crypto.randomUUID();
  const expiresAt = new Date(1_780_000_000_000).toISOString();
  const proofId = Buffer.from(systemRandom(16)).toString('base64url');
  const named = { ...ids, device, newDeviceKey: x, signerKey: x };
  const claim = { kind: 'approval', ...named, expiresAt, proofId } as const;
  const proof = signTakeoverProof(claim, (message) => sign(null, message, privateKey));
  assert.deepEqual({ ...openApproval(formatApproval(proof)) }, { ...proof });

  const forged = `${proof.signature.startsWith('A') ? 'B' : 'A'}${proof.signature.slice(1)}`;
  const broken: readonly (readonly [string, string])[] = [
    [formatApproval({ ...proof, text: 'no JSON' }), 'takeover_proof.malformed'],
    [formatApproval({ ...proof, text: '{}' }), 'takeover_proof.malformed'],
    [formatApproval({ ...proof, signature: forged }), 'takeover_proof.forged'],
    ['no JSON', 'agent_takeover.document_invalid'],
  ];
  for (const [text, code] of broken) assert.throws(() => openApproval(text), { code }, text);
});
