import type { TenantTx } from '../../platform/postgres.ts';
import { devicePermissions, type PrincipalState } from '../identity/index.ts';
import * as store from './store.ts';

/**
 * What a device may do at this moment; undefined when there is none of that id.
 *
 * A blocked device goes on backing up; one that was deauthorised or deactivated may do nothing.
 */
export async function readDeviceState(
  tx: TenantTx,
  tenantId: string,
  deviceId: string,
): Promise<PrincipalState | undefined> {
  const device = await store.findDevice(tx, tenantId, deviceId);
  if (!device) return undefined;
  const grants = [{ orgId: device.org_id, permissions: devicePermissions }];
  return { name: device.name, isActive: device.state === 'active', grants };
}
