import { parseKeyLogLeaf, proveInclusion, type KeyLogFact, type KeyLogLeaf } from '@holdfast/trust';
import type { TenantWorld } from './test-world.ts';
import { appendKeyLogLeaf } from '../modules/keylog/index.ts';
import { nodeSource } from '../modules/logs/index.ts';

/** Appends a leaf to the log of a tenant. */
export function append({ cloud, tenant }: Pick<TenantWorld, 'cloud' | 'tenant'>, fact: KeyLogFact) {
  const { tenantUid: tenantId } = tenant;
  return cloud.database.withTenant(tenantId, (tx) => appendKeyLogLeaf(tx, { tenantId, at: new Date() }, fact));
}

/** Proves that a leaf is in the log of a tenant of some size, as a request for it does. */
export async function prove(
  { cloud, tenant: { tenantUid: tenantId } }: Pick<TenantWorld, 'cloud' | 'tenant'>,
  { index, size }: { readonly index: number; readonly size: number },
): Promise<void> {
  await cloud.database.withTenant(tenantId, (tx) =>
    proveInclusion(nodeSource(tx, { tenantId, log: 'key' }), index, size),
  );
}

/** All leaves of a tenant as an administrator reads them. */
export async function leavesOf({ cloud, tenant }: Pick<TenantWorld, 'cloud' | 'tenant'>, archiveId?: string) {
  const leaves: { logIndex: number; outline: Uint8Array; leaf: KeyLogLeaf }[] = [];
  const about = archiveId === undefined ? {} : { archiveId };
  for (let from: number | null = 0; from !== null;) {
    const query = { from: String(from), limit: '3', ...about };
    const page: Awaited<ReturnType<typeof ask>> = await ask(query);
    for (const { logIndex, outline, body } of page.leaves)
      leaves.push({ logIndex, outline: read(outline), leaf: parseKeyLogLeaf(body) });
    from = page.nextFrom;
  }
  return leaves;

  function ask(query: { from: string; limit: string; archiveId?: string }) {
    return cloud.clientOf(tenant).keyLog.leaves({ query });
  }
}

/** What an outline's text stands for. */
export function read(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64url'));
}
