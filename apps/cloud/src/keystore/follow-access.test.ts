import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { systemClock, systemRandom, type Clock } from '@holdfast/base';
import { openRoleKms, type RoleKey } from '../platform/kms.ts';
import type { RoleAccess } from '../platform/role-access.ts';
import { followAccess } from './follow-access.ts';
import { sendAccess } from './orders.ts';
import { Parent, questionOf } from './parent.ts';

const secret = new TextEncoder().encode('a secret of some length');
const context = { purpose: 'keystore-key', tenantId: 'tenant-1' };
const key = (n: number): RoleKey => ({ keyId: String(n).repeat(16), key: new Uint8Array(32).fill(n) });
const access = (...numbers: readonly number[]): RoleAccess => ({ kind: 'keys', keys: numbers.map(key) });
const keyIdOf = (wrapped: string) => wrapped.split('.')[1];

test('a keystore wraps with the newest key and opens with it, without being started again', async () => {
  let now = [1];
  let asked = 0;
  const ask = () => {
    asked++;
    return Promise.resolve(access(...now));
  };
  const kms = await followAccess(access(1), ask, systemRandom);
  const before = await kms.wrap(secret, context);
  assert.equal(keyIdOf(before), key(1).keyId);
  now = [1, 2];
  const elsewhere = await openRoleKms('keystore', [key(2)]).wrap(secret, context);
  assert.deepEqual(await kms.unwrap(elsewhere, context), secret);
  assert.equal(keyIdOf(await kms.wrap(secret, context)), key(2).keyId);
  const soFar = asked;
  assert.deepEqual(await kms.unwrap(before, context), secret);
  assert.equal(asked, soFar, 'what is known is not asked for');
  now = [2];
  assert.equal(keyIdOf(await kms.wrap(secret, context)), key(2).keyId);
  assert.deepEqual(await kms.unwrap(before, context), secret, 'until it ends it may hold what an older key wrapped');
  const stranger = await openRoleKms('keystore', [key(3)]).wrap(secret, context);
  await assert.rejects(kms.unwrap(stranger, context), { code: 'kms.unknown_key' });
});

test('a question that was asked before a key was added is asked again by who needs the key', async () => {
  const answers = [access(1), access(1, 2)];
  const release = Promise.withResolvers<undefined>();
  const ask = async () => {
    const answer = answers.shift();
    await release.promise;
    return answer;
  };
  const kms = await followAccess(access(1), ask, systemRandom);
  const wrapping = kms.wrap(secret, context);
  const opening = openRoleKms('keystore', [key(2)])
    .wrap(secret, context)
    .then((wrapped) => kms.unwrap(wrapped, context));
  release.resolve(undefined);
  assert.equal(keyIdOf(await wrapping), key(1).keyId);
  assert.deepEqual(await opening, secret);
});

test('a server that does not answer, or cannot, keeps nothing from being done with the keys that are known', async () => {
  const pipe = new PassThrough();
  const asked: number[] = [];
  const clock: Clock = { ...systemClock, sleep: () => Promise.resolve() };
  const parent = new Parent(pipe, (question) => asked.push(questionOf(question)!), clock);
  const kms = await followAccess(access(1), () => parent.askAccess(), systemRandom);
  assert.deepEqual(await kms.unwrap(await kms.wrap(secret, context), context), secret);
  assert.deepEqual(asked, [1]);
  pipe.end();
  await parent.ended;
  assert.equal(await parent.orders, undefined);
});

test('an answer belongs to its question', async () => {
  const pipe = new PassThrough();
  const questions: unknown[] = [];
  const parent = new Parent(pipe, (question) => questions.push(question));
  const [first, second] = [parent.askAccess(), parent.askAccess()];
  assert.deepEqual(questions.map(questionOf), [1, 2]);
  for (const other of ['ready', undefined, {}, { asks: 0 }, { asks: 1, more: 1 }])
    assert.equal(questionOf(other), undefined);
  sendAccess(pipe, 7, access(9));
  sendAccess(pipe, 2, access(2));
  sendAccess(pipe, 1, undefined);
  assert.deepEqual(await second, access(2));
  assert.equal(await first, undefined);
  pipe.end();
  await parent.ended;
});
