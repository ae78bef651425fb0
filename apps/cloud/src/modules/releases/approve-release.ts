import { CodedError } from '@holdfast/base';
import { releasesErrors, type ReleaseState } from '@holdfast/contract';
import type { SignedText } from '@holdfast/trust';
import { countApprovals } from '../../keystore/judge-approvals.ts';
import { keystoreErrors } from '../../keystore/errors.ts';
import type { OpenContext } from '../../platform/context.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { findDevice } from '../devices/index.ts';
import {
  actorOf,
  findCaller,
  hasAskedEnough,
  logRefusal,
  openApproval,
  withCaller,
  type Caller,
  type ReleaseDeps,
} from './callers.ts';
import { grantWhatIsDue, requesterOf } from './grant-release.ts';
import { readState } from './release-states.ts';
import * as store from './store.ts';

/**
 * Takes in a person's approval of a release; with the last that is needed it is logged and opened.
 *
 * One that does not count is refused, by a leaf; the release stays as it is.
 * @throws releases.malformed, releases.unknown_key, releases.not_found, releases.settled, releases.refused, releases.too_many
 */
export async function approveRelease(
  deps: ReleaseDeps,
  ctx: OpenContext,
  { tenantUid: tenantId, approval: signed }: { readonly tenantUid: string; readonly approval: SignedText },
): Promise<ReleaseState> {
  const { requestSha256, approverKey } = openApproval(signed);
  const nowMs = ctx.nowMs();
  const at = new Date(nowMs);
  const code = await deps.database.withTenant(tenantId, async (tx) => {
    const caller = await findCaller(tx, deps, { tenantUid: tenantId, publicKey: approverKey });
    await store.lockDocument(tx, tenantId, requestSha256);
    const row = await store.findRequest(tx, tenantId, requestSha256);
    if (!row) throw releasesErrors.not_found();
    if (await hasAskedEnough(tx, { tenantId, uid: caller.holder.uid, at })) throw releasesErrors.too_many();
    const outcomes = await store.listOutcomes(tx, tenantId, [requestSha256]);
    if (outcomes.length > 0 || row.expires_at.getTime() <= nowMs) throw releasesErrors.settled();
    const isOwnRequest = await isUserOfRequester(tx, caller, row);
    const refusedBy = isOwnRequest ? keystoreErrors.self_approval.code : refusalOf(caller, { row, signed, nowMs });
    const by = { by: caller.holder, name: caller.name };
    if (refusedBy !== undefined) {
      const refused = { archiveId: row.archive_id, requestSha256, ...by, code: refusedBy };
      await logRefusal(tx, deps, { tenantId, at }, refused);
      return refusedBy;
    }
    const { text: approval, signature } = signed;
    const given = { tenant_id: tenantId, document_sha256: requestSha256, user_id: caller.holder.uid };
    const isNew = await store.insertApproval(tx, { ...given, approval, signature, approved_at: at });
    const { source, requestId } = ctx;
    const about = { tenantId, at, actor: actorOf(caller), source, requestId, outcome: 'done' } as const;
    const target = { kind: 'release', id: requestSha256 };
    if (isNew) await deps.writeAudit(tx, { ...about, eventType: 'release.approved', target });
    return undefined;
  });
  if (code !== undefined) throw releasesErrors.refused({ reason: code });
  await grantWhatIsDue(deps, { tenantId, requestSha256, nowMs });
  return readState(deps, { tenantId, requestSha256, nowMs });
}

/** Whether the computer that asks is that of the person who approves: the two are one. The keystore cannot know it. */
async function isUserOfRequester(tx: TenantTx, { tenantId, holder }: Caller, row: store.RequestRow): Promise<boolean> {
  const requester = requesterOf(row);
  if (requester.kind !== 'device') return false;
  return (await findDevice(tx, tenantId, requester.uid))?.user_id === holder.uid;
}

/** Why an approval does not count, as the keystore would judge it. */
function refusalOf(
  { knowledge: { keys } }: Caller,
  { row, signed, nowMs }: { readonly row: store.RequestRow; readonly signed: SignedText; readonly nowMs: number },
): string | undefined {
  const matter = { documentSha256: row.request_sha256, requester: requesterOf(row), keys, nowMs };
  try {
    countApprovals([signed], matter);
    return undefined;
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  }
}

/**
 * Refuses a release for good: a person who may approve, or who asked for it. What was granted stays so.
 *
 * @throws releases.not_found, releases.not_person, releases.settled, and those of a call
 */
export async function refuseRelease(deps: ReleaseDeps, ctx: OpenContext, call: SignedText): Promise<ReleaseState> {
  const nowMs = ctx.nowMs();
  const at = new Date(nowMs);
  const refused = await withCaller(
    deps,
    ctx,
    { call, name: 'refuse' },
    async (tx, caller, { about: requestSha256 }) => {
      const { tenantId, holder, name, knowledge, publicKey } = caller;
      const row = await store.findRequest(tx, tenantId, requestSha256 ?? '');
      if (!row || requestSha256 === null) throw releasesErrors.not_found();
      const key = knowledge.keys.find((one) => one.publicKey === publicKey);
      const isRequester = requesterOf(row).uid === holder.uid;
      if (holder.kind !== 'person' || (!isRequester && key?.approvesSinceMs === null))
        throw releasesErrors.not_person();
      await store.lockDocument(tx, tenantId, requestSha256);
      const outcomes = await store.listOutcomes(tx, tenantId, [requestSha256]);
      if (outcomes.some(({ outcome }) => outcome !== 'logged')) throw releasesErrors.settled();
      const code = releasesErrors.refused.code;
      const about = { archiveId: row.archive_id, requestSha256, by: holder, name, code };
      const logIndex = await logRefusal(tx, deps, { tenantId, at }, about);
      const outcome = { tenant_id: tenantId, document_sha256: requestSha256, outcome: 'refused', at } as const;
      await store.insertOutcome(tx, { ...outcome, log_index: logIndex, code });
      return { tenantId, requestSha256 };
    },
  );
  return readState(deps, { ...refused, nowMs });
}
