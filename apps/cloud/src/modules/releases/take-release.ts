import { createHash } from 'node:crypto';
import { releasesErrors, type ReleaseState } from '@holdfast/contract';
import { openReleaseCall, type SignedText } from '@holdfast/trust';
import { slotKinds } from '@holdfast/archive/keyring';
import { keystoreErrors } from '../../keystore/errors.ts';
import { ANSWER_AGAIN_MS } from '../../keystore/judge-release.ts';
import { readKeyring } from '../../keystore/read-keyring.ts';
import type { OpenContext } from '../../platform/context.ts';
import { showLeaf } from '../keylog/index.ts';
import { signHead } from '../logs/index.ts';
import { openDocument, withCaller, type ReleaseDeps } from './callers.ts';
import { grantWhatIsDue } from './grant-release.ts';
import { readStates } from './release-states.ts';
import * as store from './store.ts';

/** What a requester is given. */
export type TakenRelease = {
  leaf: { text: string; logIndex: number; inclusion: string[] };
  head: string;
  sealed: string;
};

/**
 * Gives the requester what was released to it, for a day and no longer than the request counts. One that is logged and not opened
 * yet is asked for once more first.
 *
 * @throws releases.not_found, releases.not_requester, releases.refused, releases.waiting, and those of a call
 */
export async function takeRelease(deps: ReleaseDeps, ctx: OpenContext, call: SignedText): Promise<TakenRelease> {
  const { about: requestSha256, tenantUid: tenantId } = openDocument(() => openReleaseCall(call));
  if (requestSha256 === null) throw releasesErrors.not_found();
  const find = () =>
    withCaller(deps, ctx, { call, name: 'take' }, async (tx, { holder }) => {
      const row = await store.findRequest(tx, tenantId, requestSha256);
      if (!row) throw releasesErrors.not_found();
      if (row.requester_uid !== holder.uid || row.requester_kind !== holder.kind) throw releasesErrors.not_requester();
      return { row, outcomes: await store.listOutcomes(tx, tenantId, [requestSha256]) };
    });
  const before = await find();
  const isSettled = before.outcomes.some(({ outcome }) => outcome !== 'logged');
  const { opensAt } = isSettled ? {} : await grantWhatIsDue(deps, { tenantId, requestSha256, nowMs: ctx.nowMs() });
  const { row, outcomes } = isSettled ? before : await find();
  const refused = outcomes.find(({ outcome }) => outcome === 'refused');
  if (refused) throw releasesErrors.refused({ reason: refused.code });
  // As the keystore would say, which answers again for as long: who steals the recipient's key later is given nothing here.
  const nowMs = ctx.nowMs();
  if (row.expires_at.getTime() <= nowMs) throw releasesErrors.refused({ reason: keystoreErrors.expired.code });
  const granted = outcomes.find(({ outcome }) => outcome === 'granted');
  if (granted && nowMs >= granted.at.getTime() + ANSWER_AGAIN_MS)
    throw releasesErrors.refused({ reason: keystoreErrors.used.code });
  if (!granted?.sealed) {
    throw releasesErrors.waiting({ for: outcomes.length > 0 ? 'the keystore' : 'approvals', opensAt });
  }
  const { treeSize, note } = await signHead(deps, { tenantId, log: 'key' });
  const { log_index: logIndex } = granted;
  const leaf = await deps.database.withTenant(tenantId, (tx) => showLeaf(tx, { tenantId, logIndex, treeSize }));
  return { leaf, head: note, sealed: Buffer.from(granted.sealed).toString('base64url') };
}

const MOST_LISTED = 100;

/** Releases, the newest first: for a person those of the tenant, for a device its own; one alone where the call names it. */
export async function listReleases(
  deps: ReleaseDeps,
  ctx: OpenContext,
  call: SignedText,
): Promise<{ releases: ReleaseState[] }> {
  const found = await withCaller(deps, ctx, { call, name: 'list' }, async (tx, { tenantId, holder }, { about }) => {
    const requesterUid = holder.kind === 'device' ? holder.uid : undefined;
    const named = about === null ? undefined : await store.findRequest(tx, tenantId, about);
    const own = named && (requesterUid === undefined || named.requester_uid === requesterUid) ? [named] : [];
    const rows = about === null ? await store.listRequests(tx, { tenantId, requesterUid, limit: MOST_LISTED }) : own;
    return { tenantId, rows };
  });
  return { releases: [...(await readStates(deps, { ...found, nowMs: ctx.nowMs() }))] };
}

/** What a request for keys of an archive has to name; the call says which archive, by its id or its computer. */
export async function describeArchive(deps: ReleaseDeps, ctx: OpenContext, call: SignedText) {
  const found = await withCaller(deps, ctx, { call, name: 'archive' }, async (tx, { tenantId, holder }, { about }) => {
    const name = about ?? (holder.kind === 'device' ? holder.uid : '');
    const archives = await store.listArchivesCalled(tx, tenantId, name);
    if (archives.length > 1) throw releasesErrors.archive_ambiguous();
    const [archive] = archives;
    // A device asks about its own, and learns of no other.
    if (!archive || (holder.kind === 'device' && archive.device_id !== holder.uid))
      throw releasesErrors.archive_not_found();
    return { tenantId, archive };
  });
  const { tenantId, archive } = found;
  const record = await deps.readKeyring({ tenantId, archiveId: archive.archive_id });
  if (!record) throw releasesErrors.archive_not_found();
  const { slots, number: keyringNumber } = readKeyring(record);
  const slot = slots.find(({ kind }) => kind === slotKinds.escrow);
  if (!slot) throw releasesErrors.no_escrow();
  return {
    archiveId: archive.archive_id,
    deviceUid: archive.device_id,
    deviceName: archive.name,
    keyringNumber,
    keyringSha256: createHash('sha256').update(record).digest('hex'),
    slotId: Buffer.from(slot.slotId).toString('hex'),
  };
}
