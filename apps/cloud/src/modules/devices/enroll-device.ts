import { createPublicKey, verify } from 'node:crypto';
import { newId, parseUuid, type CodedError } from '@holdfast/base';
import {
  deviceErrors,
  ENROLLMENT_PROOF_LABEL,
  enrollmentErrors,
  type DevicePublicJwk,
  type EnrolledDevice,
} from '@holdfast/contract';
import type { AuditActor, OpenContext, WriteAudit } from '../../platform/context.ts';
import { sha256 } from '../../platform/digest.ts';
import type { Database, TenantTx } from '../../platform/postgres.ts';
import type { RefusalLog } from '../../platform/refusal-log.ts';
import { findEscrowKeys } from '../escrow/index.ts';
import { findLogVerifier } from '../logs/index.ts';
import { appendKeyLogLeaf } from '../keylog/index.ts';
import { addLocator, isTenantActive, locate } from '../tenants/index.ts';
import { thumbprintOf } from '../tokens/index.ts';
import * as store from './store.ts';

/** What enrolling devices needs. */
export type EnrollDeps = {
  readonly database: Database;
  readonly installationId: string;
  readonly writeAudit: WriteAudit;
  readonly refusals: RefusalLog;
};

/** What a device sends to enrol. */
export type EnrollRequest = {
  readonly token: string;
  readonly publicJwk: DevicePublicJwk;
  readonly proof: string;
  readonly attempt: string;
  readonly hostname: string;
  readonly os: string;
  readonly agentVersion: string;
};

type Enrolling = {
  readonly tenantId: string;
  readonly request: EnrollRequest;
  readonly keyThumbprint: string;
  readonly at: Date;
};

/**
 * Makes a device of whoever holds an invitation and a key of their own.
 *
 * It is nobody's: until its user has signed in, or an administrator confirmed, it sees nothing that exists. A request that
 * comes again, its answer having been lost, gets the same answer and takes no second use.
 * @throws enrollment.token_unknown, enrollment.token_used, enrollment.token_expired, enrollment.token_revoked,
 * enrollment.proof_invalid, enrollment.keys_not_made, devices.key_taken, devices.deauthorized
 */
export async function enrollDevice(
  deps: EnrollDeps,
  ctx: OpenContext,
  request: EnrollRequest,
): Promise<EnrolledDevice> {
  const { database, installationId, writeAudit } = deps;
  const tenantId = await locate(database, 'enrollment_token', request.token);
  if (tenantId === undefined) throw enrollmentErrors.token_unknown();
  if (!isProved(installationId, request)) throw enrollmentErrors.proof_invalid({ field: 'body.proof' });
  const at = new Date(ctx.nowMs());
  const enrolling = { tenantId, request, keyThumbprint: await thumbprintOf(request.publicJwk), at };
  const entry = { tenantId, at, source: ctx.source, requestId: ctx.requestId };
  const outcome = await database.withTenant(tenantId, async (tx) => {
    const enrolled = await tryToEnroll(tx, enrolling);
    if (!('deviceId' in enrolled)) return enrolled;
    const actor: AuditActor = { kind: 'device', id: enrolled.deviceId, name: request.hostname };
    const facts = { tokenId: enrolled.tokenId, isRepeated: enrolled.isRepeated };
    await writeAudit(tx, { ...entry, actor, outcome: 'done', eventType: 'device.enrolled', facts });
    const { deviceId: deviceUid, orgId: orgUid } = enrolled;
    const logKey = await findLogVerifier(tx, tenantId);
    const escrowKeys = await findEscrowKeys(tx, tenantId);
    if (escrowKeys === undefined) throw enrollmentErrors.keys_not_made();
    if (!enrolled.isRepeated) {
      const publicKey = request.publicJwk.x;
      await appendKeyLogLeaf(tx, { tenantId, at }, { kind: 'key_registered', deviceUid, publicKey });
    }
    const server = { tenantUid: tenantId, installationId, logKey, escrowKeys };
    return { deviceUid, orgUid, ...server, serverTime: at.toISOString() };
  });
  if (!('refusal' in outcome)) return outcome;
  const facts = { code: outcome.refusal.code, tokenId: outcome.tokenId };
  // What the refused say of themselves is left out: refusals are counted together by who and what.
  const actor: AuditActor = { kind: 'unknown', id: 'unknown', name: 'unknown' };
  await deps.refusals.record({ ...entry, actor, eventType: 'device.refused', facts });
  throw outcome.refusal;
}

type Enrolled = {
  readonly deviceId: string;
  readonly orgId: string;
  readonly tokenId: string;
  readonly isRepeated: boolean;
};
type Refused = { readonly refusal: CodedError; readonly tokenId: string | null };

/** Changes nothing where it refuses. */
async function tryToEnroll(
  tx: TenantTx,
  { tenantId, request, keyThumbprint, at }: Enrolling,
): Promise<Enrolled | Refused> {
  const token = await store.lockToken(tx, tenantId, sha256(request.token));
  if (!token || !(await isTenantActive(tx, tenantId)))
    return { refusal: enrollmentErrors.token_unknown(), tokenId: null };
  const tokenId = token.token_id;
  const known = await store.findDeviceByKey(tx, tenantId, keyThumbprint);
  if (known) {
    const isSame = known.enrollment_token_id === tokenId && known.enrollment_attempt === request.attempt;
    if (!isSame) return { refusal: deviceErrors.key_taken(), tokenId };
    if (known.state !== 'active') return { refusal: deviceErrors.deauthorized(), tokenId };
    return { deviceId: known.device_id, orgId: known.org_id, tokenId, isRepeated: true };
  }
  if (token.revoked_at) return { refusal: enrollmentErrors.token_revoked(), tokenId };
  if (token.expires_at <= at) return { refusal: enrollmentErrors.token_expired(), tokenId };
  if (token.uses_left < 1) return { refusal: enrollmentErrors.token_used(), tokenId };
  const deviceId = newId<'device'>(at.getTime());
  const isNew = await store.insertDevice(tx, {
    tenant_id: tenantId,
    device_id: deviceId,
    org_id: token.org_id,
    user_id: null,
    name: request.hostname,
    public_jwk: JSON.stringify(request.publicJwk),
    key_thumbprint: keyThumbprint,
    created_at: at,
    modified_at: at,
    os: request.os,
    agent_version: request.agentVersion,
    enrollment_token_id: tokenId,
    enrollment_attempt: request.attempt,
  });
  // Another invitation brought in the same key at this moment.
  if (!isNew) return { refusal: deviceErrors.key_taken(), tokenId };
  await store.useToken(tx, tenantId, tokenId);
  await addLocator(tx, tenantId, 'device', deviceId);
  return { deviceId, orgId: token.org_id, tokenId, isRepeated: false };
}

/** Whether the request is signed by the key it names, for this installation and token. */
function isProved(installationId: string, { publicJwk, proof, token }: EnrollRequest): boolean {
  const publicKey = Buffer.from(publicJwk.x, 'base64url');
  if (publicKey.toString('base64url') !== publicJwk.x) return false;
  const parts = [Buffer.from(ENROLLMENT_PROOF_LABEL), parseUuid(installationId)!, sha256(token), publicKey];
  try {
    const key = createPublicKey({ key: { ...publicJwk }, format: 'jwk' });
    return verify(undefined, Buffer.concat(parts), key, Buffer.from(proof, 'base64url'));
  } catch {
    // Not every 32 bytes are a key.
    return false;
  }
}
