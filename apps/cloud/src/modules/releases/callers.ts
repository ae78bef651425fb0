import { CodedError, type Clock } from '@holdfast/base';
import { releasesErrors } from '@holdfast/contract';
import {
  openReleaseApproval,
  openReleaseCall,
  openReleaseRequest,
  RELEASE_CALL_MS,
  type KeyHolder,
  type ReleaseApproval,
  type ReleaseCall,
  type ReleaseCallName,
  type ReleaseRequest,
  type SignedText,
} from '@holdfast/trust';
import type { Keystore } from '../../keystore/operations.ts';
import type { AuditActor, OpenContext, WriteAudit } from '../../platform/context.ts';
import type { Kms } from '../../platform/kms.ts';
import type { Log } from '../../platform/log.ts';
import type { Database, TenantTx } from '../../platform/postgres.ts';
import { appendKeyLogLeaf } from '../keylog/index.ts';
import { isInGoodStanding, readKnowledge, type Knowledge } from '../persons/index.ts';
import { isTenantActive } from '../tenants/index.ts';
import * as store from './store.ts';

/** What handling releases needs. */
export type ReleaseDeps = {
  readonly database: Database;
  readonly installationId: string;
  readonly kms: Kms;
  readonly keystore: Pick<Keystore, 'followed' | 'follow' | 'release' | 'releaseRules'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly writeAudit: WriteAudit;
  /** A keyring of an archive: the newest one, or the one with that SHA-256 (hex); undefined where there is none. */
  readonly readKeyring: (
    of: { readonly tenantId: string; readonly archiveId: string },
    sha256?: string,
  ) => Promise<Uint8Array | undefined>;
};

/** Somebody whose key signed a document, with what the log says of all keys. */
export type Caller = {
  readonly tenantId: string;
  readonly holder: KeyHolder;
  readonly name: string;
  readonly publicKey: string;
  readonly knowledge: Knowledge;
};

/** Who asks, for the audit log. */
export const actorOf = ({ holder, name }: Pick<Caller, 'holder' | 'name'>): AuditActor => ({
  kind: holder.kind === 'person' ? 'user' : 'device',
  id: holder.uid,
  name,
});

/** A document of a release that anybody may have sent. @throws releases.malformed, releases.unknown_key */
export function openDocument<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    if (error.code === 'release.forged') throw releasesErrors.unknown_key({}, error);
    throw releasesErrors.malformed({ problem: error.message, ...error.details }, error);
  }
}

/** A request, signed by the key that it names. @throws releases.malformed, releases.unknown_key */
export function openRequest(signed: SignedText): ReleaseRequest {
  return openDocument(() => openReleaseRequest(signed));
}

/** An approval, signed by the key that it names. @throws releases.malformed, releases.unknown_key */
export function openApproval(signed: SignedText): ReleaseApproval {
  return openDocument(() => openReleaseApproval(signed));
}

/**
 * Whose key this is, in the caller's own transaction. A key that has ended is known, and may do nothing but ask to be refused.
 *
 * @throws releases.unknown_key: the same for a tenant that is not there, for a key that is another's, and for who is blocked
 */
export async function findCaller(
  tx: TenantTx,
  { installationId }: Pick<ReleaseDeps, 'installationId'>,
  { tenantUid: tenantId, publicKey }: { readonly tenantUid: string; readonly publicKey: string },
): Promise<Caller> {
  if (!(await isTenantActive(tx, tenantId))) throw releasesErrors.unknown_key();
  const knowledge = await readKnowledge(tx, { tenantUid: tenantId, installationId }, [publicKey]);
  const key = knowledge.keys.find((one) => one.publicKey === publicKey);
  if (key === undefined) throw releasesErrors.unknown_key();
  const { holder } = key;
  if (!(await isInGoodStanding(tx, tenantId, holder))) throw releasesErrors.unknown_key();
  const name = (await store.namesOf(tx, tenantId, [holder.uid])).get(holder.uid) ?? holder.uid;
  return { tenantId, holder, name, publicKey, knowledge };
}

/**
 * Opens a call and runs `work` for who signed it, in one transaction.
 *
 * @throws releases.malformed, releases.unknown_key, releases.stale_call with the server's time, releases.other_call
 */
export async function withCaller<T>(
  deps: ReleaseDeps,
  ctx: OpenContext,
  asked: { readonly call: SignedText; readonly name: ReleaseCallName },
  work: (tx: TenantTx, caller: Caller, call: ReleaseCall) => Promise<T>,
): Promise<T> {
  const call = openDocument(() => openReleaseCall(asked.call));
  if (call.call !== asked.name || call.installationId !== deps.installationId) throw releasesErrors.other_call();
  const nowMs = ctx.nowMs();
  return deps.database.withTenant(call.tenantUid, async (tx) => {
    const caller = await findCaller(tx, deps, { tenantUid: call.tenantUid, publicKey: call.callerKey });
    const key = caller.knowledge.keys.find(({ publicKey }) => publicKey === call.callerKey);
    if (key?.endedMs !== null) throw releasesErrors.unknown_key();
    // Only to whose key is known: the time is what it signs again with.
    if (Math.abs(nowMs - Date.parse(call.at)) > RELEASE_CALL_MS)
      throw releasesErrors.stale_call({ serverTime: new Date(nowMs).toISOString() });
    return work(tx, caller, call);
  });
}

/** Who was refused what, and why. */
export type Refused = {
  readonly archiveId: string;
  readonly requestSha256: string;
  readonly by: KeyHolder;
  readonly name: string;
  /** Code of the error that says why. */
  readonly code: string;
};

/**
 * Writes that something was refused into the key log, where whose archive it is sees it; returns the place of the leaf.
 *
 * In a transaction that commits: what was refused is thrown after it. Call it last.
 */
export async function logRefusal(
  tx: TenantTx,
  { writeAudit }: Pick<ReleaseDeps, 'writeAudit'>,
  { tenantId, at }: { readonly tenantId: string; readonly at: Date },
  { archiveId, requestSha256, by, name, code }: Refused,
): Promise<number> {
  const kind = by.kind === 'person' ? 'user' : 'device';
  const target = { kind: 'release', id: requestSha256 };
  await writeAudit(tx, {
    tenantId,
    at,
    actor: { kind, id: by.uid, name },
    outcome: 'refused',
    eventType: 'release.refused',
    target,
    facts: { archiveId, code },
  });
  const fact = { kind: 'release_refused', archiveId, requestSha256, code } as const;
  const { logIndex } = await appendKeyLogLeaf(tx, { tenantId, at }, fact);
  const row = { tenant_id: tenantId, log_index: logIndex, by_kind: by.kind, by_uid: by.uid };
  await store.insertRefusal(tx, { ...row, document_sha256: requestSha256, code, at });
  return logIndex;
}

/** Requests and refusals of one holder of a key in a day: all are leaves that every device reads. */
export const MOST_IN_A_DAY = 100;
export const DAY_MS = 86_400_000;

/** Whether somebody has asked, or was refused, as often as one may in a day. */
export async function hasAskedEnough(
  tx: TenantTx,
  { tenantId, uid, at }: { readonly tenantId: string; readonly uid: string; readonly at: Date },
): Promise<boolean> {
  const since = new Date(at.getTime() - DAY_MS);
  const { requests, refusals } = await store.countSince(tx, { tenantId, uid, since });
  return requests + refusals >= MOST_IN_A_DAY;
}
