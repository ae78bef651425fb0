import type { z } from 'zod';
import type { TenantTx } from '../platform/postgres.ts';
import { followLog, type FollowedLog } from './follow-log.ts';
import { defineOperation, type KeystoreContext } from './operation.ts';
import { FollowedOutcome, FollowedPiece } from './release-shapes.ts';
import * as kept from './release-store.ts';
import { expectLogVerifier } from './store.ts';
import { keysNamed, takeLeaves } from './take-leaves.ts';

/**
 * Goes on in a tenant's key log by a piece of it, and takes in what it says of keys and of the rules of release.
 *
 * How far it went and what was taken in are kept together. A piece that begins elsewhere than where the keystore is changes
 * nothing, and the answer says where it is: so the same may be asked twice, and by two at once.
 * @throws keystore.tenant_unknown, keystore.unsigned_head, keystore.older_head, keystore.forked_log, keystore.hidden_leaf
 */
export const follow = defineOperation({
  request: FollowedPiece,
  reply: FollowedOutcome,
  maxBodyBytes: 1_048_576,
  isRepeatable: true,
  work(context, piece) {
    return context.database.withTenant(piece.tenantUid, (tx) => followPiece(tx, context, piece));
  },
});

async function followPiece(
  tx: TenantTx,
  { installationId, clock }: KeystoreContext,
  { tenantUid, fromSize, head, outlines, texts }: z.output<typeof FollowedPiece>,
): Promise<z.input<typeof FollowedOutcome>> {
  await kept.lockTenant(tx, tenantUid);
  const logVerifier = await expectLogVerifier(tx, tenantUid);
  const before = await kept.findFollowed(tx, tenantUid);
  if (fromSize !== before.size) return { treeSize: before.size, refused: [] };
  const tenant = { installationId, tenantUid };
  const byPlace = new Map(texts.map(({ logIndex, text }) => [logIndex, text]));
  const log = followLog({ tenant, logVerifier, kept: before, head, outlines, texts: byPlace });
  const nowMs = clock.now();
  const refused = log.leaves.length > 0 ? await takeIn(tx, { tenant, nowMs }, log) : [];
  if (log.kept.size > before.size)
    await kept.insertFollowed(tx, log.kept, { tenantId: tenantUid, at: new Date(nowMs) });
  return { treeSize: log.kept.size, refused: [...refused] };
}

async function takeIn(
  tx: TenantTx,
  when: Pick<Parameters<typeof takeLeaves>[1], 'tenant' | 'nowMs'>,
  { leaves }: FollowedLog,
) {
  const { tenantUid: tenantId } = when.tenant;
  const keys = await kept.listKeys(tx, { tenantId, ...keysNamed(leaves) });
  const rules = await kept.listRules(tx, tenantId);
  const taken = takeLeaves(leaves, { ...when, keys, rules });
  await kept.insertKeyStates(tx, tenantId, taken.states);
  await kept.insertRules(tx, taken.rules, { tenantId, at: new Date(when.nowMs) });
  return taken.refused;
}
