import { CodedError } from '@holdfast/base';
import { releasesErrors, type RulesChangeState } from '@holdfast/contract';
import { parseRulesChange, releaseRequestSha256, type SignedText } from '@holdfast/trust';
import { keystoreErrors } from '../../keystore/errors.ts';
import { countApprovals } from '../../keystore/judge-approvals.ts';
import type { AuditActor, OpenContext } from '../../platform/context.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { appendKeyLogLeaf } from '../keylog/index.ts';
import { askKeystoreRules, type KeystoreRules, type ProposedRules } from '../persons/index.ts';
import {
  actorOf,
  findCaller,
  hasAskedEnough,
  openApproval,
  openDocument,
  withCaller,
  type Caller,
  type ReleaseDeps,
} from './callers.ts';
import { readRuleChanges, rulesToShow } from './release-states.ts';
import * as store from './store.ts';

/** Far enough ahead that all that waits has come. */
const FAR_MS = 400 * 86_400_000;

/** The rules in force, those that follow when all waiting is over, and the changes. */
export async function readRules(deps: ReleaseDeps, ctx: OpenContext, call: SignedText) {
  const nowMs = ctx.nowMs();
  const { tenantId, knowledge } = await withCaller(deps, ctx, { call, name: 'rules' }, (_, caller) =>
    Promise.resolve(caller),
  );
  const { rulesAt } = (await rulesToShow(deps, tenantId)) ?? knowledge;
  const changes = await deps.database.withTenant(tenantId, (tx) => readRuleChanges(tx, { tenantId, nowMs, rulesAt }));
  return { inForce: rulesAt(nowMs), next: rulesAt(nowMs + FAR_MS), changes: [...changes] };
}

/** A change of the rules, and an approval of it. */
type Proposal = {
  readonly tenantId: string;
  readonly change: string;
  readonly changeSha256: string;
  readonly number: number;
  readonly approval: SignedText;
  readonly approverKey: string;
  readonly at: Date;
};

const keystoreActor: AuditActor = { kind: 'system', id: 'keystore', name: 'the keystore' };

/** Others approve the same meanwhile: so often it is judged anew. */
const TRIES = 5;

/**
 * Takes in a person's approval of a change of the rules, which the first one proposes; with the last that is needed it is a leaf.
 *
 * The keystore numbers the changes, and says before the leaf whether it would take it. What it refuses all the same, for
 * something else came first, is kept as refused and leaves its number to the next one.
 * @throws releases.malformed, releases.unknown_key, releases.too_many, releases.settled, releases.refused, releases.keystore_away
 */
export async function changeRules(
  deps: ReleaseDeps,
  ctx: OpenContext,
  document: { readonly change: string; readonly approval: SignedText },
): Promise<RulesChangeState> {
  const proposal = openProposal(deps, document, new Date(ctx.nowMs()));
  const { tenantId, changeSha256, at } = proposal;
  for (let tries = 1; ; tries++) {
    const { caller, approvals } = await deps.database.withTenant(tenantId, (tx) => judgeCaller(tx, deps, proposal));
    const known = await askRules(deps, proposal, approvals);
    expectNext(proposal, known);
    const taken = { ctx, proposal, caller, approvals, isApproved: known.refusal === undefined };
    const kept = await deps.database.withTenant(tenantId, (tx) => keepApproval(tx, deps, taken));
    if (kept === 'logged') await expectTaken(deps, proposal);
    if (kept !== 'outrun' || tries === TRIES) {
      const of = { tenantId, nowMs: at.getTime(), rulesAt: known.rulesAt };
      const changes = await deps.database.withTenant(tenantId, (tx) => readRuleChanges(tx, of));
      return changes.find((one) => one.changeSha256 === changeSha256)!;
    }
  }
}

