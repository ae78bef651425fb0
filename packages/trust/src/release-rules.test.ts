import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyRules, anyRulesChange } from './testing/leaf-arbitraries.ts';
import {
  approvalsForRules,
  canonicalJson,
  defaultReleaseRules,
  formatRulesChange,
  isNoticeEnough,
  parseRulesChange,
  releasePurposes,
  rulesInForce,
  type Json,
  type KnownRules,
  type ReleaseRule,
  type ReleaseRules,
} from './index.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** The default rules, with this one for an administrator's restore. */
const withRule = (rule: Partial<ReleaseRule>): ReleaseRules => ({
  ...defaultReleaseRules,
  admin_restore: { ...defaultReleaseRules.admin_restore, ...rule },
});
const known = (knownSinceMs: number, rule: Partial<ReleaseRule>): KnownRules => ({
  knownSinceMs,
  rules: withRule(rule),
});
const at = (changes: readonly KnownRules[], nowMs: number) => rulesInForce(changes, nowMs).admin_restore;

/** Changes at rising instants, from 0 on. */
const history = fc
  .array(
    fc.record({
      afterMs: fc.oneof(fc.integer({ min: 0, max: DAY }), fc.integer({ min: 0, max: 40 * DAY })),
      rules: anyRules,
    }),
    { maxLength: 6 },
  )
  .map((steps) => {
    let knownSinceMs = 0;
    return steps.map(({ afterMs, rules }): KnownRules => ({ knownSinceMs: (knownSinceMs += afterMs), rules }));
  });
const rank = ({ approvals, delayHours, notice }: ReleaseRule) => [approvals, delayHours, notice === 'owner' ? 0 : 1];
const isAtLeast = (one: ReleaseRule, other: ReleaseRule) =>
  rank(one).every((value, part) => value >= rank(other)[part]!);

test('where nothing was ever changed, the default rules are in force', () => {
  assert.deepEqual(rulesInForce([], 0), defaultReleaseRules);
});

test('what becomes stricter counts at once, what becomes weaker after the old delay and a day at least', () => {
  const stricter = known(1_000, { approvals: 2, delayHours: 72 });
  assert.equal(at([stricter], 999 + DAY).approvals, 2);
  assert.deepEqual(at([stricter], 1_000), stricter.rules.admin_restore);
  const weaker = known(10 * DAY, { approvals: 0, delayHours: 0 });
  assert.deepEqual(at([stricter, weaker], 13 * DAY - 1), stricter.rules.admin_restore);
  assert.deepEqual(at([stricter, weaker], 13 * DAY), weaker.rules.admin_restore);
  const fromDefault = known(0, { approvals: 0 });
  assert.equal(at([fromDefault], DAY - 1).approvals, 1);
  assert.equal(at([fromDefault], DAY).approvals, 0);
});

test('a change that is stricter in one thing and weaker in another is the stricter of both until the weaker counts', () => {
  const mixed = known(0, { approvals: 0, delayHours: 48, notice: 'everyone' });
  assert.deepEqual(at([mixed], 0), { approvals: 1, delayHours: 48, notice: 'everyone' });
  assert.deepEqual(at([mixed], DAY), { approvals: 0, delayHours: 48, notice: 'everyone' });
});

test('approvals to 0 and back, as often as one likes, are never 0 before a day without a further change', () => {
  const toggled = Array.from({ length: 50 }, (_, step) => known(step * HOUR, { approvals: step % 2 }));
  for (let hour = 0; hour < 50; hour++) {
    const soFar = toggled.slice(0, hour + 1);
    for (const ms of [0, HOUR - 1]) assert.equal(at(soFar, hour * HOUR + ms).approvals, 1, `${hour}`);
  }
  const last = known(50 * HOUR, { approvals: 0 });
  assert.equal(at([...toggled, last], 50 * HOUR + DAY - 1).approvals, 1);
  assert.equal(at([...toggled, last], 50 * HOUR + DAY).approvals, 0);
});

test('a weaker rule that is said again and again begins its wait each time', () => {
  const again = Array.from({ length: 30 }, (_, step) => known(step * HOUR, { approvals: 0 }));
  for (const { knownSinceMs } of again)
    for (const ms of [0, HOUR - 1])
      assert.equal(at(again.slice(0, knownSinceMs / HOUR + 1), knownSinceMs + ms).approvals, 1);
  assert.equal(at(again, 29 * HOUR + DAY - 1).approvals, 1);
  assert.equal(at(again, 29 * HOUR + DAY).approvals, 0);
});

