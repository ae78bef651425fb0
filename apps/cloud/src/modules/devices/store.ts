import type { JWK } from 'jose';
import type { TenantTx } from '../../platform/postgres.ts';
import { bool, defaulted, instant, json, nullable, text, uuid, type Columns, type Rows } from '../../platform/table.ts';

/** Tables owned by this module. No other module reads or writes them. */
export const tables = {
  devices: {
    tenant_id: uuid,
    device_id: uuid,
    org_id: uuid,
    user_id: nullable(uuid),
    name: text,
    state: defaulted(text),
    blocked: defaulted(bool),
    public_jwk: json<JWK>(),
    key_thumbprint: text,
    created_at: instant,
    modified_at: instant,
  },
} as const satisfies Readonly<Record<string, Columns>>;

type Tables = Rows<typeof tables>;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** One device, whatever its state. */
export function findDevice(tx: TenantTx, tenantId: string, deviceId: string) {
  return db(tx)
    .selectFrom('devices')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('device_id', '=', deviceId)
    .executeTakeFirst();
}

/** Adds a device. */
export async function insertDevice(
  tx: TenantTx,
  row: {
    tenant_id: string;
    device_id: string;
    org_id: string;
    user_id: string | null;
    name: string;
    public_jwk: string;
    key_thumbprint: string;
    created_at: Date;
    modified_at: Date;
  },
) {
  await db(tx).insertInto('devices').values(row).execute();
}

/** Changes whether a device may act. */
export async function updateDeviceState(
  tx: TenantTx,
  row: { tenantId: string; deviceId: string; state: 'active' | 'deauthorized' | 'deactivated'; at: Date },
) {
  await db(tx)
    .updateTable('devices')
    .set({ state: row.state, modified_at: row.at })
    .where('tenant_id', '=', row.tenantId)
    .where('device_id', '=', row.deviceId)
    .execute();
}
