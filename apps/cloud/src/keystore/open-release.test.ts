import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '@holdfast/base';
import { deriveKeyRing } from '@holdfast/archive';
import { importHpkeKey, openRelease } from '@holdfast/trust';
import { judgeRelease, type Grant } from './judge-release.ts';
import { openGrantedRelease, withEscrowedKeyring } from './open-release.ts';
import { makeArchive, makeScene, type ReleasePlan } from './release-scene.fixture.ts';

const scene = makeScene();
const { archive, device, first, recipient } = scene;
const keys = { inner: scene.inner(), keystoreKey: archive.keystoreKey, random: systemRandom };
const { archiveId, ring } = archive.keys;

/** A release that was granted, and what its recipient has of it. */
async function granted(plan: ReleasePlan) {
  const facts = await scene.factsOf(plan);
  const verdict = judgeRelease(facts);
  assert.ok(verdict.status === 'granted');
  return { grant: verdict.grant, requestText: facts.request.text, leafText: facts.leaf!.text };
}

const plain = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

test('the recipient gets the keys that read the epochs asked for, and no others', async () => {
  const all = deriveKeyRing(archiveId, ring.epochs);
  for (const [epochs, expected] of [
    [
      [0, 2],
      [0, 2],
    ],
    [[1], [1]],
    ['all', [0, 1, 2]],
  ] as const) {
    const { grant, ...own } = await granted({ requester: device, request: { epochs } });
    const { keys: released } = openRelease({ ...own, sealed: openGrantedRelease(grant, keys) }, recipient);
    assert.ok(released.scope === 'read');
    assert.deepEqual(
      released.epochs.map(({ epoch, data, metadata }) => [epoch, plain(data), plain(metadata)]),
      expected.map((epoch) => [epoch, plain(all.get(epoch)!.data), plain(all.get(epoch)!.metadata)]),
    );
  }
});

test('a replacement gets the ring, as it lies in the keyring', async () => {
  const plan: ReleasePlan = { requester: device, approvers: [first], request: { scope: 'ring', epochs: 'all' } };
  const { grant, ...own } = await granted(plan);
  const { keys: released } = openRelease({ ...own, sealed: openGrantedRelease(grant, keys) }, recipient);
  assert.ok(released.scope === 'ring');
  const expected = withEscrowedKeyring(grant, keys, ({ raw }) => plain(raw));
  assert.equal(plain(released.ring), expected);
  for (const { key } of ring.epochs) assert.ok(expected.includes(plain(key)));
});

test('nobody but the recipient opens it, and a release for one leaf is none for another', async () => {
  const one = await granted({ requester: device });
  const other = await granted({ requester: device });
  const sealed = openGrantedRelease(one.grant, keys);
  assert.throws(() => openRelease({ ...one, sealed }, importHpkeKey(systemRandom(32))), { code: 'release.not_opened' });
  assert.throws(() => openRelease({ ...other, sealed }, recipient), { code: 'release.not_opened' });
  assert.throws(() => openRelease({ ...one, leafText: other.leafText, sealed }, recipient), {
    code: 'release.other_leaf',
  });
  openRelease({ ...one, sealed }, recipient);
  openRelease({ ...other, sealed: openGrantedRelease(other.grant, keys) }, recipient);
});

test('what does not belong together opens nothing: another key, another layer, another slot, an epoch that is not there', async () => {
  const { grant } = await granted({ requester: device });
  const stranger = makeArchive();
  const flip = (bytes: Uint8Array, at: number) => bytes.with(at, bytes[at]! ^ 1);
  const refused: readonly (readonly [code: string, grant: Partial<Grant>, keys: Partial<typeof keys>])[] = [
    ['escrow.other_key', {}, { keystoreKey: stranger.keystoreKey }],
    ['escrow.not_opened', {}, { inner: flip(keys.inner, 50) }],
    ['escrow.not_opened', { archiveId: stranger.keys.archiveId }, {}],
    ['keystore.no_escrow_slot', { slotId: stranger.slot.slotId }, {}],
    ['keystore.bad_keyring', { keyring: grant.keyring.subarray(1) }, {}],
    ['archive.not_authentic', { keyring: flip(grant.keyring, grant.keyring.length - 70) }, {}],
    ['keystore.no_epoch', { epochs: [0, 3] }, {}],
    ['hpke.bad_public_key', { recipientKey: new Uint8Array(32) }, {}],
  ];
  for (const [code, change, other] of refused) {
    assert.throws(() => openGrantedRelease({ ...grant, ...change }, { ...keys, ...other }), { code });
    assert.ok(openGrantedRelease(grant, keys).length > 0);
  }
});

test('slot key, ring key, ring and read keys are zeros when it is done, also where it fails', async () => {
  const { grant } = await granted({ requester: device });
  const secrets = ring.epochs.map(({ key }) => plain(key));
  for (const fails of [false, true]) {
    const seen: Uint8Array[] = [];
    // Whatever bytes are made while it works: those that ever were a key are looked at again when it is done.
    const work = () =>
      withEscrowedKeyring(grant, keys, ({ ring: opened, raw }) => {
        seen.push(raw, ...opened.epochs.map(({ key }) => key));
        assert.deepEqual(
          opened.epochs.map(({ key }) => plain(key)),
          secrets,
        );
        if (fails) throw new Error('the work fails');
      });
    if (fails) assert.throws(work, /the work fails/);
    else work();
    assert.equal(seen.length, 4);
    assert.ok(seen.every((bytes) => bytes.length >= 32 && bytes.every((byte) => byte === 0)));
  }
});
