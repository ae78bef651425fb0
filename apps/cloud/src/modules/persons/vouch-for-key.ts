import { CodedError } from '@holdfast/base';
import { releasesErrors } from '@holdfast/contract';
import type { KeyHolder } from '@holdfast/trust';
import type { OpenContext } from '../../platform/context.ts';
import { registerKey } from '../../keystore/key-register.ts';
import type { Database } from '../../platform/postgres.ts';
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

/**
 * Takes in that an older key vouches for a newer one, as a leaf; the newer need not wait then to ask. Said again it changes nothing.
 *
 * @throws releases.unknown_key, releases.refused
 */
export async function vouchForKey(
  deps: PersonDeps & { readonly database: Database },
  ctx: OpenContext,
  { tenantUid: tenantId, ...vouch }: Vouch,
): Promise<{ logIndex: number }> {
  const { installationId, writeAudit, database } = deps;
  const at = new Date(ctx.nowMs());
  return database.withTenant(tenantId, async (tx) => {
    if (!(await isTenantActive(tx, tenantId))) throw releasesErrors.unknown_key();
    const tenant = { tenantUid: tenantId, installationId };
    const { keys } = await readKnowledge(tx, tenant, [vouch.publicKey, vouch.byKey]);
    const by = keys.find(({ publicKey }) => publicKey === vouch.byKey)?.holder;
    if (!by || !(await isInGoodStanding(tx, tenantId, by))) throw releasesErrors.unknown_key();
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
