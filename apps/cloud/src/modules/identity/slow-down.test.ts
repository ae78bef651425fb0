import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  countAttempt,
  forgiveAttempt,
  noAttempts,
  slowDowns,
  takeBackAttempt,
  waitMs,
  type Counter,
} from './slow-down.ts';

const rule = slowDowns.account;

function attemptsAt(times: readonly number[]): { allowed: number; counter: Counter } {
  let counter = noAttempts;
  let allowed = 0;
  for (const nowMs of times) {
    const result = countAttempt(rule, counter, nowMs);
    if (result.status === 'refused') continue;
    allowed++;
    counter = result.counter;
  }
  return { allowed, counter };
}

test('the first failures cost nothing and the next ones wait twice as long each', () => {
  assert.deepEqual(
    [0, 5, 6, 7, 8].map((failures) => waitMs(rule, failures)),
    [0, 0, 1_000, 2_000, 4_000],
  );
});

test('nothing locks longer than fifteen minutes, however many failures and whatever the clock does', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e9 }), fc.integer({ min: -1e12, max: 1e12 }), (failures, nowMs) => {
      const counter = { failures, lastAttemptMs: 0, blockedUntilMs: 1e12 };
      const result = countAttempt(rule, counter, nowMs);
      assert.ok(waitMs(rule, failures) <= 15 * 60_000);
      if (result.status === 'refused') assert.ok(result.waitMs <= 15 * 60_000);
    }),
  );
});

test('a thousand attempts at one moment are as few as the count allows', () => {
  const { allowed } = attemptsAt(Array.from({ length: 1_000 }, () => 1_000_000));
  assert.equal(allowed, rule.freeFailures + 1);
});

test('an attempt a second for a day tries fewer than two hundred passwords', () => {
  const { allowed } = attemptsAt(Array.from({ length: 86_400 }, (_, second) => 1e12 + second * 1_000));
  assert.ok(allowed < 200, String(allowed));
  assert.ok(allowed > rule.freeFailures);
});

test('refused attempts do not prolong the wait', () => {
  const blocked = { failures: 10, lastAttemptMs: 0, blockedUntilMs: 10_000 };
  assert.equal(countAttempt(rule, blocked, 9_999).status, 'refused');
  assert.equal(countAttempt(rule, blocked, 10_000).status, 'allowed');
});

test('success forgets the failures of an account, and one of a source', () => {
  const counter = { failures: 7, lastAttemptMs: 0, blockedUntilMs: 99 };
  assert.equal(forgiveAttempt('account', counter, 1).failures, 0);
  assert.equal(forgiveAttempt('browser', counter, 1).failures, 0);
  assert.equal(forgiveAttempt('source', counter, 1).failures, 6);
});

test('an attempt taken back leaves the count and the wait as if it had not been', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 1e12 }), (failures, nowMs) => {
      const before = { failures, lastAttemptMs: nowMs, blockedUntilMs: nowMs };
      const result = countAttempt(rule, before, nowMs);
      assert.ok(result.status === 'allowed');
      const after = takeBackAttempt(rule, result.counter);
      assert.deepEqual(after, { ...before, blockedUntilMs: nowMs + waitMs(rule, failures) });
    }),
  );
  assert.deepEqual(takeBackAttempt(rule, noAttempts), noAttempts);
});
