import { defineOperation } from './operation.ts';
import { KnownRulesAnswer, OfTenant } from './release-shapes.ts';
import { listRules } from './release-store.ts';
import { expectLogVerifier } from './store.ts';

/** Tells the changes of a tenant's rules of release that count: from when on each does, `rulesInForce` says. @throws keystore.tenant_unknown */
export const releaseRules = defineOperation({
  request: OfTenant,
  reply: KnownRulesAnswer,
  maxBodyBytes: 1_024,
  isRepeatable: true,
  work({ database }, { tenantUid: tenantId }) {
    return database.withTenant(tenantId, async (tx) => {
      await expectLogVerifier(tx, tenantId);
      const rows = await listRules(tx, tenantId);
      const changes = rows.map(({ knownSinceMs, ...row }) => ({
        ...row,
        knownSince: new Date(knownSinceMs).toISOString(),
      }));
      return { changes };
    });
  },
});
