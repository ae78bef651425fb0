import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { systemRandom } from '@holdfast/base';
import { type Takeover, takeoverRoutes } from '@holdfast/contract';
import { signTakeoverProof, takeoverKeyOf } from '@holdfast/trust';
import type { CloudClient } from '../cloud/cloud-client.ts';
import { temporaryFolder } from '../filesystem/temporary-folder.ts';
import { TakeoverStore } from './pending-takeover.ts';
import { takeOverArchive } from './take-over-archive.ts';

const [installationId, tenantUid, deviceUid] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
const { x = '' } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });

/** By a recovery code, for the device of this file. */
function proofBy(code: Uint8Array) {
  const { publicKey, privateKey } = takeoverKeyOf(code);
  const signerKey = Buffer.from(publicKey).toString('base64url');
  const expiresAt = new Date(1_780_000_000_000).toISOString();
  const proofId = Buffer.from(systemRandom(16)).toString('base64url');
  const named = { archiveId: null, device: 'laptop', newDeviceKey: x, signerKey };
  const claim = { kind: 'recovery_code', installationId, tenantUid, ...named, expiresAt, proofId } as const;
  return { ...signTakeoverProof(claim, (message) => sign(null, message, privateKey)) };
}

/** A server that says of any takeover whether it is done, and no more. */
function serverWith(completedAt: string | null): CloudClient {
  const call = (route: unknown) =>
    route === takeoverRoutes.begin
      ? Promise.resolve({ completedAt } as Takeover)
      : Promise.reject(new Error('asked for the time, to make a proof anew'));
  const enrollment = { installationId, tenantUid, deviceUid, deviceKey: { x } };
  return { call, enrollment } as unknown as CloudClient;
}

test('the proof of a takeover that is done is not given up for one of another code', async (t) => {
  const stateDir = temporaryFolder(t);
  const store = new TakeoverStore(stateDir);
  const pending = store.begin({ deviceUid, device: 'laptop' }, systemRandom);
  const kept = { ...pending, proof: proofBy(systemRandom(32)), mayBeDone: true } as const;
  store.save(kept);
  const means = { kind: 'recovery_code', secret: systemRandom(32) } as const;
  const of = { stateDir, device: 'laptop', means, agentVersion: '1', os: 'linux', confirm: () => true } as const;
  const takeOver = (completedAt: string | null) => takeOverArchive({ ...of, client: serverWith(completedAt) });
  await assert.rejects(takeOver(new Date().toISOString()), { code: 'agent_takeover.unsettled' });
  assert.deepEqual(store.load(), kept);
  await assert.rejects(takeOver(null), /to make a proof anew/, 'what is not done hinders nobody');
  store.expectNothingUnsettled();
});
