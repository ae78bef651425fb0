import { createPrivateKey } from 'node:crypto';
import { cosignNote, keyLogOrigin, keystoreKeyName, noteSigner, rootOf } from '@holdfast/trust';
import { z } from 'zod';
import type { TenantTx } from '../platform/postgres.ts';
import { forgetSoon } from './forget.ts';
import { openHead, type Tenant } from './judge-leaf.ts';
import { pkcs8Head, tenantKeyPurposes } from './make-tenant-keys.ts';
import { defineOperation, TenantUid } from './operation.ts';
import { keystoreErrors } from './errors.ts';
import { findFollowed } from './release-store.ts';
import { expectLogVerifier, findSigningKey } from './store.ts';

const note = z.string().max(4_096);

/**
 * Signs the head up to which a tenant's key log was followed, as the log signed it: for the tenant's computers to compare with what
 * they are shown. No other head, and no other text.
 *
 * @throws keystore.tenant_unknown, keystore.unsigned_head, keystore.older_head, keystore.not_followed, keystore.forked_log, kms.*
 */
export const cosignHead = defineOperation({
  request: z.strictObject({ tenantUid: TenantUid, note }),
  reply: z.strictObject({ note: z.string() }),
  maxBodyBytes: 8_192,
  isRepeatable: true,
  async work({ installationId, database, kms }, { tenantUid: tenantId, note: shown }) {
    const tenant = { installationId, tenantUid: tenantId };
    const { wrapped_signing_key: wrapped } = await database.withTenant(tenantId, async (tx) => {
      await expectFollowed(tx, tenant, shown);
      return findSigningKey(tx, tenantId);
    });
    const secret = await kms.unwrap(wrapped, { purpose: tenantKeyPurposes.signing, tenantId });
    const der = Buffer.concat([pkcs8Head, secret]);
    try {
      const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
      return { note: cosignNote(shown, noteSigner(keystoreKeyName(installationId, tenantId), key)) };
    } finally {
      for (const bytes of [secret, der]) bytes.fill(0);
      forgetSoon();
    }
  },
});

/** Expects the head that was followed to, in its three lines. */
async function expectFollowed(tx: TenantTx, tenant: Tenant, shown: string): Promise<void> {
  const { installationId, tenantUid } = tenant;
  const head = openHead(tenant, shown, await expectLogVerifier(tx, tenantUid));
  const followed = await findFollowed(tx, tenantUid);
  const sizes = { kept: followed.size, shown: head.treeSize };
  if (head.treeSize < followed.size) throw keystoreErrors.older_head(sizes);
  if (head.treeSize > followed.size) throw keystoreErrors.not_followed(sizes);
  // A head may have further lines, which would be signed with it.
  const text = `${keyLogOrigin(installationId, tenantUid)}\n${followed.size}\n${rootOf(followed).toBase64()}\n\n`;
  if (!shown.startsWith(text)) throw keystoreErrors.forked_log(sizes);
}
