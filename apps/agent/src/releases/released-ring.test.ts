import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { parseUuid, systemRandom } from '@holdfast/base';
import {
  appendLeaves,
  emptyTree,
  formatVerifierKey,
  importHpkeKey,
  keyLogOrigin,
  memorySource,
  noteSigner,
  outlineHash,
  proveInclusion,
  releaseRequestSha256,
  rootOf,
  sealRelease,
  signCheckpoint,
  signReleaseRequest,
  writeKeyLogLeaf,
  type Release,
  type ReleasedKeys,
  type ReleaseRequest,
} from '@holdfast/trust';
import { releaseRoutes } from '@holdfast/contract';
import { formatReleasedRing, openReleasedRing, type SealedRing } from './released-ring.ts';
import { ReleaseClient, type ReleaseClientOptions } from './release-client.ts';

const uid = (last: number) => `018f0000-0000-7000-8000-00000000000${last}`;
const [installationId, tenantUid, archiveId, otherId] = [uid(1), uid(2), uid(3), uid(4)] as const;
const own = importHpkeKey(systemRandom(32));
const stranger = importHpkeKey(systemRandom(32));
const person = generateKeyPairSync('ed25519');
const requesterKey = Buffer.from(person.publicKey.export({ format: 'raw-public' })).toString('base64url');
const signAsPerson = (message: Uint8Array) => sign(null, message, person.privateKey);
const origin = keyLogOrigin(installationId, tenantUid);
const newLog = () => noteSigner(origin, generateKeyPairSync('ed25519').privateKey);
const log = newLog();
const pinned = { installationId, tenantUid, logKey: formatVerifierKey(log.key) };
const ring = systemRandom(200);

const request: ReleaseRequest = {
  version: 1,
  installationId,
  tenantUid,
  archiveId,
  keyringSha256: 'a'.repeat(64),
  slotId: 'b'.repeat(32),
  scope: 'ring',
  epochs: 'all',
  caseId: null,
  reason: 'the disk is gone',
  requesterKey,
  recipientKey: Buffer.from(own.publicKey).toString('base64url'),
  expiresAt: '2026-12-01T12:00:00.000Z',
  requestId: Buffer.alloc(16, 2).toString('base64url'),
};

type Variant = {
  readonly request?: Partial<ReleaseRequest>;
  readonly keys?: ReleasedKeys;
  /** Whom the keys are sealed to, whoever the request names. */
  readonly to?: Uint8Array;
  readonly by?: ReturnType<typeof newLog>;
};

/** What a server gives of a release: the leaf between two others, and what a keystore sealed. */
async function released({
  request: changed = {},
  keys = { scope: 'ring', ring },
  to = own.publicKey,
  by = log,
}: Variant = {}) {
  const asked = signReleaseRequest({ ...request, ...changed }, signAsPerson);
  const leaf: Release = {
    kind: 'release',
    at: '2026-11-22T12:00:00.000Z',
    nonce: 'A'.repeat(22),
    archiveId,
    request: asked,
    requester: { kind: 'person', uid: otherId },
    purpose: { ...request, ...changed }.scope === 'ring' ? 'replacement' : 'admin_restore',
    notice: 'owner',
    ownerSignature: null,
    approvals: [],
  };
  const { text, outline } = writeKeyLogLeaf(leaf);
  const { state, nodes } = appendLeaves(emptyTree, [systemRandom(32), outlineHash(outline), systemRandom(32)]);
  const inclusion = (await proveInclusion(memorySource(nodes), 1, 3)).map((hash) =>
    Buffer.from(hash).toString('base64url'),
  );
  const head = signCheckpoint({ origin, treeSize: 3, root: rootOf(state) }, [by]);
  const binding = { archiveId: parseUuid(archiveId)!, leafHash: outlineHash(outline) };
  const sealed = Buffer.from(sealRelease(keys, binding, to, systemRandom)).toString('base64url');
  const sealedRing: SealedRing = { leaf: { text, logIndex: 1, inclusion, head }, sealed };
  return { requestText: asked.text, sealedRing };
}

const opens = async (variant?: Variant) =>
  openReleasedRing(formatReleasedRing((await released(variant)).sealedRing), own, pinned);

