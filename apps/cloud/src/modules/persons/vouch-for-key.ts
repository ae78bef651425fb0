import { CodedError } from '@holdfast/base';
import { releasesErrors } from '@holdfast/contract';
import { isKeyVouched, type KeyHolder } from '@holdfast/trust';
import type { OpenContext } from '../../platform/context.ts';
import { registerKey } from '../../keystore/key-register.ts';
import type { Database, TenantTx } from '../../platform/postgres.ts';
import { listUsernames } from '../identity/index.ts';
import { appendKeyLogLeaf } from '../keylog/index.ts';
import { isTenantActive } from '../tenants/index.ts';
import { readKnowledge } from './knowledge.ts';
import type { PersonDeps } from './person-keys.ts';
import { isInGoodStanding } from './standing.ts';

/** An older key vouches for a newer one: the signature is the proof. */
export type Vouch = {
  readonly tenantUid: string;
  readonly holder: KeyHolder;
  readonly publicKey: string;
  readonly byKey: string;
  readonly signature: string;
};

/** What taking vouches in needs. */
export type VouchDeps = PersonDeps & {
  readonly database: Database;
  /** Counts what somebody does in a day. @throws where it is too much */
  readonly countAct: (
    tx: TenantTx,
    act: { readonly tenantId: string; readonly uid: string; readonly at: Date },
  ) => Promise<void>;
};

/**
 * Takes in that an older key vouches for a newer one, as a leaf; the newer need not wait then to ask. Said again it changes nothing.
 *
 * @throws releases.unknown_key, releases.refused, releases.too_many
 */
export async function vouchForKey(
  deps: VouchDeps,
  ctx: OpenContext,
  { tenantUid: tenantId, ...vouch }: Vouch,
): Promise<{ logIndex: number }> {
  const { installationId, writeAudit, database } = deps;
  const at = new Date(ctx.nowMs());
  const { holder, publicKey: newKey, byKey, signature } = vouch;
  // What nobody signed costs the database nothing.
  if (!isKeyVouched({ tenantUid: tenantId, holder, publicKey: newKey }, { publicKey: byKey, signature }))
    throw releasesErrors.unknown_key();
  const find = async (tx: TenantTx) => {
    if (!(await isTenantActive(tx, tenantId))) throw releasesErrors.unknown_key();
    const tenant = { tenantUid: tenantId, installationId };
    const { keys } = await readKnowledge(tx, tenant, [newKey, byKey]);
    const by = keys.find(({ publicKey }) => publicKey === byKey)?.holder;
    if (!by || !(await isInGoodStanding(tx, tenantId, by))) throw releasesErrors.unknown_key();
    return { keys, by };
  };
  // By itself: one that is refused counts, too.
  await database.withTenant(tenantId, async (tx) => deps.countAct(tx, { tenantId, uid: (await find(tx)).by.uid, at }));
  return database.withTenant(tenantId, async (tx) => {
    const { keys, by } = await find(tx);
    const known = keys.find(({ publicKey }) => publicKey === vouch.publicKey);
    if (known?.isTrustedAtOnce) throw releasesErrors.refused({ reason: 'persons.vouched' });
    const fact = { kind: 'key_vouched', ...vouch, by } as const;
    try {
      const leaf = { ...fact, at: at.toISOString(), nonce: '' };
      registerKey(keys, leaf, { tenantUid: tenantId, nowMs: at.getTime() });
    } catch (error) {
      if (error instanceof CodedError) throw releasesErrors.refused({ reason: error.code }, error);
      throw error;
    }
    const name = (await listUsernames(tx, tenantId, [by.uid])).get(by.uid) ?? by.uid;
    const actor = { kind: by.kind === 'person' ? 'user' : 'device', id: by.uid, name } as const;
    const target = { kind: vouch.holder.kind === 'person' ? 'user' : 'device', id: vouch.holder.uid };
    const { source, requestId } = ctx;
    const about = { tenantId, at, actor, source, requestId, outcome: 'done', target } as const;
    await writeAudit(tx, { ...about, eventType: 'key.vouched', facts: { publicKey: vouch.publicKey } });
    const { logIndex } = await appendKeyLogLeaf(tx, { tenantId, at }, fact);
    return { logIndex };
  });
}
