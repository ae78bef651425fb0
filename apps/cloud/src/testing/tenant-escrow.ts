import { readFileSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '@holdfast/base';
import { importHpkeKey, type HpkeKey } from '@holdfast/trust';
import { sql } from 'kysely';
import { tenantKeyPurposes } from '../keystore/make-tenant-keys.ts';
import { logSealingKeyPurpose } from '../modules/escrow/index.ts';
import { MASTER_KEY_FILE } from '../open-kms.ts';
import { EMBEDDED_PORT, openSocketHost } from '../platform/embedded-postgres.ts';
import { openKeyFileKms } from '../platform/kms-file.ts';
import { silentLog } from '../platform/log.ts';
import { Database, type Login } from '../platform/postgres.ts';

/** The private halves of a tenant's escrow keys: no process of the product has both. */
export type TenantEscrow = { readonly logKey: HpkeKey; readonly keystoreKey: HpkeKey };

/** Reads them from the folder of a server that runs with the embedded database, as whoever has the whole machine can. */
export async function openTenantEscrow(homeDir: string, tenantId: string): Promise<TenantEscrow> {
  const kms = await openKeyFileKms(path.join(homeDir, MASTER_KEY_FILE), { nowMs: systemClock.now() });
  const socket = openSocketHost(path.join(homeDir, 'postgres', 'data'));
  const target = { host: socket.host, port: EMBEDDED_PORT, database: 'holdfast' };
  const read = async (login: Login, column: string, table: string) => {
    const database = new Database(target, {
      login,
      password: kms.derivePassword(login),
      maxConnections: 1,
      log: silentLog,
    });
    try {
      const { rows } = await database.withTenant(tenantId, (tx) =>
        sql<{
          wrapped: string;
        }>`select ${sql.ref(column)} as wrapped from ${sql.table(table)} order by number desc limit 1`.execute(
          tx.withTables<object>(),
        ),
      );
      return rows[0]!.wrapped;
    } finally {
      await database.close();
    }
  };
  try {
    const outer = await read('hf_api', 'wrapped_log_sealing_key', 'escrow_keys');
    const inner = await read('hf_keystore', 'wrapped_sealing_key', 'keystore.tenant_keys');
    const purposes = { outer: logSealingKeyPurpose, inner: tenantKeyPurposes.sealing };
    return {
      logKey: importHpkeKey(await kms.forRole('api').unwrap(outer, { purpose: purposes.outer, tenantId })),
      keystoreKey: importHpkeKey(await kms.forRole('keystore').unwrap(inner, { purpose: purposes.inner, tenantId })),
    };
  } finally {
    socket.close();
  }
}

/** What processes of a server that has its keys in a file hold all the time: the server the newest master key, the keystore that of its role. */
export async function readHeldKeys(
  homeDir: string,
): Promise<{ readonly ofServer: Buffer; readonly ofKeystore: Buffer }> {
  const file = path.join(homeDir, MASTER_KEY_FILE);
  const kms = await openKeyFileKms(file, { nowMs: systemClock.now() });
  const { keys } = JSON.parse(readFileSync(file, 'utf8')) as { readonly keys: readonly { readonly key: string }[] };
  return {
    ofServer: Buffer.from(keys.at(-1)!.key, 'base64'),
    ofKeystore: Buffer.from(kms.roleKeys('keystore').at(-1)!.key),
  };
}
