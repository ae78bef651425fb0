import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError } from '@holdfast/base';
import { hashPassword, verifyPassword } from './password.ts';

test('a password verifies against its own hash, in any Unicode spelling, and against no other', async () => {
  const hash = await hashPassword('cafe\u0301 au lait');
  assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
  assert.equal(await verifyPassword(hash, 'caf\u00e9 au lait'), true);
  assert.equal(await verifyPassword(hash, 'cafe au lait'), false);
  assert.notEqual(await hashPassword('same'), await hashPassword('same'));
});

test('no password fits a missing hash or one of another kind', async () => {
  for (const hash of [null, undefined, '', '$2b$10$abcdefghijklmnopqrstuv', '$argon2id$v=19$m=1,t=1,p=1$$'])
    assert.equal(await verifyPassword(hash, ''), false);
  assert.equal(await verifyPassword(await hashPassword(''), ''), true);
});

test('a wrong name takes as long as a wrong password', async () => {
  const hash = await hashPassword('right');
  const time = async (stored: string | null) => {
    const before = process.cpuUsage();
    for (let round = 0; round < 5; round++) await verifyPassword(stored, 'wrong');
    const used = process.cpuUsage(before);
    return used.user + used.system;
  };
  await time(hash);
  const [known, unknown] = [await time(hash), await time(null)];
  assert.ok(unknown > known / 3 && unknown < known * 3, `${known} µs against ${unknown} µs`);
});

test('a flood of hashes is turned away beyond the queue, and those within it are answered', async () => {
  const results = await Promise.allSettled(Array.from({ length: 110 }, () => verifyPassword(null, 'x')));
  const refused = results.filter((result) => result.status === 'rejected');
  assert.equal(refused.length, 10);
  for (const { reason } of refused) assert.ok(reason instanceof CodedError && reason.code === 'request.overloaded');
});
