import { hpkeKeyId, importHpkeKey, type HpkeKey } from '@holdfast/trust';
import { tenantKeyPurposes } from './make-tenant-keys.ts';
import type { KeystoreContext } from './operation.ts';
import { keystoreErrors } from './errors.ts';
import * as store from './store.ts';

/**
 * Opens the keystore key of a tenant that has an id (`hpkeKeyId`, hex); where none has it, the newest, which then does not open.
 *
 * The bytes are overwritten; the crypto library's key is gone once the collector has freed it.
 * @throws keystore.tenant_unknown, kms.not_opened, kms.unknown_key
 */
export async function openKeystoreKey(
  { database, kms }: Pick<KeystoreContext, 'database' | 'kms'>,
  tenantId: string,
  keyId: string,
): Promise<HpkeKey> {
  const rows = await database.withTenant(tenantId, (tx) => store.listSealingKeys(tx, tenantId));
  const row = rows.find((one) => hpkeKeyId(one.sealing_key).toHex() === keyId) ?? rows.at(-1);
  if (row === undefined) throw keystoreErrors.tenant_unknown();
  const secret = await kms.unwrap(row.wrapped_sealing_key, { purpose: tenantKeyPurposes.sealing, tenantId });
  try {
    return importHpkeKey(secret);
  } finally {
    secret.fill(0);
  }
}
