import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseUuid, systemRandom } from '@holdfast/base';
import fc from 'fast-check';
import { anyRequest, newSigner } from './testing/leaf-arbitraries.ts';
import {
  importHpkeKey,
  openHpke,
  openRelease,
  outlineHash,
  sealHpke,
  sealRelease,
  signReleaseRequest,
  writeKeyLogLeaf,
  type Release,
  type ReleasedKeys,
  type ReleaseRequest,
} from './index.ts';

const own = newSigner();
const recipient = importHpkeKey(systemRandom(32));
const request: ReleaseRequest = {
  ...fc.sample(anyRequest, 1)[0]!,
  scope: 'read',
  epochs: [1, 300],
  requesterKey: own.publicKey,
  recipientKey: Buffer.from(recipient.publicKey).toString('base64url'),
};
const keysOf = (epochs: readonly number[]): ReleasedKeys => ({
  scope: 'read',
  epochs: epochs.map((epoch) => ({ epoch, data: systemRandom(32), metadata: systemRandom(32) })),
});

/** A request, its leaf, and what a keystore that sealed these keys would send. */
function released(keys: ReleasedKeys, change: Partial<ReleaseRequest> = {}, leafChange: Partial<Release> = {}) {
  const asked = signReleaseRequest({ ...request, ...change }, own.sign);
  const leaf: Release = {
    kind: 'release',
    at: '2026-01-02T03:04:05.678Z',
    nonce: 'A'.repeat(22),
    archiveId: { ...request, ...change }.archiveId,
    request: asked,
    requester: { kind: 'device', uid: request.tenantUid },
    purpose: 'own_restore',
    notice: 'owner',
    ownerSignature: null,
    approvals: [],
    ...leafChange,
  };
  const { text: leafText, outline } = writeKeyLogLeaf(leaf);
  const binding = { archiveId: parseUuid(leaf.archiveId)!, leafHash: outlineHash(outline) };
  const sealed = sealRelease(keys, binding, recipient.publicKey, systemRandom);
  return { received: { requestText: asked.text, leafText, sealed }, binding, leaf };
}

test('the recipient opens what was sealed to it, by the leaf of its own request, and can overwrite it', () => {
  const keys = keysOf([1, 300]);
  const { received, binding, leaf } = released(keys);
  const opened = openRelease(received, recipient);
  assert.deepEqual([opened.keys, opened.leafHash, opened.leaf], [keys, binding.leafHash, leaf]);
  opened.wipe();
  const zeros = { data: new Uint8Array(32), metadata: new Uint8Array(32) };
  assert.deepEqual(opened.keys, {
    scope: 'read',
    epochs: [
      { epoch: 0, ...zeros },
      { epoch: 0, ...zeros },
    ].map((one, place) => ({ ...one, epoch: [1, 300][place] })),
  });
  const all = released(keysOf([0, 7]), { epochs: 'all' });
  assert.equal(openRelease(all.received, recipient).keys.scope, 'read');
  const ring: ReleasedKeys = { scope: 'ring', ring: systemRandom(500) };
  assert.deepEqual(openRelease(released(ring, { scope: 'ring', epochs: 'all' }).received, recipient).keys, ring);
});

test('a release is laid out and bound as documented', () => {
  const keys = keysOf([300]);
  const { received, binding } = released(keys, { epochs: [300] });
  const info = new Uint8Array(
    Buffer.concat([Buffer.from('holdfast v1 release\0'), binding.archiveId, binding.leafHash]),
  );
  const [one] = keys.scope === 'read' ? keys.epochs : [];
  const plain = new Uint8Array(Buffer.concat([Uint8Array.of(1, 1, 300 % 256, 1), one!.data, one!.metadata]));
  assert.deepEqual(openHpke(recipient, { info }, received.sealed), plain);
});

test('the recipient discards a release whose leaf is not its own, and one that was not made for it', () => {
  const keys = keysOf([1, 300]);
  const mine = released(keys);
  const otherReason = released(keys, { reason: 'somebody else asks' });
  const otherNonce = released(keys, {}, { nonce: `${'A'.repeat(21)}Q` });
  const otherPurpose = released(keys, {}, { purpose: 'admin_restore' });
  const stranger = newSigner();
  const forgedLeaf = released(keys, {}, { request: signReleaseRequest(request, stranger.sign) });
  const daily = {
    kind: 'daily_heads',
    day: '2026-01-02',
    archives: 1,
    root: '0'.repeat(64),
    at: mine.leaf.at,
    nonce: 'A'.repeat(22),
  } as const;
  const refused: readonly (readonly [code: string, change: Partial<typeof mine.received>])[] = [
    ['release.other_leaf', otherReason.received],
    ['release.other_leaf', { leafText: otherReason.received.leafText }],
    ['release.other_leaf', { leafText: writeKeyLogLeaf(daily).text }],
    ['release.not_opened', { leafText: otherNonce.received.leafText }],
    ['release.not_opened', { leafText: otherPurpose.received.leafText }],
    ['release.not_opened', { sealed: otherReason.received.sealed }],
    ['release.not_opened', { sealed: mine.received.sealed.with(40, mine.received.sealed[40]! ^ 1) }],
    ['release.not_opened', { sealed: new Uint8Array(20) }],
    ['release.forged', forgedLeaf.received],
    ['key_log_leaf.malformed', { leafText: '{}' }],
  ];
  for (const [code, change] of refused) {
    const received = { ...mine.received, ...change, requestText: mine.received.requestText };
    assert.throws(() => openRelease(received, recipient), { code });
    assert.equal(openRelease(mine.received, recipient).keys.scope, 'read');
  }
  assert.throws(() => openRelease(mine.received, importHpkeKey(systemRandom(32))), { code: 'release.not_opened' });
  // Each of them is a genuine release to who made that request.
  for (const { received } of [otherReason, otherNonce, otherPurpose]) openRelease(received, recipient);
});

test('a release that holds other keys than were asked for is discarded', () => {
  for (const keys of [
    keysOf([1]),
    keysOf([1, 2]),
    keysOf([1, 300, 301]),
    { scope: 'ring', ring: systemRandom(9) } as const,
  ])
    assert.throws(() => openRelease(released(keys).received, recipient), { code: 'release.not_opened' });
  const asksForRing = { scope: 'ring', epochs: 'all' } as const;
  assert.throws(() => openRelease(released(keysOf([1]), asksForRing).received, recipient), {
    code: 'release.not_opened',
  });
  openRelease(released(keysOf([1, 300])).received, recipient);
});

test('whatever a release holds, opening it is never a crash', () => {
  const { received, binding } = released(keysOf([1]), { epochs: 'all' });
  const info = new Uint8Array(
    Buffer.concat([Buffer.from('holdfast v1 release\0'), binding.archiveId, binding.leafHash]),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 3 }), fc.nat({ max: 3 }), (rest, version, scope) => {
      const plain = new Uint8Array([version, scope, ...rest]);
      const sealed = sealHpke(recipient.publicKey, { info }, plain, systemRandom);
      const rising = Array.from(
        { length: rest.length / 66 },
        (_, place) => rest[place * 66]! + rest[place * 66 + 1]! * 256,
      );
      const isRising = rising.every((epoch, place) => place === 0 || rising[place - 1]! < epoch);
      const isRead = version === 1 && scope === 1 && rest.length > 0 && rest.length % 66 === 0 && isRising;
      if (isRead) openRelease({ ...received, sealed }, recipient);
      else assert.throws(() => openRelease({ ...received, sealed }, recipient), { code: 'release.not_opened' });
    }),
  );
});
