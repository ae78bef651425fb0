import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAbout, subject, writeKeyLogLeaf, type KeyLogLeaf } from '@holdfast/trust';
import { noticeOf } from './notices.ts';

const userUid = '018f0000-0000-7000-8000-000000000001';
const deviceUid = '018f0000-0000-7000-8000-000000000002';
const publicKey = Buffer.alloc(32, 1).toString('base64url');
const about = { at: '2026-11-22T12:00:00.000Z', nonce: 'A'.repeat(22) };
const person = { kind: 'person', uid: userUid } as const;
const vouched = { kind: 'key_vouched', publicKey, by: person, byKey: publicKey, signature: 'A'.repeat(86) } as const;

/** Leaves by which somebody comes nearer to the keys of other people's backups. */
const leaves: readonly KeyLogLeaf[] = [
  { ...about, kind: 'person_key_registered', userUid, publicKey, mayApprove: true },
  { ...about, kind: 'person_key_registered', userUid, publicKey, mayApprove: false },
  { ...about, kind: 'person_key_ended', userUid, publicKey },
  { ...about, ...vouched, holder: { kind: 'person', uid: userUid } },
  { ...about, ...vouched, holder: { kind: 'device', uid: deviceUid } },
];

/** What every computer looks for, whatever its archive is. */
const ofAnyComputer = [subject.device('018f0000-0000-7000-8000-000000000009'), subject.everyone];

test('a key of a person, its end and a vouch are shown to whoever uses any computer of the tenant', () => {
  for (const leaf of leaves) {
    const { text, outline } = writeKeyLogLeaf(leaf);
    assert.ok(isAbout(outline, ofAnyComputer), `${leaf.kind} is shown to every computer`);
    const notice = noticeOf({ logIndex: 7, text });
    assert.deepEqual([notice?.logIndex, notice?.kind, notice?.at], [7, leaf.kind, about.at]);
    assert.equal(notice?.details['publicKey'], publicKey);
    assert.ok(notice.message.length > 20);
  }
});

test('the key of a computer that enrolled is shown to that computer alone, and is no notice', () => {
  const { text, outline } = writeKeyLogLeaf({ ...about, kind: 'key_registered', deviceUid, publicKey });
  assert.ok(!isAbout(outline, ofAnyComputer));
  assert.ok(isAbout(outline, [subject.device(deviceUid)]));
  assert.equal(noticeOf({ logIndex: 7, text }), undefined);
});

test('a takeover is shown on both computers and on no other, when it begins and when it is done', () => {
  const newDeviceUid = '018f0000-0000-7000-8000-000000000003';
  const archiveId = '018f0000-0000-7000-8000-000000000004';
  const taken = { newDeviceKey: publicKey, proof: 'recovery_code', proofSha256: '0'.repeat(64) } as const;
  const of = { kind: 'archive_takeover', archiveId, deviceUid, newDeviceUid, ...taken } as const;
  const told = (
    [
      ['begun', null],
      ['done', publicKey],
    ] as const
  ).map(([step, writerKey]) => {
    const { text, outline } = writeKeyLogLeaf({ ...about, ...of, step, writerKey });
    for (const uid of [deviceUid, newDeviceUid]) assert.ok(isAbout(outline, [subject.device(uid)]));
    assert.ok(!isAbout(outline, ofAnyComputer));
    const notice = noticeOf({ logIndex: 7, text });
    const details = { step, archiveId, deviceUid, newDeviceUid, proof: 'recovery_code' };
    assert.deepEqual([notice?.kind, notice?.details], ['archive_takeover', details]);
    return notice?.message;
  });
  assert.equal(new Set(told).size, 2);
});
