import { tryEscrowSlots, type TryDeps } from '../modules/escrow/index.ts';
import { bringKeystore } from '../modules/keylog/index.ts';
import { writeAudit } from '../modules/audit/index.ts';
import { silentLog } from '../platform/log.ts';
import type { TenantWorld } from './test-world.ts';

type World = Pick<TenantWorld, 'cloud' | 'tenant'>;

function depsOf({ cloud }: World, readKeyring: TryDeps['readKeyring']): TryDeps {
  const { keystore, kms } = cloud.bootstrap;
  const { installationId } = cloud.api;
  const { system: database, clock } = cloud;
  return { database, kms, installationId, clock, keystore, readKeyring, writeAudit, log: silentLog };
}

/** Shows the keystore all of a tenant's log. */
export async function bringTestKeystore(world: World): Promise<void> {
  await bringKeystore(
    depsOf(world, () => Promise.resolve(undefined)),
    world.tenant.tenantUid,
  );
}

/** Tries all escrow slots of a tenant, as the job does once a week; says how many came out how. `around` has each question to the keystore. */
export async function tryTestSlots(
  world: World,
  { readKeyring, around }: Pick<TryDeps, 'readKeyring'> & { readonly around: <T>(ask: () => Promise<T>) => Promise<T> },
): Promise<Readonly<Record<string, number>>> {
  const deps = depsOf(world, readKeyring);
  const { keystore } = deps;
  const prove: typeof keystore.prove = (asked) => around(() => keystore.prove(asked));
  const { tenantUid: tenantId } = world.tenant;
  await tryEscrowSlots({ ...deps, keystore: { ...keystore, prove } }, tenantId, new AbortController().signal);
  type Tried = { tenant_id: string; outcome: string | null };
  const rows = await deps.database.withTenant(tenantId, (tx) =>
    tx.withTables<{ escrow_tries: Tried }>().selectFrom('escrow_tries').select('outcome').execute(),
  );
  const counts: Record<string, number> = {};
  for (const { outcome } of rows) counts[outcome ?? 'not tried'] = (counts[outcome ?? 'not tried'] ?? 0) + 1;
  return counts;
}
