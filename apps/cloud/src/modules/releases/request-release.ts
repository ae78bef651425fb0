import { CodedError } from '@holdfast/base';
import { releasesErrors, type ReleaseState } from '@holdfast/contract';
import {
  escrowErrors,
  isReleaseExpired,
  parseEscrowParameters,
  releaseRequestSha256,
  type ReleasePurpose,
  type ReleaseRequest,
  type SignedText,
} from '@holdfast/trust';
import { keystoreErrors } from '../../keystore/errors.ts';
import { LONGEST_REQUEST_MS } from '../../keystore/judge-release.ts';
import { expectTrusted } from '../../keystore/key-register.ts';
import { expectEscrowSlot, readKeyring } from '../../keystore/read-keyring.ts';
import type { OpenContext } from '../../platform/context.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { listEscrowKeyIds } from '../escrow/index.ts';
import { ownerSignatureFor } from './archive-owner.ts';
import {
  actorOf,
  findCaller,
  hasAskedEnough,
  logRefusal,
  openRequest,
  type Caller,
  type ReleaseDeps,
} from './callers.ts';
import { grantWhatIsDue } from './grant-release.ts';
import { readState } from './release-states.ts';
import * as store from './store.ts';

type Asking = {
  readonly signed: SignedText;
  readonly request: ReleaseRequest;
  readonly requestSha256: string;
  readonly at: Date;
};

/**
 * Takes in a request for keys of an archive, signed by its requester: whoever sends it. Where its purpose needs no approval, it is
 * logged and opened at once.
 *
 * What a registered key asks for and is refused is a leaf of the key log; what nobody's key signed is none.
 * @throws releases.malformed, releases.unknown_key, releases.too_many, releases.refused
 */
export async function requestRelease(deps: ReleaseDeps, ctx: OpenContext, signed: SignedText): Promise<ReleaseState> {
  const request = openRequest(signed);
  const { tenantUid: tenantId, archiveId, keyringSha256 } = request;
  if (request.installationId !== deps.installationId) throw releasesErrors.unknown_key();
  const at = new Date(ctx.nowMs());
  const asking = { signed, request, requestSha256: releaseRequestSha256(signed.text), at };
  const known = await deps.database.withTenant(tenantId, async (tx) => {
    await findCaller(tx, deps, { tenantUid: tenantId, publicKey: request.requesterKey });
    return {
      isKept: (await store.findRequest(tx, tenantId, asking.requestSha256)) !== undefined,
      isThere: (await store.listArchivesCalled(tx, tenantId, archiveId)).length > 0,
    };
  });
  if (!known.isKept) {
    const record = known.isThere ? await deps.readKeyring({ tenantId, archiveId }, keyringSha256) : undefined;
    await keepRequest(deps, ctx, { ...asking, record });
  }
  await grantWhatIsDue(deps, { tenantId, requestSha256: asking.requestSha256, nowMs: at.getTime() });
  return readState(deps, { tenantId, ...asking, nowMs: at.getTime() });
}

/** Keeps a request that may be granted; what may not is refused, by a leaf that stays. */
async function keepRequest(
  deps: ReleaseDeps,
  { source, requestId }: OpenContext,
  asking: Asking & { readonly record: Uint8Array | undefined },
): Promise<void> {
  const { request, requestSha256, signed, at } = asking;
  const { tenantUid: tenantId, archiveId } = request;
  const code = await deps.database.withTenant(tenantId, async (tx) => {
    await store.lockDocument(tx, tenantId, requestSha256);
    if (await store.findRequest(tx, tenantId, requestSha256)) return undefined;
    const caller = await findCaller(tx, deps, { tenantUid: tenantId, publicKey: request.requesterKey });
    const { holder } = caller;
    if (await hasAskedEnough(tx, { tenantId, uid: holder.uid, at })) throw releasesErrors.too_many();
    const judged = await judgeRequest(tx, caller, asking);
    if ('code' in judged) {
      const refused = { archiveId, requestSha256, by: holder, name: caller.name, code: judged.code };
      await logRefusal(tx, deps, { tenantId, at }, refused);
      return judged.code;
    }
    const { purpose } = judged;
    await store.insertRequest(tx, {
      tenant_id: tenantId,
      request_sha256: requestSha256,
      archive_id: archiveId,
      requester_kind: holder.kind,
      requester_uid: holder.uid,
      purpose,
      request: signed.text,
      signature: signed.signature,
      expires_at: new Date(request.expiresAt),
      asked_at: at,
    });
    const about = { tenantId, at, actor: actorOf(caller), source, requestId, outcome: 'done' } as const;
    const target = { kind: 'release', id: requestSha256 };
    const facts = { archiveId, purpose, reason: request.reason, caseId: request.caseId };
    await deps.writeAudit(tx, { ...about, eventType: 'release.asked', target, facts });
    return undefined;
  });
  if (code !== undefined) throw releasesErrors.refused({ reason: code });
}

type Judged = { readonly purpose: ReleasePurpose } | { readonly code: string };

/** What a request is for, or why it is refused: judged as the keystore will, which believes none of it. */
async function judgeRequest(
  tx: TenantTx,
  caller: Caller,
  { request, record, at }: Asking & { readonly record: Uint8Array | undefined },
): Promise<Judged> {
  const nowMs = at.getTime();
  try {
    expectTrusted(caller.knowledge.keys, request.requesterKey, nowMs);
    const { expiresAt } = request;
    if (isReleaseExpired(request, nowMs)) throw keystoreErrors.expired();
    if (Date.parse(expiresAt) > nowMs + LONGEST_REQUEST_MS) throw keystoreErrors.expires_late();
    if (!record) throw keystoreErrors.other_keyring();
    if (caller.holder.kind === 'device') await expectOwn(tx, caller, request);
    await expectOurs(tx, caller.tenantId, { record, slotId: request.slotId });
    return { purpose: await purposeOf(tx, caller, { request, record }) };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    return { code: error.code };
  }
}

/**
 * Expects that a computer asks to read its own archive: who uses one could else ask by it, and approve it in person.
 *
 * @throws releases.not_person
 */
async function expectOwn(tx: TenantTx, { tenantId, holder }: Caller, request: ReleaseRequest): Promise<void> {
  const [archive] = await store.listArchivesCalled(tx, tenantId, request.archiveId);
  if (request.scope !== 'read' || archive?.device_id !== holder.uid) throw releasesErrors.not_person();
}

/** Expects a slot that is sealed to keys of the tenant. @throws keystore.no_escrow_slot, escrow.other_key */
async function expectOurs(
  tx: TenantTx,
  tenantId: string,
  { record, slotId }: { readonly record: Uint8Array; readonly slotId: string },
): Promise<void> {
  const slot = expectEscrowSlot(readKeyring(record), new Uint8Array(Buffer.from(slotId, 'hex')));
  const keyId = Buffer.from(parseEscrowParameters(slot).outerKeyId).toString('hex');
  const known = await listEscrowKeyIds(tx, tenantId);
  if (!known.some(({ outerKeyId }) => outerKeyId === keyId)) throw escrowErrors.other_key({ keyId });
}

async function purposeOf(
  tx: TenantTx,
  { tenantId, holder }: Caller,
  { request, record }: { readonly request: ReleaseRequest; readonly record: Uint8Array },
): Promise<ReleasePurpose> {
  if (request.scope === 'ring') return 'replacement';
  if (holder.kind !== 'device') return 'admin_restore';
  return (await ownerSignatureFor(tx, { tenantId, request, record })) === null ? 'admin_restore' : 'own_restore';
}
