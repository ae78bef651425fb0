/**
 * Under what rules keys are released, and from when on changed ones count: what becomes stricter counts at once, what
 * becomes weaker after the delay that was in force, and never before a day.
 */
import { assert } from '@holdfast/base';
import { canonicalJson } from './canonical-json.ts';
import { forms, isCount, isOf, isOneOf, readMembers, wrongField, type Field } from './document-shape.ts';
import { releaseBounds, releaseErrors, releasePurposes, type ReleasePurpose } from './release-request.ts';

/** To whom the leaf of a release is shown as a whole, at once: the archive's device and who asked, or the whole tenant. */
export type ReleaseNotice = 'owner' | 'everyone';

/** What a release for one purpose takes. */
export type ReleaseRule = {
  /** By so many persons, none of whom is the requester; 0 to 16. */
  readonly approvals: number;
  /** Between the release's leaf and the release; 0 to 720. */
  readonly delayHours: number;
  readonly notice: ReleaseNotice;
};

/** The rule of each purpose. */
export type ReleaseRules = Readonly<Record<ReleasePurpose, ReleaseRule>>;

/** A change of the rules, as a document that is approved: all rules as they shall be. */
export type RulesChange = {
  readonly version: 1;
  readonly installationId: string;
  readonly tenantUid: string;
  /** Counts from 1, without a gap: a change counts once, and in its place. */
  readonly number: number;
  readonly rules: ReleaseRules;
};

/** Rules that were changed, and since when that is known (milliseconds since 1970, by the clock of who judges by them). */
export type KnownRules = { readonly rules: ReleaseRules; readonly knownSinceMs: number };

/** What is in force where no change was ever made. */
export const defaultReleaseRules: ReleaseRules = {
  own_restore: { approvals: 0, delayHours: 0, notice: 'owner' },
  admin_restore: { approvals: 1, delayHours: 0, notice: 'owner' },
  replacement: { approvals: 1, delayHours: 0, notice: 'owner' },
};

/** Rules that become weaker wait so long at least. */
export const LEAST_RULES_DELAY_HOURS = 24;

/** Writes a change of the rules; approvals name it by the hash of its text. @throws release.malformed_rules */
export function formatRulesChange(change: RulesChange): string {
  const text = canonicalJson(change);
  parseRulesChange(text);
  return text;
}

/** Reads a change that anybody may have written; who approved it is not asked. @throws release.malformed_rules */
export function parseRulesChange(text: string): RulesChange {
  if (text.length > RULES_CHARACTERS) throw releaseErrors.malformed_rules({ characters: text.length });
  const members = readMembers(text, releaseErrors.malformed_rules);
  const field = wrongField(members, changeShape);
  if (field !== undefined) throw releaseErrors.malformed_rules({ field });
  return members as unknown as RulesChange;
}

/**
 * The rules in force at an instant.
 *
 * What a change makes stricter counts from when it is known. What it makes weaker counts when the delay that was in force
 * just before it has passed since, and a day at least; a further change in between ends that wait and begins one of its own,
 * so toggling shortens nothing. A clock that went back between two changes counts as standing still.
 * @param changes by rising number, each of which had the approvals that `approvalsForRules` asks for
 */
export function rulesInForce(changes: readonly KnownRules[], nowMs: number): ReleaseRules {
  return forEachPurpose((purpose) => ruleAt(stateOf(changes, purpose), nowMs));
}

/** How many approvals a change needs that becomes known now: those of each rule that it weakens, and one at least. */
export function approvalsForRules(inForce: ReleaseRules, next: ReleaseRules): number {
  const weakened = releasePurposes.filter((purpose) => isWeaker(next[purpose], inForce[purpose]));
  return Math.max(1, ...weakened.map((purpose) => inForce[purpose].approvals));
}

/** Whether a leaf that is shown to these is shown to all whom the rule names. */
export function isNoticeEnough(shown: ReleaseNotice, asked: ReleaseNotice): boolean {
  return noticeRank[shown] >= noticeRank[asked];
}

/** A rule, and the one that follows it at an instant. */
type RuleState = { readonly rule: ReleaseRule; readonly next: ReleaseRule; readonly nextFromMs: number };

const HOUR_MS = 3_600_000;
const RULES_CHARACTERS = 2_048;
const noticeRank: Readonly<Record<ReleaseNotice, number>> = { owner: 0, everyone: 1 };

function stateOf(changes: readonly KnownRules[], purpose: ReleasePurpose): RuleState {
  const first = defaultReleaseRules[purpose];
  let state: RuleState = { rule: first, next: first, nextFromMs: -Infinity };
  let lastMs = -Infinity;
  for (const { rules, knownSinceMs } of changes) {
    assert(Number.isFinite(knownSinceMs), 'it is known since when a change is known');
    lastMs = Math.max(lastMs, knownSinceMs);
    state = changed(ruleAt(state, lastMs), rules[purpose], lastMs);
  }
  return state;
}

function changed(inForce: ReleaseRule, next: ReleaseRule, atMs: number): RuleState {
  const waitHours = Math.max(LEAST_RULES_DELAY_HOURS, inForce.delayHours);
  const nextFromMs = isWeaker(next, inForce) ? atMs + waitHours * HOUR_MS : atMs;
  return { rule: stricterOf(inForce, next), next, nextFromMs };
}

function ruleAt({ rule, next, nextFromMs }: RuleState, nowMs: number): ReleaseRule {
  return nowMs >= nextFromMs ? next : rule;
}

/** Whether a rule asks for less than another in anything. */
function isWeaker(rule: ReleaseRule, than: ReleaseRule): boolean {
  const { approvals, delayHours, notice } = rule;
  return approvals < than.approvals || delayHours < than.delayHours || noticeRank[notice] < noticeRank[than.notice];
}

function stricterOf(one: ReleaseRule, other: ReleaseRule): ReleaseRule {
  return {
    approvals: Math.max(one.approvals, other.approvals),
    delayHours: Math.max(one.delayHours, other.delayHours),
    notice: noticeRank[one.notice] >= noticeRank[other.notice] ? one.notice : other.notice,
  };
}

function forEachPurpose(of: (purpose: ReleasePurpose) => ReleaseRule): ReleaseRules {
  return { own_restore: of('own_restore'), admin_restore: of('admin_restore'), replacement: of('replacement') };
}

const isRule = isOf({
  approvals: isCount(0, releaseBounds.approvals),
  delayHours: isCount(0, 720),
  notice: isOneOf('owner', 'everyone'),
});

const changeShape: { readonly [K in keyof RulesChange]: Field } = {
  version: isOneOf(1),
  installationId: forms.uuid,
  tenantUid: forms.uuid,
  number: isCount(1),
  rules: isOf({ own_restore: isRule, admin_restore: isRule, replacement: isRule }),
};
