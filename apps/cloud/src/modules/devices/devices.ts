import { deviceErrors, type PolicySettings } from '@holdfast/contract';
import { signDeauthorization } from '@holdfast/trust';
import type { IoContext } from '../../platform/context.ts';
import type { Kms } from '../../platform/kms.ts';
import type { RefusalLog } from '../../platform/refusal-log.ts';
import { appendKeyEnded, compareHead } from '../keylog/index.ts';
import { openLogSigner } from '../logs/index.ts';
import { resolveForOrg } from '../policies/index.ts';
import * as store from './store.ts';

/** What hearing a device needs besides the database. */
export type HeartbeatAdapters = { readonly refusals: RefusalLog; readonly installationId: string };

/** What deauthorising devices needs besides the database. */
export type DeauthorizeAdapters = { readonly kms: Kms; readonly installationId: string };

/**
 * Deauthorises a device the caller reaches: within `STATE_CACHE_MS` every node refuses it, whatever token it holds.
 *
 * The same transaction keeps a statement of it, signed with the key of the tenant's log, which every refusal shows to the
 * device. Signed now and not when it is asked for: whoever changes the database alone can make no device remove its keys.
 * Doing it again changes nothing, but for a device that ended without such a statement. @throws devices.not_found
 */
export async function deauthorizeDevice(ctx: IoContext<DeauthorizeAdapters>, deviceId: string): Promise<void> {
  const { tenantId, installationId } = ctx;
  // The key may be kept by another machine, so it is opened outside of the transaction.
  const signer = await openLogSigner(ctx);
  await ctx.transact(async ({ tx, reach, now: at, audit }) => {
    const device = await store.findReachedDevice(tx, { tenantId, reach, deviceId });
    if (!device) throw deviceErrors.not_found();
    const isChanged = device.state === 'active' || device.deauthorization === null;
    if (isChanged) {
      const state = device.state === 'deactivated' ? 'deactivated' : 'deauthorized';
      const { key_thumbprint: keyThumbprint } = device;
      const identity = { installationId, tenantUid: tenantId, deviceUid: deviceId, keyThumbprint };
      const statement = signDeauthorization(identity, at, [signer]);
      await store.updateDeviceState(tx, { tenantId, deviceId, state, statement, at });
    }
    const target = { kind: 'device', id: deviceId };
    await audit({ eventType: 'device.deauthorized', target, before: { state: device.state } });
    const { x: publicKey = '' } = device.public_jwk;
    if (isChanged) await appendKeyEnded(tx, { tenantId, at }, { deviceUid: deviceId, publicKey });
  });
}

/** What is decided for a device. */
export type HeartbeatReply = { serverTime: string; orgUid: string; blocked: boolean; settings: PolicySettings };

/**
 * Notes that the device that asks runs, and says what is decided for it. Not recorded, since it comes every minute; but for
 * a head of the key log that is not of the log that is here.
 */
export async function heartbeat(
  ctx: IoContext<HeartbeatAdapters>,
  {
    keyLogHead,
    ...said
  }: { readonly agentVersion: string; readonly os: string; readonly keyLogHead?: string | undefined },
): Promise<HeartbeatReply> {
  const { installationId, tenantId, principal, source, refusals } = ctx;
  const { principalId: deviceId } = principal;
  const { verdict, at, ...reply } = await ctx.transact(async ({ tx, now: at }) => {
    await store.touchDevice(tx, { tenantId, deviceId, ...said, at });
    const device = await store.findDevice(tx, tenantId, deviceId);
    const policy = device && (await resolveForOrg(tx, tenantId, device.org_id));
    if (!device || !policy) throw deviceErrors.deauthorized();
    const { org_id: orgUid, blocked } = device;
    const verdict =
      keyLogHead === undefined ? 'same_log' : await compareHead(tx, { tenantId, installationId }, keyLogHead);
    return { verdict, at, orgUid, blocked, settings: policy.settings };
  });
  if (verdict !== 'same_log') {
    // One that the tenant's key signed is evidence; of others a device could make any number.
    const evidence = verdict === 'not_signed_here' ? {} : { keyLogHead: keyLogHead ?? null };
    const facts = { verdict, ...evidence };
    const actor = { kind: principal.kind, id: deviceId, name: principal.name };
    await refusals.record({ tenantId, at, source, actor, eventType: 'key_log.head_refused', facts });
  }
  return { serverTime: at.toISOString(), ...reply };
}