function openProposal(
  deps: ReleaseDeps,
  { change, approval }: { readonly change: string; readonly approval: SignedText },
  at: Date,
): Proposal {
  const { tenantUid: tenantId, installationId, number } = openDocument(() => parseRulesChange(change));
  const changeSha256 = releaseRequestSha256(change);
  const { requestSha256, approverKey } = openApproval(approval);
  if (requestSha256 !== changeSha256) throw releasesErrors.malformed({ problem: 'the approval is of something else' });
  if (installationId !== deps.installationId) throw releasesErrors.unknown_key();
  return { tenantId, change, changeSha256, number, approval, approverKey, at };
}

type Judged = { readonly caller: Caller; readonly approvals: ProposedRules['approvals'] };

/** Expects an approval that counts, of somebody who may send one; with it, all that the change has. */
async function judgeCaller(tx: TenantTx, deps: ReleaseDeps, proposal: Proposal): Promise<Judged> {
  const { tenantId, changeSha256: documentSha256, approverKey, approval, at } = proposal;
  const caller = await findCaller(tx, deps, { tenantUid: tenantId, publicKey: approverKey });
  const { uid } = caller.holder;
  if (await hasAskedEnough(tx, { tenantId, uid, at })) throw releasesErrors.too_many();
  const { keys } = caller.knowledge;
  const matter = { documentSha256, requester: undefined, keys, nowMs: at.getTime() };
  try {
    countApprovals([approval], matter);
  } catch (error) {
    if (error instanceof CodedError) throw releasesErrors.refused({ reason: error.code }, error);
    throw error;
  }
  const kept = await store.listApprovals(tx, tenantId, [documentSha256]);
  const hasApproved = kept.some((one) => one.user_id === uid);
  const others = kept
    .map(({ approval: text, signature }) => ({ text, signature }))
    .filter((one) => isCounted(() => countApprovals([one], matter)));
  return { caller, approvals: hasApproved ? others : [...others, approval] };
}

/** What the keystore says of the rules and of the change; what it did not take is kept as refused. @throws releases.keystore_away */
async function askRules(
  deps: ReleaseDeps,
  { tenantId, change, at }: Proposal,
  approvals: ProposedRules['approvals'],
): Promise<KeystoreRules> {
  let known: KeystoreRules;
  try {
    known = await askKeystoreRules(deps, tenantId, { change, approvals });
  } catch (error) {
    if (error instanceof CodedError) throw releasesErrors.keystore_away({}, error);
    throw error;
  }
  await deps.database.withTenant(tenantId, (tx) => keepRefusals(tx, deps, { tenantId, at, known }));
  return known;
}

/** Expects the next change, with nothing wrong but that it lacks approvals. @throws releases.settled, releases.refused */
function expectNext({ number }: Proposal, { rules, refusal }: KeystoreRules): void {
  if (number <= rules.length) throw releasesErrors.settled({ number, next: rules.length + 1 });
  if (number > rules.length + 1) throw releasesErrors.refused({ reason: keystoreErrors.other_number.code });
  if (refusal !== undefined && refusal !== keystoreErrors.rules_refused.code)
    throw releasesErrors.refused({ reason: refusal });
}

type Taken = Judged & {
  readonly ctx: OpenContext;
  readonly proposal: Proposal;
  /** The keystore takes the change with these approvals. */
  readonly isApproved: boolean;
};

