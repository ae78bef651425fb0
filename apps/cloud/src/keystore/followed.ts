import { defineOperation } from './operation.ts';
import { findFollowed } from './release-store.ts';
import { FollowedSize, OfTenant } from './release-shapes.ts';
import { expectLogVerifier } from './store.ts';

/** Tells how many leaves of a tenant's key log were followed. @throws keystore.tenant_unknown */
export const followed = defineOperation({
  request: OfTenant,
  reply: FollowedSize,
  maxBodyBytes: 1_024,
  isRepeatable: true,
  work({ database }, { tenantUid: tenantId }) {
    return database.withTenant(tenantId, async (tx) => {
      await expectLogVerifier(tx, tenantId);
      const { size } = await findFollowed(tx, tenantId);
      return { treeSize: size };
    });
  },
});
