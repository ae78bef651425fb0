import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '@holdfast/base';
import { newSigner } from './testing/leaf-arbitraries.ts';
import { isArchiveOwner, isKeyVouched, signArchiveOwner, signKeyVouch } from './index.ts';

const [older, newer, stranger] = [newSigner(), newSigner(), newSigner()];
const tenantUid = '0198aaaa-0000-7000-8000-000000000002';
const otherUid = '0198aaaa-0000-7000-8000-000000000003';

test('an older key vouches for one key of one holder in one tenant, and for no other', () => {
  const vouched = { tenantUid, holder: { kind: 'device', uid: otherUid }, publicKey: newer.publicKey } as const;
  const by = { publicKey: older.publicKey, signature: signKeyVouch(vouched, older.sign) };
  for (const wrong of [
    { ...vouched, tenantUid: otherUid },
    { ...vouched, publicKey: stranger.publicKey },
    { ...vouched, holder: { kind: 'person', uid: otherUid } as const },
    { ...vouched, holder: { kind: 'device', uid: tenantUid } as const },
  ]) {
    assert.ok(!isKeyVouched(wrong, by));
    assert.ok(isKeyVouched(wrong, { ...by, signature: signKeyVouch(wrong, older.sign) }));
    assert.ok(isKeyVouched(vouched, by));
  }
  assert.ok(!isKeyVouched(vouched, { ...by, publicKey: stranger.publicKey }));
  for (const signature of ['', 'A'.repeat(86), `${by.signature}A`])
    assert.ok(!isKeyVouched(vouched, { ...by, signature }));
});

test('the writer of an archive says whose it is, and nobody else can', () => {
  const writerKey = new Uint8Array(Buffer.from(older.publicKey, 'base64url'));
  const owned = { archiveId: systemRandom(16), deviceKey: newer.publicKey };
  const signature = signArchiveOwner(owned, older.sign);
  assert.ok(isArchiveOwner(owned, { writerKey, signature }));
  assert.ok(!isArchiveOwner({ ...owned, archiveId: systemRandom(16) }, { writerKey, signature }));
  assert.ok(!isArchiveOwner({ ...owned, deviceKey: stranger.publicKey }, { writerKey, signature }));
  assert.ok(!isArchiveOwner(owned, { writerKey, signature: signArchiveOwner(owned, stranger.sign) }));
  assert.ok(!isArchiveOwner(owned, { writerKey: new Uint8Array(31), signature }));
});
