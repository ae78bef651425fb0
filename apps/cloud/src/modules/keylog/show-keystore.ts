import { CodedError } from '@holdfast/base';
import { proveConsistency, proveInclusion, subject } from '@holdfast/trust';
import type { Keystore } from '../../keystore/operations.ts';
import { keystoreErrors } from '../../keystore/errors.ts';
import { releaseShapeBounds } from '../../keystore/release-shapes.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { nodeSource, signHead, type SignedHead, type SigningDeps } from '../logs/index.ts';
import * as store from './store.ts';

/** What showing a key log to the keystore needs; the database is that of a login which reads the whole log. */
export type ShowDeps = Omit<SigningDeps, 'log'> & { readonly keystore: Pick<Keystore, 'followed' | 'follow'> };

/** A leaf as the keystore takes it: with its place, and the proof that it is there. */
export type ShownLeaf = { readonly text: string; readonly logIndex: number; readonly inclusion: string[] };

/** The log grows while it is shown: so often a fresh head is tried before that is somebody else's to do again. */
const TRIES = 5;

/**
 * Does what needs a head that the keystore has followed exactly, and does it anew where the log went on meanwhile.
 *
 * @throws keystore.older_head, keystore.not_followed where the log outran it each time; what `bringKeystore` and `work` throw
 */
export async function underFollowedHead<T>(
  deps: ShowDeps,
  tenantId: string,
  work: (head: SignedHead) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work(await bringKeystore(deps, tenantId));
    } catch (error) {
      if (tries === TRIES || !isOutrun(error)) throw error;
    }
  }
}

/**
 * Shows the keystore all of a tenant's key log that it has not followed, by pieces; the head up to which it has.
 *
 * @throws keystore.* where it does not believe what it is shown, or is away; audit.inconsistent, audit.no_log_key
 */
export async function bringKeystore(deps: ShowDeps, tenantId: string): Promise<SignedHead> {
  const { keystore } = deps;
  const [{ treeSize }, head] = [
    await keystore.followed({ tenantUid: tenantId }),
    await signHead(deps, { tenantId, log: 'key' }),
  ];
  for (let size = treeSize; size < head.treeSize;) {
    const piece = await deps.database.withTenant(tenantId, (tx) => readPiece(tx, { tenantId, from: size, head }));
    const followed = await keystore.follow({ tenantUid: tenantId, fromSize: size, ...piece });
    // Not a step: somebody else shows it the same log at this moment, or there is nothing to show it.
    if (followed.treeSize <= size && piece.outlines.length === 0) throw keystoreErrors.not_followed({ size });
    size = followed.treeSize;
  }
  return head;
}

/** What keeping the head that the keystore has followed needs, too. */
export type CosignDeps = ShowDeps & { readonly keystore: ShowDeps['keystore'] & Pick<Keystore, 'cosignHead'> };

/**
 * Shows the keystore all of a tenant's key log, and keeps the head with its signature, for the tenant's computers.
 *
 * @throws what `bringKeystore` throws, keystore.older_head, keystore.not_followed where the log outran it each time; kms.*
 */
export async function keepFollowedHead(deps: CosignDeps, tenantId: string): Promise<void> {
  await underFollowedHead(deps, tenantId, async ({ treeSize, note: shown }) => {
    const known = await deps.database.withTenant(tenantId, (tx) => store.findFollowedHead(tx, tenantId));
    if (treeSize === 0 || known?.tree_size === treeSize) return;
    const { note } = await deps.keystore.cosignHead({ tenantUid: tenantId, note: shown });
    const row = { tenant_id: tenantId, tree_size: treeSize, note };
    await deps.database.withTenant(tenantId, (tx) => store.keepFollowedHead(tx, row));
  });
}

/** A leaf of the log, shown under a head of this size. @throws where there is none at that place */
export async function showLeaf(
  tx: TenantTx,
  of: { readonly tenantId: string; readonly logIndex: number; readonly treeSize: number },
): Promise<ShownLeaf> {
  const { tenantId, logIndex, treeSize } = of;
  const [row] = await store.listLeaves(tx, { tenantId, from: logIndex, limit: 1 });
  if (row?.log_index !== logIndex) throw new Error(`the key log has no leaf at ${logIndex}`);
  const inclusion = await proveInclusion(nodeSource(tx, { tenantId, log: 'key' }), logIndex, treeSize);
  return { text: row.body, logIndex, inclusion: inclusion.map(encode) };
}

/** What the keystore is shown next, within its bounds; one leaf at least. */
async function readPiece(
  tx: TenantTx,
  { tenantId, from, head }: { readonly tenantId: string; readonly from: number; readonly head: SignedHead },
) {
  const limit = Math.min(releaseShapeBounds.outlines, head.treeSize - from);
  const rows = await store.listOutlines(tx, { tenantId, from, limit, subjects: [subject.keystore] });
  const taken: typeof rows = [];
  let text = 0;
  for (const row of rows) {
    text += row.body?.length ?? 0;
    if (taken.length > 0 && text > releaseShapeBounds.followedText) break;
    taken.push(row);
  }
  const source = nodeSource(tx, { tenantId, log: 'key' });
  const consistency = await proveConsistency(source, from + taken.length, head.treeSize);
  return {
    head: { note: head.note, consistency: consistency.map(encode) },
    outlines: taken.map(({ outline }) => encode(outline)),
    texts: taken.flatMap(({ body }, place) => (body === undefined ? [] : [{ logIndex: from + place, text: body }])),
  };
}

function isOutrun(error: unknown): boolean {
  const codes: readonly string[] = [keystoreErrors.older_head.code, keystoreErrors.not_followed.code];
  return error instanceof CodedError && codes.includes(error.code);
}

function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
