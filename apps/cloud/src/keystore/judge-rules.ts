import {
  approvalsForRules,
  parseRulesChange,
  releasePurposes,
  releaseRequestSha256,
  rulesInForce,
  type KnownRules,
} from '@holdfast/trust';
import { keystoreErrors } from './errors.ts';
import { countApprovals, countApprovers } from './judge-approvals.ts';
import { judgeLeaf, type KeptHead, type LeafFacts, type Tenant } from './judge-leaf.ts';
import type { RegisteredKey } from './key-register.ts';

/** All that a change of the rules is judged by. */
export type RulesFacts = LeafFacts & {
  readonly tenant: Tenant;
  readonly nowMs: number;
  readonly keys: readonly RegisteredKey[];
  /** Those taken in so far, by rising number. */
  readonly rules: readonly KnownRules[];
};

/** A change that counts, to be kept as the next one, with the head. */
export type JudgedRules = { readonly head: KeptHead; readonly number: number; readonly known: KnownRules };

/**
 * Judges a change of the rules of release by its leaf: in its place, and with the approvals that the rules in force ask for.
 *
 * Rules that nobody could fulfil, or undo, are refused.
 * @throws keystore.*, of which each says why
 */
export function judgeRules(facts: RulesFacts): JudgedRules {
  const { tenant, nowMs, keys } = facts;
  const { leaf, head } = judgeLeaf(tenant, facts, ['release_rules']);
  const { installationId, tenantUid, number, rules } = parseRulesChange(leaf.change);
  if (installationId !== tenant.installationId || tenantUid !== tenant.tenantUid) throw keystoreErrors.other_tenant();
  const expected = facts.rules.length + 1;
  if (number !== expected) throw keystoreErrors.other_number({ number, expected });
  const documentSha256 = releaseRequestSha256(leaf.change);
  const approvals = countApprovals(leaf.approvals, { documentSha256, requester: undefined, keys, nowMs });
  const needed = approvalsForRules(rulesInForce(facts.rules, nowMs), rules);
  if (approvals < needed) throw keystoreErrors.rules_refused({ approvals, needed });
  const most = Math.max(...releasePurposes.map((purpose) => rules[purpose].approvals));
  const approvers = countApprovers(keys, nowMs);
  if (most > approvers) throw keystoreErrors.rules_unreachable({ approvals: most, approvers });
  return { head, number, known: { rules, knownSinceMs: nowMs } };
}
