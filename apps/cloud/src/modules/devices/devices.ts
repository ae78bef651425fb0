import { deviceErrors, type PolicySettings } from '@holdfast/contract';
import type { IoContext, TxContext } from '../../platform/context.ts';
import { resolveForOrg } from '../policies/index.ts';
import * as store from './store.ts';

/**
 * Deauthorises a device the caller reaches: within `STATE_CACHE_MS` every node refuses it, whatever token it holds.
 *
 * Doing it again changes nothing. @throws devices.not_found
 */
export async function deauthorizeDevice(ctx: TxContext, deviceId: string): Promise<void> {
  const { tx, tenantId, reach, now: at } = ctx;
  const device = await store.findReachedDevice(tx, { tenantId, reach, deviceId });
  if (!device) throw deviceErrors.not_found();
  if (device.state === 'active') await store.updateDeviceState(tx, { tenantId, deviceId, state: 'deauthorized', at });
  const target = { kind: 'device', id: deviceId };
  await ctx.audit({ eventType: 'device.deauthorized', target, before: { state: device.state } });
}

/** What is decided for a device. */
export type HeartbeatReply = { serverTime: string; orgUid: string; blocked: boolean; settings: PolicySettings };

/** Notes that the device that asks runs, and says what is decided for it. Not recorded: it comes every minute. */
export function heartbeat(
  ctx: IoContext,
  said: { readonly agentVersion: string; readonly os: string },
): Promise<HeartbeatReply> {
  return ctx.transact(async ({ tx, tenantId, principal: { principalId: deviceId }, now: at }) => {
    await store.touchDevice(tx, { tenantId, deviceId, ...said, at });
    const device = await store.findDevice(tx, tenantId, deviceId);
    const policy = device && (await resolveForOrg(tx, tenantId, device.org_id));
    if (!device || !policy) throw deviceErrors.deauthorized();
    const { org_id: orgUid, blocked } = device;
    return { serverTime: at.toISOString(), orgUid, blocked, settings: policy.settings };
  });
}
