import type { KeyHolder } from '@holdfast/trust';
import type { TenantTx } from '../../platform/postgres.ts';
import { mayDeviceRead } from '../devices/index.ts';
import { readUserState } from '../identity/index.ts';

/** Whether a holder of a key is neither blocked nor deactivated now. That is the api's knowledge: the log has no leaf of it. */
export async function isInGoodStanding(tx: TenantTx, tenantId: string, { kind, uid }: KeyHolder): Promise<boolean> {
  if (kind === 'device') return mayDeviceRead(tx, tenantId, uid);
  return (await readUserState(tx, tenantId, uid))?.isActive ?? false;
}
