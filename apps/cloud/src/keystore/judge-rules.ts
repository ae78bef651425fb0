import {
  approvalsForRules,
  parseRulesChange,
  releasePurposes,
  releaseRequestSha256,
  rulesInForce,
  type KnownRules,
  type ReleaseRulesChanged,
} from '@holdfast/trust';
import { keystoreErrors } from './errors.ts';
import { countApprovals, countApprovers } from './judge-approvals.ts';
import { judgeLeaf, type KeptHead, type LeafFacts, type Tenant } from './judge-leaf.ts';
import type { RegisteredKey } from './key-register.ts';

/** What a change of the rules is judged by, besides its leaf. */
export type RulesKnowledge = {
  readonly tenant: Tenant;
  readonly nowMs: number;
  readonly keys: readonly RegisteredKey[];
  /** Those taken in so far, by rising number. */
  readonly rules: readonly KnownRules[];
};

/** A change that counts, to be kept as the next one. */
export type JudgedRules = { readonly number: number; readonly known: KnownRules };

/**
 * Judges a change of the rules of release by its leaf alone: in its place, and with the approvals that the rules in force ask for.
 *
 * Rules that nobody could fulfil, or undo, are refused.
 * @param leaf one that stands in the log: `followLog` or `judgeRules` has seen to that
 * @throws keystore.*, of which each says why
 */
export function judgeRulesLeaf(leaf: ReleaseRulesChanged, knowledge: RulesKnowledge): JudgedRules {
  const { tenant, nowMs, keys } = knowledge;
  const { installationId, tenantUid, number, rules } = parseRulesChange(leaf.change);
  if (installationId !== tenant.installationId || tenantUid !== tenant.tenantUid) throw keystoreErrors.other_tenant();
  const expected = knowledge.rules.length + 1;
  if (number !== expected) throw keystoreErrors.other_number({ number, expected });
  const documentSha256 = releaseRequestSha256(leaf.change);
  const approvals = countApprovals(leaf.approvals, { documentSha256, requester: undefined, keys, nowMs });
  const needed = approvalsForRules(rulesInForce(knowledge.rules, nowMs), rules);
  if (approvals < needed) throw keystoreErrors.rules_refused({ approvals, needed });
  const most = Math.max(...releasePurposes.map((purpose) => rules[purpose].approvals));
  const approvers = countApprovers(keys, nowMs);
  if (most > approvers) throw keystoreErrors.rules_unreachable({ approvals: most, approvers });
  return { number, known: { rules, knownSinceMs: nowMs } };
}

/** Judges a change of the rules that is shown by itself, and gives the head to keep with it. @throws keystore.*, of which each says why */
export function judgeRules(facts: LeafFacts & RulesKnowledge): JudgedRules & { readonly head: KeptHead } {
  const { leaf, head } = judgeLeaf(facts.tenant, facts, ['release_rules']);
  return { ...judgeRulesLeaf(leaf, facts), head };
}
