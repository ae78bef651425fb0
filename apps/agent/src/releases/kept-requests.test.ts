import assert from 'node:assert/strict';
import { generateKeyPairSync, sign as signWith } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { manualClock } from '@holdfast/base';
import { releaseRequestSha256, signReleaseRequest, type SignedText } from '@holdfast/trust';
import { keptRequestsIn } from './kept-requests.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const nowMs = Date.parse('2026-11-22T12:00:00Z');
const HOUR_MS = 3_600_000;

function requestOf(place: number, untilMs: number): SignedText {
  return signReleaseRequest(
    {
      version: 1,
      installationId: '018f0000-0000-7000-8000-000000000001',
      tenantUid: '018f0000-0000-7000-8000-000000000002',
      archiveId: '018f0000-0000-7000-8000-000000000004',
      keyringSha256: 'a'.repeat(64),
      slotId: 'b'.repeat(32),
      scope: 'read',
      epochs: 'all',
      caseId: null,
      reason: 'the disk is gone',
      requesterKey: Buffer.from(publicKey.export({ format: 'raw-public' })).toString('base64url'),
      recipientKey: Buffer.alloc(32, 1).toString('base64url'),
      expiresAt: new Date(untilMs).toISOString(),
      requestId: Buffer.alloc(16, place).toString('base64url'),
    },
    (message) => signWith(null, message, privateKey),
  );
}

test('a request is found until it is forgotten, and one that has expired is gone with the next that is kept', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast kept '));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const clock = manualClock(nowMs);
  const kept = keptRequestsIn(path.join(folder, 'releases'), clock);
  const [first, second, short, last] = [5, 6, 1, 7].map((hours, place) => requestOf(place, nowMs + hours * HOUR_MS));
  const nameOf = ({ text }: SignedText) => releaseRequestSha256(text);
  const seed = new Uint8Array(32).fill(9);
  kept.forget(nameOf(first!));
  for (const request of [first!, second!, short!]) kept.add({ request, recipientSeed: seed });
  for (const request of [first!, second!, short!])
    assert.deepEqual(kept.find(nameOf(request)), { request, recipientSeed: seed });
  kept.forget(nameOf(first!));
  assert.equal(kept.find(nameOf(first!)), undefined);
  assert.deepEqual(kept.find(nameOf(second!))?.request, second);
  clock.advance(2 * HOUR_MS);
  kept.add({ request: last!, recipientSeed: seed });
  const names = [second!, last!].map((request) => `${nameOf(request)}.json`);
  assert.deepEqual(readdirSync(path.join(folder, 'releases')).toSorted(), names.toSorted());
});
