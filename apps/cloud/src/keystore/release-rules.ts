import { CodedError } from '@holdfast/base';
import type { z } from 'zod';
import type { TenantTx } from '../platform/postgres.ts';
import type { Tenant } from './judge-leaf.ts';
import { judgeRulesLeaf } from './judge-rules.ts';
import { defineOperation } from './operation.ts';
import { KnownRulesAnswer, RulesAsked } from './release-shapes.ts';
import { findFollowed, listKeys, listRules } from './release-store.ts';
import { expectLogVerifier } from './store.ts';
import { keysNamed } from './take-leaves.ts';

/**
 * Tells the changes of a tenant's rules of release that count: from when on each does, `rulesInForce` says. And of one that is
 * proposed, whether it would count as the next leaf: so that none is written which would not.
 *
 * Nothing is kept. @throws keystore.tenant_unknown
 */
export const releaseRules = defineOperation({
  request: RulesAsked,
  reply: KnownRulesAnswer,
  maxBodyBytes: 32_768,
  isRepeatable: true,
  work({ database, installationId, clock }, { tenantUid, proposed }) {
    return database.withTenant(tenantUid, async (tx) => {
      await expectLogVerifier(tx, tenantUid);
      const rows = await listRules(tx, tenantUid);
      const judging = { tenant: { installationId, tenantUid }, nowMs: clock.now(), rules: rows };
      const refusal = proposed === undefined ? null : await judge(tx, proposed, judging);
      const { size: treeSize } = await findFollowed(tx, tenantUid);
      const changes = rows.map(({ knownSinceMs, ...row }) => ({
        ...row,
        knownSince: new Date(knownSinceMs).toISOString(),
      }));
      return { treeSize, refusal, changes };
    });
  },
});

type Proposed = NonNullable<z.output<typeof RulesAsked>['proposed']>;
type Judging = {
  readonly tenant: Tenant;
  readonly nowMs: number;
  readonly rules: Awaited<ReturnType<typeof listRules>>;
};

/** Why a leaf of this change would be refused now; null where it would not. */
async function judge(tx: TenantTx, proposed: Proposed, judging: Judging): Promise<string | null> {
  const { tenantUid: tenantId } = judging.tenant;
  const leaf = { kind: 'release_rules', ...proposed, at: new Date(judging.nowMs).toISOString(), nonce: '' } as const;
  try {
    const keys = await listKeys(tx, { tenantId, ...keysNamed([{ logIndex: 0, leaf }]) });
    judgeRulesLeaf(leaf, { ...judging, keys });
    return null;
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  }
}
