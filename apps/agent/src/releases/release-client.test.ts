import assert from 'node:assert/strict';
import { generateKeyPairSync, sign as signWith } from 'node:crypto';
import { test } from 'node:test';
import { releaseRoutes, type ReleaseState, type RulesChangeState } from '@holdfast/contract';
import {
  defaultReleaseRules,
  formatRulesChange,
  releaseRequestSha256,
  signReleaseRequest,
  type ReleaseRequest,
} from '@holdfast/trust';
import { ReleaseClient, type ReleaseClientOptions } from './release-client.ts';

const ids = {
  installationId: '018f0000-0000-7000-8000-000000000001',
  tenantUid: '018f0000-0000-7000-8000-000000000002',
};
const uid = '018f0000-0000-7000-8000-000000000003';
const archiveId = '018f0000-0000-7000-8000-000000000004';
const otherId = '018f0000-0000-7000-8000-000000000005';
const { privateKey, publicKey: key } = generateKeyPairSync('ed25519');
const publicKey = Buffer.from(key.export({ format: 'raw-public' })).toString('base64url');
const sign = (message: Uint8Array) => signWith(null, message, privateKey);
const at = '2026-11-22T12:00:00.000Z';
const later = '2026-12-01T12:00:00.000Z';

function requestOf(changed: Partial<ReleaseRequest> = {}): string {
  const request: ReleaseRequest = {
    version: 1,
    ...ids,
    archiveId,
    keyringSha256: 'a'.repeat(64),
    slotId: 'b'.repeat(32),
    scope: 'read',
    epochs: 'all',
    caseId: null,
    reason: 'the disk is gone',
    requesterKey: publicKey,
    recipientKey: Buffer.alloc(32, 1).toString('base64url'),
    expiresAt: later,
    requestId: Buffer.alloc(16, 2).toString('base64url'),
    ...changed,
  };
  return signReleaseRequest(request, sign).text;
}

function stateOf(request: string, changed: Partial<ReleaseState> = {}): ReleaseState {
  return {
    requestSha256: releaseRequestSha256(request),
    archiveId,
    state: 'asked',
    purpose: 'admin_restore',
    requester: { kind: 'person', uid },
    requesterName: 'ben',
    deviceName: 'laptop',
    request,
    approvals: [],
    approvalsNeeded: 1,
    askedAt: at,
    expiresAt: later,
    opensAt: null,
    logIndex: null,
    code: null,
    ...changed,
  };
}

const changeText = (approvals: number, of: Partial<typeof ids> = {}) =>
  formatRulesChange({
    version: 1,
    ...ids,
    ...of,
    number: 1,
    rules: { ...defaultReleaseRules, admin_restore: { approvals, delayHours: 0, notice: 'owner' } },
  });

function changeOf(change: string, changed: Partial<RulesChangeState> = {}): RulesChangeState {
  const approvals = { approvals: [], approvalsNeeded: 1 };
  const changeSha256 = releaseRequestSha256(change);
  return {
    changeSha256,
    number: 1,
    change,
    state: 'proposed',
    ...approvals,
    proposedAt: at,
    logIndex: null,
    ...changed,
  };
}

/** A client of a server that says this, and what was sent to it. */
function clientOf(says: {
  readonly releases?: readonly ReleaseState[];
  readonly changes?: readonly RulesChangeState[];
}) {
  const sent: string[] = [];
  const rules = { inForce: defaultReleaseRules, next: defaultReleaseRules, changes: says.changes ?? [] };
  const call = (route: { readonly path: string }) => {
    sent.push(route.path);
    if (route.path === releaseRoutes.list.path) return Promise.resolve({ releases: says.releases ?? [] });
    if (route.path === releaseRoutes.rules.path) return Promise.resolve(rules);
    return Promise.resolve(route.path === releaseRoutes.changeRules.path ? rules.changes[0] : says.releases?.[0]);
  };
  const identity = { ...ids, publicKey, sign, logKey: '' };
  const requests = { add: () => undefined, find: () => undefined, forget: () => undefined };
  const client = new ReleaseClient({ identity, requests, call: call as unknown as ReleaseClientOptions['call'] });
  return { client, sent };
}

const refused = { code: 'key_release.other_document' };

test('a release is listed and approved as its text says it, and never one that the server shows for another', async () => {
  const [honest, other] = [requestOf(), requestOf({ archiveId: otherId })];
  const ring = requestOf({ scope: 'ring' });
  for (const genuine of [
    stateOf(honest),
    stateOf(other, { archiveId: otherId }),
    stateOf(ring, { purpose: 'replacement' }),
  ]) {
    const { client, sent } = clientOf({ releases: [genuine] });
    assert.deepEqual(await client.list(), [genuine]);
    assert.deepEqual(await client.approve(genuine), genuine);
    assert.deepEqual(sent, [releaseRoutes.list.path, releaseRoutes.approve.path]);
  }
  for (const lie of [
    stateOf(other, { requestSha256: releaseRequestSha256(honest), archiveId: otherId }),
    stateOf(other),
    stateOf(ring),
    stateOf(honest, { purpose: 'replacement' }),
    stateOf(requestOf({ tenantUid: otherId })),
    stateOf(requestOf({ installationId: otherId })),
  ])
    await assert.rejects(clientOf({ releases: [lie] }).client.list(), refused);
  const { client } = clientOf({ releases: [stateOf(honest, { expiresAt: at })] });
  assert.equal((await client.list())[0]?.expiresAt, later);
});

test('nothing is signed for a release whose text is not that of its hash', async () => {
  const { client, sent } = clientOf({ releases: [] });
  const lie = stateOf(requestOf({ reason: 'another' }), { requestSha256: releaseRequestSha256(requestOf()) });
  await assert.rejects(client.approve(lie), refused);
  assert.deepEqual(sent, []);
});

test('a change of the rules is shown and approved as its text says it', async () => {
  const change = changeText(2);
  const { client } = clientOf({ changes: [changeOf(change)] });
  assert.deepEqual((await client.rules()).changes, [changeOf(change)]);
  assert.deepEqual(await client.approveRules(change), changeOf(change));
  const numbered = clientOf({ changes: [changeOf(change, { number: 7 })] }).client;
  assert.equal((await numbered.rules()).changes[0]?.number, 1);
  for (const lie of [
    changeOf(changeText(0), { changeSha256: releaseRequestSha256(change) }),
    changeOf(changeText(2, { tenantUid: otherId })),
  ])
    await assert.rejects(clientOf({ changes: [lie] }).client.rules(), refused);
  await assert.rejects(clientOf({ changes: [changeOf(changeText(0))] }).client.approveRules(change), refused);
});
