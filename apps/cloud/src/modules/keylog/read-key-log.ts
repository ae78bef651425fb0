import { requestErrors, type KeyLogHead, type KeyLogLeaf, type OwnKeyLogLeaf } from '@holdfast/contract';
import { isAbout, proveConsistency, proveInclusion, subject, type Hash } from '@holdfast/trust';
import type { IoContext, TxContext } from '../../platform/context.ts';
import { findHead, nodeSource, signHead, type SigningDeps } from '../logs/index.ts';
import { listCosignedHeads } from '../witnesses/index.ts';
import { subjectsOfDevice } from './append-leaf.ts';
import * as store from './store.ts';

/** What reading heads needs: the keys of the witnesses that the operator configured, too. */
export type HeadDeps = Omit<SigningDeps, 'log'> & { readonly witnessKeys: readonly string[] };

/**
 * The head as it is now, signed at this moment where the log has grown: who waits for a leaf need not wait for a minute. And
 * the newest that each witness cosigned, and that the keystore has followed; never one that is longer.
 */
export async function readHead(ctx: IoContext<HeadDeps>): Promise<KeyLogHead> {
  const { tenantId, witnessKeys } = ctx;
  const { cosigned, kept } = await ctx.transact(async ({ tx }) => ({
    cosigned: await listCosignedHeads(tx, tenantId, witnessKeys),
    kept: await store.findFollowedHead(tx, tenantId),
  }));
  const followed = kept && { treeSize: kept.tree_size, note: kept.note };
  const { treeSize, signedAt, note, verifier } = await signHead(ctx, { tenantId, log: 'key' });
  return { treeSize, signedAt: signedAt.toISOString(), note, verifier, cosigned, ...(followed && { followed }) };
}

/** A page of whole leaves, in their order. */
export async function listLeaves(
  ctx: TxContext,
  { archiveId, ...page }: { from: number; limit: number; archiveId?: string | undefined },
): Promise<{ leaves: KeyLogLeaf[]; nextFrom: number | null }> {
  const of = archiveId === undefined ? undefined : subject.archive(archiveId);
  const rows = await store.listLeaves(ctx.tx, { tenantId: ctx.tenantId, ...page, subject: of });
  const leaves = rows.map(({ log_index: logIndex, outline, body }) => ({ logIndex, outline: encode(outline), body }));
  const last = rows.length < page.limit ? undefined : rows.at(-1);
  return { leaves, nextFrom: last ? last.log_index + 1 : null };
}

/** Texts in one page of a device, in UTF-16 code units: one more may come. */
const PAGE_TEXT = 4 * 1024 * 1024;

/**
 * What the device that asks may see of leaves: the outline of each, and the text of those that concern it. One that came
 * back names the archive that it has: whoever knows its identifier had the archive.
 */
export async function listOwnLeaves(
  ctx: TxContext,
  { archiveId, ...page }: { from: number; limit: number; archiveId?: string | undefined },
): Promise<{ leaves: OwnKeyLogLeaf[] }> {
  const { tx, tenantId, principal } = ctx;
  const own = await subjectsOfDevice(tx, tenantId, principal.principalId);
  const subjects = archiveId === undefined ? own : [...own, subject.archive(archiveId)];
  const rows = await store.listOutlines(tx, { tenantId, ...page, subjects });
  const leaves: OwnKeyLogLeaf[] = [];
  let text = 0;
  for (const { outline, body: found } of rows) {
    if (text > PAGE_TEXT) break;
    // What the tree says decides, not a row beside it.
    const body = found !== undefined && isAbout(outline, subjects) ? found : undefined;
    text += body?.length ?? 0;
    leaves.push({ outline: encode(outline), ...(body !== undefined && { body }) });
  }
  return { leaves };
}

/** Proves that a leaf is in the log of a size it has or had. @throws request.invalid */
export async function readInclusion(
  ctx: TxContext,
  { logIndex, treeSize }: { logIndex: number; treeSize: number },
): Promise<{ proof: string[] }> {
  await expectAtMost(ctx, 'treeSize', treeSize);
  if (logIndex >= treeSize) throw invalid('logIndex', 'it must be less than treeSize');
  return { proof: written(await proveInclusion(sourceOf(ctx), logIndex, treeSize)) };
}

/** Proves that the log of one size begins with that of a smaller one. @throws request.invalid */
export async function readConsistency(
  ctx: TxContext,
  { fromSize, toSize }: { fromSize: number; toSize: number },
): Promise<{ proof: string[] }> {
  await expectAtMost(ctx, 'toSize', toSize);
  if (fromSize > toSize) throw invalid('fromSize', 'it must be at most toSize');
  return { proof: written(await proveConsistency(sourceOf(ctx), fromSize, toSize)) };
}

function sourceOf({ tx, tenantId }: TxContext) {
  return nodeSource(tx, { tenantId, log: 'key' });
}

async function expectAtMost({ tx, tenantId }: TxContext, field: string, size: number): Promise<void> {
  const head = await findHead(tx, { tenantId, log: 'key' });
  if (size > (head?.tree_size ?? 0)) throw invalid(field, 'it must be at most the number of leaves there are');
}

function invalid(field: string, problem: string): Error {
  return requestErrors.invalid({ field: `query.${field}`, problem });
}

function written(proof: readonly Hash[]): string[] {
  return proof.map((hash) => Buffer.from(hash).toString('base64'));
}

function encode(outline: Buffer): string {
  return outline.toString('base64url');
}
