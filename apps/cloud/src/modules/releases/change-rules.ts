import { CodedError } from '@holdfast/base';
import { releasesErrors, type RulesChangeState } from '@holdfast/contract';
import { parseRulesChange, releaseRequestSha256, type SignedText } from '@holdfast/trust';
import { keystoreErrors } from '../../keystore/errors.ts';
import { countApprovals } from '../../keystore/judge-approvals.ts';
import { judgeRulesLeaf } from '../../keystore/judge-rules.ts';
import type { OpenContext } from '../../platform/context.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { appendKeyLogLeaf } from '../keylog/index.ts';
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
import { readRuleChanges } from './release-states.ts';
import * as store from './store.ts';

/** Far enough ahead that all that waits has come. */
const FAR_MS = 400 * 86_400_000;

/** The rules in force, those that follow when all waiting is over, and the changes. */
export function readRules(deps: ReleaseDeps, ctx: OpenContext, call: SignedText) {
  const nowMs = ctx.nowMs();
  return withCaller(deps, ctx, { call, name: 'rules' }, async (tx, { tenantId, knowledge }) => {
    const changes = await readRuleChanges(tx, { tenantId, nowMs, knowledge });
    return { inForce: knowledge.rulesAt(nowMs), next: knowledge.rulesAt(nowMs + FAR_MS), changes: [...changes] };
  });
}

/**
 * Takes in a person's approval of a change of the rules, which the first one proposes; with the last that is needed it is a leaf.
 *
 * @throws releases.malformed, releases.unknown_key, releases.too_many, releases.settled, releases.refused
 */
export async function changeRules(
  deps: ReleaseDeps,
  ctx: OpenContext,
  { change, approval }: { readonly change: string; readonly approval: SignedText },
): Promise<RulesChangeState> {
  const { tenantUid: tenantId, installationId, number } = openDocument(() => parseRulesChange(change));
  const changeSha256 = releaseRequestSha256(change);
  const { requestSha256, approverKey } = openApproval(approval);
  if (requestSha256 !== changeSha256) throw releasesErrors.malformed({ problem: 'the approval is of something else' });
  if (installationId !== deps.installationId) throw releasesErrors.unknown_key();
  const nowMs = ctx.nowMs();
  const at = new Date(nowMs);
  return deps.database.withTenant(tenantId, async (tx) => {
    // One change at a time: each has its number.
    await store.lockDocument(tx, tenantId, 'rules');
    const caller = await findCaller(tx, deps, { tenantUid: tenantId, publicKey: approverKey });
    if (await hasAskedEnough(tx, { tenantId, uid: caller.holder.uid, at })) throw releasesErrors.too_many();
    expectNew(caller, { changeSha256, approval, number, nowMs });
    const document = { tenant_id: tenantId, change_sha256: changeSha256, number, change };
    await store.insertRuleChange(tx, { ...document, proposed_at: at });
    const given = { tenant_id: tenantId, document_sha256: changeSha256, user_id: caller.holder.uid };
    const { text, signature } = approval;
    const isNew = await store.insertApproval(tx, { ...given, approval: text, signature, approved_at: at });
    const { source, requestId } = ctx;
    const about = { tenantId, at, actor: actorOf(caller), source, requestId, outcome: 'done' } as const;
    const target = { kind: 'release_rules', id: changeSha256 };
    if (isNew) await deps.writeAudit(tx, { ...about, eventType: 'release_rules.approved', target, facts: { number } });
    await logWhatIsApproved(tx, deps, { caller, change, changeSha256, at });
    const changes = await readRuleChanges(tx, { tenantId, nowMs, knowledge: caller.knowledge });
    return changes.find((one) => one.changeSha256 === changeSha256)!;
  });
}

/** Expects the next change, and an approval that counts. @throws releases.settled, releases.refused */
function expectNew(
  { knowledge: { keys, rules } }: Caller,
  of: {
    readonly changeSha256: string;
    readonly approval: SignedText;
    readonly number: number;
    readonly nowMs: number;
  },
): void {
  const { changeSha256: documentSha256, approval, number, nowMs } = of;
  if (number <= rules.length) throw releasesErrors.settled({ number, next: rules.length + 1 });
  if (number > rules.length + 1) throw releasesErrors.refused({ reason: keystoreErrors.other_number.code });
  refusing(() => countApprovals([approval], { documentSha256, requester: undefined, keys, nowMs }));
}

async function logWhatIsApproved(
  tx: TenantTx,
  { installationId }: ReleaseDeps,
  {
    caller,
    change,
    changeSha256,
    at,
  }: { readonly caller: Caller; readonly change: string; readonly changeSha256: string; readonly at: Date },
): Promise<void> {
  const { tenantId, knowledge } = caller;
  const nowMs = at.getTime();
  const matter = { documentSha256: changeSha256, requester: undefined, keys: knowledge.keys, nowMs };
  const approvals = (await store.listApprovals(tx, tenantId, [changeSha256]))
    .map(({ approval: text, signature }) => ({ text, signature }))
    .filter((one) => isCounted(() => countApprovals([one], matter)));
  const fact = { kind: 'release_rules', change, approvals } as const;
  const leaf = { ...fact, at: at.toISOString(), nonce: '' };
  const known = { tenant: { tenantUid: tenantId, installationId }, nowMs, ...knowledge };
  try {
    judgeRulesLeaf(leaf, known);
  } catch (error) {
    if (error instanceof CodedError && error.code === keystoreErrors.rules_refused.code) return;
    if (error instanceof CodedError) throw releasesErrors.refused({ reason: error.code }, error);
    throw error;
  }
  const { logIndex } = await appendKeyLogLeaf(tx, { tenantId, at }, fact);
  const outcome = { tenant_id: tenantId, document_sha256: changeSha256, outcome: 'logged', at } as const;
  await store.insertOutcome(tx, { ...outcome, log_index: logIndex });
}

function isCounted(count: () => number): boolean {
  try {
    return count() === 1;
  } catch (error) {
    if (error instanceof CodedError) return false;
    throw error;
  }
}

function refusing(judge: () => unknown): void {
  try {
    judge();
  } catch (error) {
    if (error instanceof CodedError) throw releasesErrors.refused({ reason: error.code }, error);
    throw error;
  }
}
