import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { systemRandom } from '@holdfast/base';
import { signTakeoverProof } from '@holdfast/trust';
import { formatApproval, openApproval } from './hand-over-documents.ts';

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