test('a released ring opens for the computer of its request alone, and only with its leaf in the pinned log', async () => {
  const opened = await opens();
  assert.deepEqual(new Uint8Array(opened.ring), ring);
  assert.deepEqual(opened.archiveId, parseUuid(archiveId));
  opened.wipe();
  assert.deepEqual(new Uint8Array(opened.ring), new Uint8Array(ring.length));

  const read = { scope: 'read', epochs: [{ epoch: 0, data: systemRandom(32), metadata: systemRandom(32) }] } as const;
  const toOther = Buffer.from(stranger.publicKey).toString('base64url');
  const refused: readonly (readonly [string, Variant, string])[] = [
    ['for another computer', { request: { recipientKey: toOther }, to: stranger.publicKey }, 'key_release.for_another'],
    ['asked for another, sealed to us', { request: { recipientKey: toOther } }, 'key_release.for_another'],
    ['of another tenant', { request: { tenantUid: otherId } }, 'key_release.for_another'],
    ['of another installation', { request: { installationId: otherId } }, 'key_release.for_another'],
    ['that reads epochs', { request: { scope: 'read' }, keys: read }, 'key_release.for_another'],
    ['sealed to another', { to: stranger.publicKey }, 'release.not_opened'],
    ['in a log that another key signs', { by: newLog() }, 'key_release.other_log'],
  ];
  for (const [what, variant, code] of refused) await assert.rejects(opens(variant), { code }, what);

  const { sealedRing } = await released();
  const { leaf } = sealedRing;
  const [other, unlogged] = [(await released()).sealedRing, { ...leaf, logIndex: 2 }];
  const open = (one: SealedRing) => openReleasedRing(formatReleasedRing(one), own, pinned);
  assert.throws(() => open({ ...sealedRing, leaf: unlogged }), { code: 'key_release.not_logged' });
  assert.throws(() => open({ ...sealedRing, leaf: { ...leaf, head: other.leaf.head } }), {
    code: 'key_release.not_logged',
  });
  assert.throws(() => openReleasedRing('no JSON', own, pinned), { code: 'key_release.ring_file_invalid' });
  assert.deepEqual(new Uint8Array(open(other).ring), ring);
});

/** A client of a person whose server answers each route as it is told to. */
function clientOf(answers: Readonly<Record<string, unknown>>, sent: unknown[] = []): ReleaseClient {
  const call = (route: { readonly path: string }, { body }: { readonly body?: unknown }) => {
    sent.push(body);
    return Promise.resolve(answers[route.path]);
  };
  const none = () => undefined;
  const requests = { add: () => assert.fail('no key of a ring is kept'), find: none, forget: none };
  const identity = { ...pinned, publicKey: requesterKey, sign: signAsPerson };
  return new ReleaseClient({ identity, requests, call: call as unknown as ReleaseClientOptions['call'] });
}

test('who takes a ring for another computer is given what the log has of that request', async () => {
  const { requestText, sealedRing } = await released();
  const { head, ...leaf } = sealedRing.leaf;
  const taking = (answer: object) => clientOf({ [releaseRoutes.take.path]: answer });
  const sha256 = releaseRequestSha256(requestText);
  const honest = { leaf, head, sealed: sealedRing.sealed };
  assert.deepEqual(await taking(honest).takeSealedRing(sha256), sealedRing);
  const other = await released({ request: { reason: 'another' } });
  const { head: _, ...otherLeaf } = other.sealedRing.leaf;
  await assert.rejects(taking({ ...honest, leaf: otherLeaf }).takeSealedRing(sha256), {
    code: 'key_release.other_document',
  });
  await assert.rejects(taking({ ...honest, leaf: { ...leaf, logIndex: 0 } }).takeSealedRing(sha256), {
    code: 'key_release.not_logged',
  });
  const reading = await released({
    request: { scope: 'read' },
    keys: { scope: 'read', epochs: [{ epoch: 0, data: systemRandom(32), metadata: systemRandom(32) }] },
  });
  const { head: readHead, ...readLeaf } = reading.sealedRing.leaf;
  const toRead = { leaf: readLeaf, head: readHead, sealed: reading.sealedRing.sealed };
  await assert.rejects(taking(toRead).takeSealedRing(releaseRequestSha256(reading.requestText)), {
    code: 'key_release.not_a_ring',
  });
});

test('an approval of a takeover names the computer that was meant, whatever the server says', async () => {
  const described = {
    archiveId,
    deviceUid: otherId,
    deviceName: 'laptop',
    keyringNumber: 1,
    keyringSha256: 'a'.repeat(64),
    slotId: null,
  };
  const client = clientOf({ [releaseRoutes.archive.path]: described });
  const wanted = { newDeviceKey: requesterKey, days: 7 };
  for (const archive of ['laptop', otherId, otherId.toUpperCase(), archiveId]) {
    const approved = await client.approveTakeover({ ...wanted, archive });
    const claim = JSON.parse(approved.proof.text) as Record<string, unknown>;
    assert.deepEqual([claim['kind'], claim['archiveId'], claim['device']], ['approval', archiveId, otherId]);
  }
  const lied = client.approveTakeover({ ...wanted, archive: uid(9) });
  await assert.rejects(lied, { code: 'key_release.other_document' });
  const { reason, caseId, days } = { reason: 'why', caseId: null, days: 1 };
  await assert.rejects(client.request({ epochs: 'all', reason, caseId, days, ringFor: request.recipientKey }), {
    code: 'releases.no_escrow',
  });
});