/** Keeps the approval, and writes the leaf where it was the last one; nothing where others were taken in since it was judged. */
async function keepApproval(tx: TenantTx, deps: ReleaseDeps, taken: Taken): Promise<'kept' | 'logged' | 'outrun'> {
  const { proposal, caller, approvals, ctx, isApproved } = taken;
  const { tenantId, change, changeSha256, number, approval, at } = proposal;
  // One change at a time: each has its number.
  await store.lockDocument(tx, tenantId, 'rules');
  const now = await judgeCaller(tx, deps, proposal);
  if (JSON.stringify(now.approvals) !== JSON.stringify(approvals)) return 'outrun';
  await expectUnlogged(tx, proposal);
  await store.insertRuleChange(tx, {
    tenant_id: tenantId,
    change_sha256: changeSha256,
    number,
    change,
    proposed_at: at,
  });
  const given = { tenant_id: tenantId, document_sha256: changeSha256, user_id: caller.holder.uid };
  const { text, signature } = approval;
  const isNew = await store.insertApproval(tx, { ...given, approval: text, signature, approved_at: at });
  const { source, requestId } = ctx;
  const about = { tenantId, at, actor: actorOf(caller), source, requestId, outcome: 'done' } as const;
  const target = { kind: 'release_rules', id: changeSha256 };
  if (isNew) await deps.writeAudit(tx, { ...about, eventType: 'release_rules.approved', target, facts: { number } });
  if (!isApproved) return 'kept';
  const { logIndex } = await appendKeyLogLeaf(tx, { tenantId, at }, { kind: 'release_rules', change, approvals });
  const outcome = { tenant_id: tenantId, document_sha256: changeSha256, outcome: 'logged', at } as const;
  await store.insertOutcome(tx, { ...outcome, log_index: logIndex });
  return 'logged';
}

/** Expects that no change of its number stands in the log without the keystore's word on it, nor itself. @throws releases.settled */
async function expectUnlogged(tx: TenantTx, { tenantId, number, changeSha256 }: Proposal): Promise<void> {
  const logged = await store.listLoggedChanges(tx, tenantId);
  const own = await store.listOutcomes(tx, tenantId, [changeSha256]);
  if (own.length > 0 || logged.some((one) => one.number === number)) throw releasesErrors.settled({ number });
}

/**
 * Shows the keystore the leaf, which it has said it would take.
 *
 * @throws releases.refused where it did not; where it is away it is shown the leaf later, and what it says then is kept then
 */
async function expectTaken(deps: ReleaseDeps, proposal: Proposal): Promise<void> {
  const { tenantId, changeSha256, number, at } = proposal;
  let known: KeystoreRules;
  try {
    known = await askKeystoreRules(deps, tenantId);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    deps.log.warn({ err: error }, 'the keystore was not shown yet that rules of release were changed');
    return;
  }
  await deps.database.withTenant(tenantId, (tx) => keepRefusals(tx, deps, { tenantId, at, known }));
  if (!known.counts(changeSha256)) throw releasesErrors.refused({ reason: codeOf(number, known) });
}

type Refusing = { readonly tenantId: string; readonly at: Date; readonly known: KeystoreRules };

/** Keeps which changes in the log the keystore did not take, so that nobody takes them for rules; each once. */
async function keepRefusals(tx: TenantTx, deps: ReleaseDeps, { tenantId, at, known }: Refusing): Promise<void> {
  await store.lockDocument(tx, tenantId, 'rules');
  const logged = await store.listLoggedChanges(tx, tenantId);
  for (const { number, change_sha256: changeSha256, log_index: logIndex } of logged) {
    if (logIndex >= known.treeSize || known.counts(changeSha256)) continue;
    const code = codeOf(number, known);
    deps.log.error({ tenantId, number, code }, 'the keystore refuses a change of the rules that stands in the key log');
    const target = { kind: 'release_rules', id: changeSha256 };
    const about = { tenantId, at, actor: keystoreActor, outcome: 'refused', target } as const;
    await deps.writeAudit(tx, { ...about, eventType: 'release_rules.refused', facts: { number, code } });
    const outcome = { tenant_id: tenantId, document_sha256: changeSha256, outcome: 'refused', at } as const;
    await store.insertOutcome(tx, { ...outcome, log_index: logIndex, code });
  }
}

/** Why the keystore did not take a change: another came before it, or its approvals did not count any more. */
function codeOf(number: number, { rules }: KeystoreRules): string {
  return number <= rules.length ? keystoreErrors.other_number.code : keystoreErrors.rules_refused.code;
}

function isCounted(count: () => number): boolean {
  try {
    return count() === 1;
  } catch (error) {
    if (error instanceof CodedError) return false;
    throw error;
  }
}
