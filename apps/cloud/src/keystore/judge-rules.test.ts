import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '@holdfast/base';
import {
  defaultReleaseRules,
  formatRulesChange,
  rulesInForce,
  type KnownRules,
  type ReleaseRule,
  type ReleaseRules,
  type RulesChange,
} from '@holdfast/trust';
import { judgeRelease } from './judge-release.ts';
import { judgeRules } from './judge-rules.ts';
import { KEY_WAIT_MS } from './key-register.ts';
import {
  approve,
  approver,
  HOUR_MS,
  leafOf,
  makeParty,
  makeScene,
  nowMs,
  tenant,
  type Party,
} from './release-scene.fixture.ts';

const scene = makeScene();
const { admin, first, second, keys, keyLog } = scene;

const withRule = (rule: Partial<ReleaseRule>): ReleaseRules => ({
  ...defaultReleaseRules,
  admin_restore: { ...defaultReleaseRules.admin_restore, ...rule },
});

type Plan = {
  readonly rule: Partial<ReleaseRule>;
  readonly by?: readonly Party[];
  readonly change?: Partial<RulesChange>;
  readonly approvedText?: string;
};

/** What the keystore is shown of a change, and judges at an instant. */
async function judge(
  { rule, by = [], change = {}, approvedText }: Plan,
  rules: readonly KnownRules[] = [],
  atMs = nowMs,
) {
  const kept = keyLog.head();
  const next: RulesChange = { version: 1, ...tenant, number: rules.length + 1, rules: withRule(rule), ...change };
  const text = formatRulesChange(next);
  const approvals = by.map((one) => approve(approvedText ?? text, one));
  const shown = await keyLog.show(keyLog.add(leafOf({ kind: 'release_rules', change: text, approvals })), kept);
  return judgeRules({ ...shown, tenant, nowMs: atMs, keys, rules });
}

const refuses = (code: string, ...of: Parameters<typeof judge>) =>
  assert.rejects(judge(...of), { code: `keystore.${code}` });

test('a change with the approvals of the rules in force is taken in, and one with fewer is not', async () => {
  const stricter = await judge({ rule: { approvals: 2 }, by: [first] });
  assert.deepEqual(stricter, {
    head: keyLog.head(),
    number: 1,
    known: { rules: withRule({ approvals: 2 }), knownSinceMs: nowMs },
  });
  const rules = [stricter.known];
  await refuses('rules_refused', { rule: { approvals: 2 } });
  for (const weaker of [{ approvals: 1 }, { approvals: 2, delayHours: 0, notice: 'owner' } as const]) {
    const before = [{ ...rules[0]!, rules: withRule({ approvals: 2, delayHours: 24, notice: 'everyone' }) }];
    await refuses('rules_refused', { rule: weaker, by: [first] }, before);
    assert.equal((await judge({ rule: weaker, by: [first, second] }, before)).number, 2);
  }
});

test('a change out of its place, of another tenant or approved as something else is refused', async () => {
  const rule = { approvals: 2 };
  const by = [first];
  await refuses('other_number', { rule, by, change: { number: 2 } });
  const known = [(await judge({ rule, by })).known];
  // The same text again, with its genuine approvals, is the change that was.
  await refuses('other_number', { rule, by, change: { number: 1 } }, known);
  assert.equal((await judge({ rule, by }, known)).number, 2);
  await refuses('other_tenant', { rule, by, change: { tenantUid: newId() } });
  await refuses('other_tenant', { rule, by, change: { installationId: newId() } });
  await refuses('other_approval', { rule, by, approvedText: 'another' });
  await refuses('unregistered_approver', { rule, by: [admin] });
  await refuses('approved_twice', { rule, by: [first, first] });
});

test('rules that nobody could fulfil are refused', async () => {
  const by = [first];
  await refuses('rules_unreachable', { rule: { approvals: 3 }, by });
  assert.equal((await judge({ rule: { approvals: 2 }, by })).number, 1);
  const today = approver(makeParty('person'), nowMs);
  const facts = { rule: { approvals: 3 }, by };
  const kept = keyLog.head();
  const text = formatRulesChange({ version: 1, ...tenant, number: 1, rules: withRule(facts.rule) });
  const leaf = leafOf({ kind: 'release_rules', change: text, approvals: [approve(text, first)] });
  const shown = await keyLog.show(keyLog.add(leaf), kept);
  const judged = (known: typeof keys) => judgeRules({ ...shown, tenant, nowMs, keys: known, rules: [] });
  assert.throws(() => judged([...keys, today]), { code: 'keystore.rules_unreachable' });
  assert.equal(judged([...keys, { ...today, approvesSinceMs: nowMs - KEY_WAIT_MS }]).number, 1);
});

test('approvals to 0 and back, by who may, release nothing without an approval before a day has passed', async () => {
  let rules: readonly KnownRules[] = [];
  const restores = async (atMs: number, approvers: readonly Party[] = []) => {
    const facts = await scene.factsOf({
      requester: admin,
      approvers,
      request: { expiresAt: new Date(atMs + HOUR_MS).toISOString() },
      facts: { rules, nowMs: atMs },
    });
    return judgeRelease(facts).status;
  };
  const refused = { code: 'keystore.purpose_refused' };
  for (let step = 0; step < 6; step += 1) {
    const atMs = nowMs + step * 7 * HOUR_MS;
    const { known } = await judge({ rule: { approvals: step % 2 }, by: [first] }, rules, atMs);
    rules = [...rules, known];
    for (const ms of [0, 7 * HOUR_MS - 1]) {
      await assert.rejects(restores(atMs + ms), refused);
      assert.equal(await restores(atMs + ms, [first]), 'granted');
    }
  }
  const lastMs = nowMs + 42 * HOUR_MS;
  rules = [...rules, (await judge({ rule: { approvals: 0 }, by: [first] }, rules, lastMs)).known];
  await assert.rejects(restores(lastMs + KEY_WAIT_MS - 1), refused);
  assert.equal(await restores(lastMs + KEY_WAIT_MS), 'granted');
  assert.equal(rulesInForce(rules, lastMs + KEY_WAIT_MS).admin_restore.approvals, 0);
});
