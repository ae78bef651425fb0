import { authErrors } from '@holdfast/contract';
import { decodeJwt, errors } from 'jose';
import type { AuditActor, OpenContext, WriteAudit } from '../../platform/context.ts';
import type { Database, TenantTx } from '../../platform/postgres.ts';
import type { RefusalLog } from '../../platform/refusal-log.ts';
import { devicePermissions } from '../identity/index.ts';
import { isTenantActive, locate } from '../tenants/index.ts';
import { issueToken, TOKEN_SECONDS, verifyAssertion, type ProofDeps, type SigningKeys } from '../tokens/index.ts';
import type { Clock, CodedError } from '@holdfast/base';
import { readDeviceState } from './device-state.ts';
import * as store from './store.ts';

/** What handing out tokens to devices needs. */
export type DeviceTokenDeps = {
  readonly database: Database;
  readonly installationId: string;
  readonly writeAudit: WriteAudit;
  readonly refusals: RefusalLog;
  readonly keys: SigningKeys;
  readonly clock: Clock;
  readonly proofs: ProofDeps;
};

/**
 * Hands a device that signs with its key a token bound to that key.
 *
 * The assertion is a proof of possession of the very key the token is bound to, as fresh as the server's nonce in it and
 * used once: a second proof beside it would show nothing more.
 * @throws auth.invalid, auth.use_nonce, auth.ended, devices.deauthorized
 */
export async function issueDeviceToken(
  deps: DeviceTokenDeps,
  ctx: OpenContext,
  asked: { readonly assertion: string; readonly audience: 'api' | 'storage' },
): Promise<{ token_type: 'DPoP'; expires_in: number; access_token: string }> {
  const deviceId = issuerOf(asked.assertion);
  const tenantId = await locate(deps.database, 'device', deviceId);
  if (tenantId === undefined) throw authErrors.invalid();
  const device = await deps.database.withTenant(tenantId, (tx) => store.findDevice(tx, tenantId, deviceId));
  if (!device) throw authErrors.invalid();
  const expected = { tenantId, deviceId, audience: deps.installationId, publicJwk: device.public_jwk };
  await verifyAssertion(deps.proofs, asked.assertion, expected);
  const at = new Date(ctx.nowMs());
  const entry = { tenantId, at, source: ctx.source, requestId: ctx.requestId };
  const actor: AuditActor = { kind: 'device', id: deviceId, name: device.name };
  const about = { ...entry, actor, facts: { audience: asked.audience } };
  const refusal = await deps.database.withTenant(tenantId, async (tx) => {
    const refused = await refusalOf(tx, tenantId, deviceId);
    if (!refused) await deps.writeAudit(tx, { ...about, outcome: 'done', eventType: 'device.token_issued' });
    return refused;
  });
  if (refusal) {
    await deps.refusals.record({ ...about, eventType: 'device.token_refused' });
    throw refusal;
  }
  const scopes = [...devicePermissions];
  const subject = { tenantId, principalId: deviceId, kind: 'device', scopes, audience: asked.audience } as const;
  const token = await issueToken(deps, { ...subject, keyThumbprint: device.key_thumbprint });
  return { token_type: 'DPoP', expires_in: TOKEN_SECONDS, access_token: token };
}

/** Why a device may not act at this moment; undefined when it may. */
async function refusalOf(tx: TenantTx, tenantId: string, deviceId: string): Promise<CodedError | undefined> {
  const state = (await isTenantActive(tx, tenantId)) ? await readDeviceState(tx, tenantId, deviceId) : undefined;
  return state?.isActive ? undefined : (state?.refusal ?? authErrors.ended)();
}

/** Who an assertion says it is from; nothing is verified yet. */
function issuerOf(assertion: string): string {
  try {
    const { iss } = decodeJwt(assertion);
    if (typeof iss === 'string' && iss.isWellFormed()) return iss;
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
  }
  throw authErrors.invalid();
}