test('no rule is weaker than before unless a change waited out the delay that was in force, undisturbed', () => {
  fc.assert(
    fc.property(history, fc.nat({ max: 300 * DAY }), fc.nat({ max: 300 * DAY }), (changes, one, other) => {
      const [beforeMs, nowMs] = [Math.min(one, other), Math.max(one, other)];
      const last = changes.findLastIndex(({ knownSinceMs }) => knownSinceMs <= nowMs);
      const seen = changes.slice(0, last + 1);
      const seenBefore = changes.filter(({ knownSinceMs }) => knownSinceMs <= beforeMs);
      for (const purpose of releasePurposes) {
        const now = rulesInForce(seen, nowMs)[purpose];
        const before = rulesInForce(seenBefore, beforeMs)[purpose];
        if (isAtLeast(now, before)) continue;
        // In whatever it is weaker, a change said so that has had its time since then, or was waiting then.
        const weaker = [0, 1, 2].filter((part) => rank(now)[part]! < rank(before)[part]!);
        const waited = seen.some(({ knownSinceMs, rules }, place) => {
          const justBefore = rulesInForce(seen.slice(0, place), knownSinceMs)[purpose];
          const endsMs = seen[place + 1]?.knownSinceMs ?? nowMs;
          const hasWaited = endsMs - knownSinceMs >= Math.max(DAY, justBefore.delayHours * HOUR) && endsMs > beforeMs;
          return hasWaited && weaker.every((part) => rank(rules[purpose])[part]! <= rank(now)[part]!);
        });
        assert.ok(waited);
      }
    }),
    // Shrinking instants takes minutes.
    { numRuns: 500, endOnFailure: true },
  );
});

test('a change and its undoing, put in anywhere, make no later rule weaker than it was without them', () => {
  fc.assert(
    fc.property(
      anyRules,
      anyRules,
      fc.nat({ max: DAY - 1 }),
      fc.nat({ max: 60 * DAY }),
      (first, toggle, backMs, laterMs) => {
        const base: KnownRules = { knownSinceMs: 0, rules: first };
        const fromMs = 100 * DAY;
        const nowMs = fromMs + backMs + laterMs;
        const toggled = [
          base,
          { knownSinceMs: fromMs, rules: toggle },
          { knownSinceMs: fromMs + backMs, rules: first },
        ];
        for (const purpose of releasePurposes)
          assert.ok(isAtLeast(rulesInForce(toggled, nowMs)[purpose], rulesInForce([base], nowMs)[purpose]));
      },
    ),
  );
});

test('what is stricter in a change is in force from its instant on, until a later change', () => {
  fc.assert(
    fc.property(history, fc.nat({ max: 100 * DAY }), (changes, laterMs) => {
      const last = changes.at(-1);
      if (last === undefined) return;
      const rules = rulesInForce(changes, last.knownSinceMs + laterMs);
      for (const purpose of releasePurposes) assert.ok(isAtLeast(rules[purpose], last.rules[purpose]));
    }),
  );
});

test('a clock that goes back brings no weaker rule forward', () => {
  const changes = [known(10 * DAY, { approvals: 3 }), known(0, { approvals: 0 })];
  assert.equal(at(changes, 11 * DAY - 1).approvals, 3);
  assert.equal(at(changes, 11 * DAY).approvals, 0);
});

test('a change that weakens takes the approvals that were in force for what it weakens, any other takes one', () => {
  const inForce = {
    ...defaultReleaseRules,
    admin_restore: { approvals: 3, delayHours: 24, notice: 'everyone' },
  } as const;
  const needs = (rule: Partial<ReleaseRule>) =>
    approvalsForRules(inForce, { ...inForce, admin_restore: { ...inForce.admin_restore, ...rule } });
  assert.deepEqual(
    [
      needs({ approvals: 2 }),
      needs({ delayHours: 23 }),
      needs({ notice: 'owner' }),
      needs({ approvals: 9, delayHours: 0 }),
    ],
    [3, 3, 3, 3],
  );
  assert.deepEqual([needs({}), needs({ approvals: 4 }), needs({ delayHours: 25 })], [1, 1, 1]);
  const ownRestore = { ...inForce, own_restore: { approvals: 0, delayHours: 5, notice: 'owner' } } as const;
  assert.equal(approvalsForRules(ownRestore, inForce), 1, 'what needs no approval is not weakened without one');
});

test('a leaf for the whole tenant is shown to the owner too, and not the other way round', () => {
  assert.ok(
    isNoticeEnough('owner', 'owner') && isNoticeEnough('everyone', 'owner') && isNoticeEnough('everyone', 'everyone'),
  );
  assert.ok(!isNoticeEnough('owner', 'everyone'));
});

test('a change is read as it was written, and one with a wrong or missing member is refused', () => {
  const malformed = { code: 'release.malformed_rules' };
  fc.assert(
    fc.property(anyRulesChange, (change) => {
      const text = formatRulesChange(change);
      assert.deepEqual(parseRulesChange(text), change);
      const members = change as unknown as { readonly [name: string]: Json };
      const rules = change.rules as unknown as { readonly [name: string]: Json };
      for (const name of Object.keys(members)) {
        const { [name]: _, ...without } = members;
        assert.throws(() => parseRulesChange(canonicalJson(without)), malformed);
      }
      for (const wrong of [
        { approvals: 17 },
        { approvals: -1 },
        { delayHours: 721 },
        { notice: 'nobody' },
        { more: 1 },
      ]) {
        const own = { ...(rules['own_restore'] as object), ...wrong } as Json;
        assert.throws(
          () => parseRulesChange(canonicalJson({ ...members, rules: { ...rules, own_restore: own } })),
          malformed,
        );
      }
      assert.throws(() => parseRulesChange(canonicalJson({ ...members, rules: { ...rules, more: {} } })), malformed);
      assert.throws(() => parseRulesChange(canonicalJson({ ...members, number: 0 })), malformed);
    }),
    { numRuns: 20 },
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => assert.throws(() => parseRulesChange(text), malformed)),
  );
});
