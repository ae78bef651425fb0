import { deviceErrors } from '@holdfast/contract';
import type { TenantTx } from '../../platform/postgres.ts';
import { devicePermissions, isUserActive, readUserState, type PrincipalState } from '../identity/index.ts';
import * as store from './store.ts';

/**
 * What a device may do at this moment; undefined when there is none of that id.
 *
 * A blocked device, or one of a blocked user, goes on backing up; one that was deauthorised or deactivated may do nothing,
 * nor one whose user was deactivated.
 */
export async function readDeviceState(
  tx: TenantTx,
  tenantId: string,
  deviceId: string,
): Promise<PrincipalState | undefined> {
  const device = await store.findDevice(tx, tenantId, deviceId);
  if (!device) return undefined;
  const grants = [{ orgId: device.org_id, permissions: devicePermissions }];
  const isOurs = device.state === 'active';
  const hasUser = device.user_id === null || (await isUserActive(tx, tenantId, device.user_id));
  const isActive = isOurs && hasUser;
  // Whatever refuses the device carries the proof: it removes its keys on no other word.
  const proof = device.deauthorization === null ? {} : { statement: device.deauthorization };
  const refusal = () => deviceErrors.deauthorized(proof);
  return { name: device.name, isActive, grants, ...(isOurs ? {} : { refusal }) };
}

/** Whether a device may have keys of archives: it is neither ended nor blocked, nor is its user. */
export async function mayDeviceRead(tx: TenantTx, tenantId: string, deviceId: string): Promise<boolean> {
  const device = await store.findDevice(tx, tenantId, deviceId);
  if (device?.state !== 'active' || device.blocked) return false;
  return device.user_id === null || ((await readUserState(tx, tenantId, device.user_id))?.isActive ?? false);
}
