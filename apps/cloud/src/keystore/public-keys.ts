import { z } from 'zod';
import { publicKeysOf, TenantPublicKeys } from './make-tenant-keys.ts';
import { defineOperation, TenantUid } from './operation.ts';
import { keystoreErrors } from './errors.ts';
import * as store from './store.ts';

/** Tells the public halves of all keys of a tenant, oldest first, and the log key that it believes. @throws keystore.tenant_unknown */
export const publicKeys = defineOperation({
  request: z.strictObject({ tenantUid: TenantUid }),
  reply: z.strictObject({ logVerifier: z.string(), keys: z.array(TenantPublicKeys) }),
  maxBodyBytes: 1_024,
  isRepeatable: true,
  work({ database }, { tenantUid: tenantId }) {
    return database.withTenant(tenantId, async (tx) => {
      const logVerifier = await store.findLogVerifier(tx, tenantId);
      if (logVerifier === undefined) throw keystoreErrors.tenant_unknown();
      const rows = await store.listPublicKeys(tx, tenantId);
      return { logVerifier, keys: rows.map(publicKeysOf) };
    });
  },
});
