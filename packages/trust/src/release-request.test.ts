import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyApproval, anyLeaf, anyRequest, newSigner, signApproval, signRequest } from './testing/leaf-arbitraries.ts';
import {
  canonicalJson,
  formatKeyLogLeaf,
  isReleaseExpired,
  openReleaseApproval,
  openReleaseRequest,
  parseKeyLogLeaf,
  parseReleaseApproval,
  parseReleaseRequest,
  releaseBounds,
  signReleaseApproval,
  signReleaseRequest,
  type Json,
  type KeyLogLeaf,
  type ReleaseRequest,
} from './index.ts';

const malformedRequest = { code: 'release.malformed_request' };
const malformedApproval = { code: 'release.malformed_approval' };
const [example] = fc.sample(anyRequest, 1) as [ReleaseRequest];
const genuine: ReleaseRequest = { ...example, scope: 'read', epochs: [0, 2, 65_535], caseId: 'case-7' };

test('requests and approvals are read as they were written, in one spelling, and signed by the key they name', () => {
  fc.assert(
    fc.property(anyRequest, anyApproval, (request, approval) => {
      const [signedRequest, signedApproval] = [signRequest(request), signApproval(approval)];
      assert.deepEqual(openReleaseRequest(signedRequest), request);
      assert.deepEqual(openReleaseApproval(signedApproval), approval);
      for (const text of [` ${signedRequest.text}`, signedRequest.text.replace(':', ': '), signedApproval.text])
        assert.throws(() => parseReleaseRequest(text), malformedRequest);
      for (const text of [` ${signedApproval.text}`, signedRequest.text])
        assert.throws(() => parseReleaseApproval(text), malformedApproval);
    }),
    { numRuns: 30 },
  );
});

test('text that is no request, no approval and no leaf is refused and never a crash', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      assert.throws(() => parseReleaseRequest(text), malformedRequest);
      assert.throws(() => parseReleaseApproval(text), malformedApproval);
    }),
  );
});

test('a request with a wrong, missing or further member is refused, and its genuine neighbour is read', () => {
  const long = { ...genuine, epochs: Array.from({ length: releaseBounds.epochs }, (_, number) => number) };
  const wrong: readonly (readonly [Record<string, Json>, Record<string, Json>])[] = [
    [{ version: 2 }, { version: 1 }],
    [{ archiveId: 'none' }, {}],
    [{ keyringSha256: 'AA'.repeat(32) }, { keyringSha256: 'aa'.repeat(32) }],
    [{ slotId: '0'.repeat(31) }, { slotId: '0'.repeat(32) }],
    [{ scope: 'write' }, { scope: 'read' }],
    [{ scope: 'ring' }, { scope: 'ring', epochs: 'all' }],
    [{ epochs: [] }, { epochs: [0] }],
    [{ epochs: [1, 1] }, { epochs: [1, 2] }],
    [{ epochs: [2, 1] }, { epochs: 'all' }],
    [{ epochs: [65_536] }, { epochs: [65_535] }],
    [{ epochs: [...long.epochs, 5_000] }, { epochs: long.epochs }],
    [{ epochs: 'none' }, { epochs: [3] }],
    [{ caseId: '' }, { caseId: null }],
    [{ caseId: 'a b' }, { caseId: 'a:b' }],
    [{ reason: '' }, { reason: 'x' }],
    [{ reason: 'one\ntwo' }, { reason: 'one two' }],
    [{ reason: 'one\u2028two' }, { reason: 'ëin Grund «hier»' }],
    [{ reason: 'x'.repeat(1_001) }, { reason: '"'.repeat(1_000) }],
    [{ recipientKey: `${'A'.repeat(42)}B` }, { recipientKey: 'A'.repeat(43) }],
    [{ expiresAt: '2026-02-30T00:00:00.000Z' }, { expiresAt: '2026-02-28T00:00:00.000Z' }],
    [{ requestId: 'A'.repeat(21) }, { requestId: 'A'.repeat(22) }],
    [{ more: true }, {}],
  ];
  for (const [change, neighbour] of wrong) {
    const fields = Object.keys(change);
    assert.throws(() => parseReleaseRequest(canonicalJson({ ...genuine, ...change })), malformedRequest, fields[0]);
    assert.ok(parseReleaseRequest(canonicalJson({ ...genuine, ...neighbour })));
  }
  for (const name of Object.keys(genuine)) {
    const { [name as keyof ReleaseRequest]: _, ...without } = genuine;
    assert.throws(() => parseReleaseRequest(canonicalJson(without)), { ...malformedRequest, details: { field: name } });
  }
});

test('a signature by another key, of another text or of another kind of document is refused', () => {
  const [own, other] = [newSigner(), newSigner()];
  const request = { ...genuine, requesterKey: own.publicKey };
  const signed = signReleaseRequest(request, own.sign);
  const forged = { code: 'release.forged' };
  const otherRecipient = signReleaseRequest({ ...request, recipientKey: 'A'.repeat(43) }, own.sign);
  for (const { text, signature } of [
    signReleaseRequest(request, other.sign),
    { ...signed, text: otherRecipient.text },
    { ...signed, signature: '' },
    { ...signed, signature: `${signed.signature}A` },
    { ...signed, signature: Buffer.from(own.sign(Buffer.from(signed.text))).toString('base64url') },
  ])
    assert.throws(() => openReleaseRequest({ text, signature }), forged);
  const approval = {
    version: 1,
    requestSha256: 'a'.repeat(64),
    approverKey: own.publicKey,
    at: genuine.expiresAt,
  } as const;
  const consent = signReleaseApproval(approval, own.sign);
  assert.throws(() => openReleaseApproval({ ...consent, signature: signed.signature }), forged);
  for (const one of [signed, otherRecipient]) openReleaseRequest(one);
  openReleaseApproval(consent);
});

test('a request counts until the instant it names, and not at it', () => {
  const atMs = Date.parse(genuine.expiresAt);
  assert.deepEqual(
    [-1, 0, 1].map((ms) => isReleaseExpired(genuine, atMs + ms)),
    [false, true, true],
  );
});

test('the largest leaf of a release fits what the log carries, and one about another archive than its request is none', () => {
  const approval = signApproval(fc.sample(anyApproval, 1)[0]!);
  const epochs = Array.from({ length: releaseBounds.epochs }, (_, number) => 60_000 + number);
  const request = signRequest({ ...genuine, epochs, caseId: 'c'.repeat(100), reason: '"'.repeat(1_000) });
  const leaf: KeyLogLeaf = {
    kind: 'release',
    at: genuine.expiresAt,
    nonce: genuine.requestId,
    archiveId: genuine.archiveId,
    request,
    requester: { kind: 'person', uid: genuine.tenantUid },
    purpose: 'admin_restore',
    notice: 'everyone',
    ownerSignature: null,
    approvals: Array.from({ length: releaseBounds.approvals }, () => approval),
  };
  const text = formatKeyLogLeaf(leaf);
  assert.ok(text.length < 65_536, `${text.length}`);
  assert.deepEqual(parseKeyLogLeaf(text), leaf);
  const malformed = { code: 'key_log_leaf.malformed' };
  assert.throws(() => formatKeyLogLeaf({ ...leaf, archiveId: genuine.tenantUid }), malformed);
  assert.throws(() => formatKeyLogLeaf({ ...leaf, approvals: [...leaf.approvals, approval] }), malformed);
  fc.assert(
    fc.property(anyLeaf, (other) => {
      if (other.kind === 'release') assert.throws(() => formatKeyLogLeaf({ ...other, request }), malformed);
    }),
  );
});
