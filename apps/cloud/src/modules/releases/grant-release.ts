import { CodedError, parseUuid } from '@holdfast/base';
import {
  openEscrowOuter,
  parseEscrowParameters,
  parseReleaseRequest,
  type HpkeKey,
  type ReleasePurpose,
  type ReleaseRequest,
  type SignedText,
} from '@holdfast/trust';
import { countApprovals } from '../../keystore/judge-approvals.ts';
import { expectEscrowSlot, readKeyring } from '../../keystore/read-keyring.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { openLogSealingKey } from '../escrow/index.ts';
import { appendKeyLogLeaf } from '../keylog/index.ts';
import { askKeystoreRules, readKnowledge, type KeystoreRules, type Knowledge } from '../persons/index.ts';
import { ownerSignatureFor } from './archive-owner.ts';
import { logRefusal, type ReleaseDeps } from './callers.ts';
import { askKeystore, isPassing } from './follow-keystore.ts';
import * as store from './store.ts';

/** Which request, and when. */
export type Due = { readonly tenantId: string; readonly requestSha256: string; readonly nowMs: number };

/** What opening needs that is elsewhere, fetched before the transaction. */
type Fetched = { readonly record: Uint8Array; readonly logKey: HpkeKey; readonly rules: KeystoreRules };

/** A release whose leaf stands in the log, with the inner layer of its slot. */
type Logged = {
  readonly row: store.RequestRow;
  readonly request: ReleaseRequest;
  readonly logIndex: number;
  readonly inner: Uint8Array;
};

/**
 * Logs and opens a request that has all it needs; one that lacks approvals, has expired or is settled is left as it is.
 *
 * The outer layer of the slot is opened in a transaction in which the leaf stands, and handed to the keystore only once that is
 * committed. Where the keystore is away, or says that the delay has not passed, the release stays logged: whoever takes it has
 * it asked again. Says when it is opened, where the keystore said so.
 */
export async function grantWhatIsDue(deps: ReleaseDeps, due: Due): Promise<{ readonly opensAt?: string }> {
  const { tenantId } = due;
  const open = await deps.database.withTenant(tenantId, (tx) => findOpen(tx, due));
  const rules = open && (await findRules(deps, tenantId));
  if (!rules) return {};
  const { row, sinceMs } = open;
  const { delayHours } = rules.rulesAt(due.nowMs)[row.purpose as ReleasePurpose];
  const opensAtMs = sinceMs === undefined ? -Infinity : sinceMs + delayHours * HOUR_MS;
  // Asking costs the keystore as much as opening.
  if (due.nowMs < opensAtMs) return { opensAt: new Date(opensAtMs).toISOString() };
  const fetched = await fetchFor(deps, row, rules);
  if (!fetched) return {};
  const logged = await deps.database.withTenant(tenantId, (tx) => logAndOpen(tx, deps, { due, row, fetched }));
  if (!logged) return {};
  try {
    return await release(deps, due, { ...logged, record: fetched.record });
  } finally {
    logged.inner.fill(0);
  }
}

const HOUR_MS = 3_600_000;

/** A request that is neither settled nor expired, and since when the keystore has it wait. */
async function findOpen(tx: TenantTx, { tenantId, requestSha256, nowMs }: Due) {
  const row = await store.findRequest(tx, tenantId, requestSha256);
  if (!row || !isOpen(row, await store.listOutcomes(tx, tenantId, [requestSha256]), nowMs)) return undefined;
  return { row, sinceMs: (await store.findWait(tx, tenantId, requestSha256))?.since_at.getTime() };
}

/** Whether a request may still be granted. */
function isOpen(row: store.RequestRow, outcomes: readonly store.OutcomeRow[], nowMs: number): boolean {
  const isSettled = outcomes.some(({ outcome }) => outcome !== 'logged');
  return !isSettled && row.expires_at.getTime() > nowMs;
}

async function fetchFor(deps: ReleaseDeps, row: store.RequestRow, rules: KeystoreRules): Promise<Fetched | undefined> {
  const { tenant_id: tenantId, archive_id: archiveId } = row;
  const { keyringSha256, slotId } = parseReleaseRequest(row.request);
  const record = await deps.readKeyring({ tenantId, archiveId }, keyringSha256);
  if (!record) return undefined;
  const slot = expectEscrowSlot(readKeyring(record), new Uint8Array(Buffer.from(slotId, 'hex')));
  const keyId = Buffer.from(parseEscrowParameters(slot).outerKeyId).toString('hex');
  return { record, rules, logKey: await openLogSealingKey(deps, tenantId, keyId) };
}

/** The rules that the keystore will judge by; undefined where it does not say: then nothing is logged that it might refuse. */
async function findRules(deps: ReleaseDeps, tenantId: string): Promise<KeystoreRules | undefined> {
  try {
    return await askKeystoreRules(deps, tenantId);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    deps.log.warn({ err: error }, 'the keystore does not say the rules of release: nothing is released until it does');
    return undefined;
  }
}

type Opening = { readonly due: Due; readonly row: store.RequestRow; readonly fetched: Fetched };

async function logAndOpen(
  tx: TenantTx,
  deps: ReleaseDeps,
  { due, row, fetched }: Opening,
): Promise<Logged | undefined> {
  const { tenantId, requestSha256, nowMs } = due;
  await store.lockDocument(tx, tenantId, requestSha256);
  const outcomes = await store.listOutcomes(tx, tenantId, [requestSha256]);
  // Decided again with the document locked: somebody may have refused it meanwhile.
  if (!isOpen(row, outcomes, nowMs)) return undefined;
  const request = parseReleaseRequest(row.request);
  const before = outcomes.find(({ outcome }) => outcome === 'logged');
  const logIndex = before?.log_index ?? (await logRelease(tx, deps, { due, row, request, fetched }));
  if (logIndex === undefined) return undefined;
  const logged = { row, request, logIndex };
  const slot = expectEscrowSlot(readKeyring(fetched.record), new Uint8Array(Buffer.from(request.slotId, 'hex')));
  try {
    return { ...logged, inner: openEscrowOuter(slot, parseUuid(request.archiveId)!, fetched.logKey) };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    // Whoever made the slot sealed nothing in it.
    await keepRefusal(tx, deps, { due, logged, code: error.code });
    return undefined;
  }
}

/** Appends the leaf of a release that has the approvals which the rules in force ask for; undefined where it has not. */
async function logRelease(
  tx: TenantTx,
  { installationId, writeAudit }: ReleaseDeps,
  { due, row, request, fetched: { record, rules } }: Opening & { readonly request: ReleaseRequest },
): Promise<number | undefined> {
  const { tenantId, requestSha256, nowMs } = due;
  const knowledge = await readKnowledge(tx, { tenantUid: tenantId, installationId }, [request.requesterKey]);
  const rule = rules.rulesAt(nowMs)[row.purpose as ReleasePurpose];
  const approvals = countingApprovals(knowledge, {
    approvals: await store.listApprovals(tx, tenantId, [requestSha256]),
    row,
    nowMs,
  });
  if (approvals.length < rule.approvals) return undefined;
  const at = new Date(nowMs);
  const requester = requesterOf(row);
  const ownerSignature =
    row.purpose === 'own_restore' ? await ownerSignatureFor(tx, { tenantId, request, record }) : null;
  const name = (await store.namesOf(tx, tenantId, [requester.uid])).get(requester.uid) ?? requester.uid;
  const actor = { kind: requester.kind === 'person' ? 'user' : 'device', id: requester.uid, name } as const;
  const target = { kind: 'release', id: requestSha256 };
  const facts = { archiveId: request.archiveId, purpose: row.purpose, approvals: approvals.length };
  await writeAudit(tx, { tenantId, at, actor, outcome: 'done', eventType: 'release.logged', target, facts });
  const { logIndex } = await appendKeyLogLeaf(
    tx,
    { tenantId, at },
    {
      kind: 'release',
      archiveId: request.archiveId,
      request: { text: row.request, signature: row.signature },
      requester,
      purpose: row.purpose as ReleasePurpose,
      notice: rule.notice,
      ownerSignature,
      approvals,
    },
  );
  const outcome = { tenant_id: tenantId, document_sha256: requestSha256, outcome: 'logged', at } as const;
  await store.insertOutcome(tx, { ...outcome, log_index: logIndex });
  return logIndex;
}

/** Who made a request. */
export function requesterOf(row: Pick<store.RequestRow, 'requester_kind' | 'requester_uid'>) {
  return { kind: row.requester_kind as 'device' | 'person', uid: row.requester_uid };
}

/** The approvals that count now: one whose key has ended since is left out, for the keystore would refuse it with all. */
export function countingApprovals(
  { keys }: Pick<Knowledge, 'keys'>,
  {
    approvals,
    row,
    nowMs,
  }: { readonly approvals: readonly store.ApprovalRow[]; readonly row: store.RequestRow; readonly nowMs: number },
): readonly SignedText[] {
  const matter = { documentSha256: row.request_sha256, requester: requesterOf(row), keys, nowMs };
  return approvals
    .map(({ approval: text, signature }) => ({ text, signature }))
    .filter((approval) => {
      try {
        return countApprovals([approval], matter) === 1;
      } catch (error) {
        if (error instanceof CodedError) return false;
        throw error;
      }
    });
}

/** Has the keystore open a logged release, and keeps what came of it. */
async function release(
  deps: ReleaseDeps,
  due: Due,
  logged: Logged & { readonly record: Uint8Array },
): Promise<{ readonly opensAt?: string }> {
  const { row, logIndex, inner, record } = logged;
  const request = { text: row.request, signature: row.signature };
  try {
    const answer = await askKeystore(deps, { tenantId: due.tenantId, logIndex, request, keyring: record, inner });
    if (answer.status === 'waiting') {
      const { tenantId, requestSha256 } = due;
      const wait = { tenant_id: tenantId, document_sha256: requestSha256, since_at: new Date(answer.since) };
      await deps.database.withTenant(tenantId, (tx) => store.insertWait(tx, wait));
      return { opensAt: answer.opensAt };
    }
    await settle(deps, due, logged, { sealed: new Uint8Array(Buffer.from(answer.sealed, 'base64url')) });
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    if (isPassing(error)) {
      deps.log.warn({ err: error }, 'a release is logged and not opened yet');
      return {};
    }
    await settle(deps, due, logged, { code: error.code });
  }
  return {};
}

async function settle(
  deps: ReleaseDeps,
  { tenantId, requestSha256 }: Due,
  logged: Omit<Logged, 'inner'>,
  came: { readonly sealed: Uint8Array } | { readonly code: string },
): Promise<void> {
  await deps.database.withTenant(tenantId, async (tx) => {
    await store.lockDocument(tx, tenantId, requestSha256);
    const outcomes = await store.listOutcomes(tx, tenantId, [requestSha256]);
    if (outcomes.some(({ outcome }) => outcome !== 'logged')) return;
    const due = { tenantId, requestSha256, nowMs: deps.clock.now() };
    if ('code' in came) return keepRefusal(tx, deps, { due, logged, code: came.code });
    const { row, logIndex } = logged;
    const at = new Date(due.nowMs);
    const about = { tenant_id: tenantId, document_sha256: requestSha256, at };
    const by = requesterOf(row);
    const name = (await store.namesOf(tx, tenantId, [by.uid])).get(by.uid) ?? by.uid;
    const actor = { kind: by.kind === 'person' ? 'user' : 'device', id: by.uid, name } as const;
    const target = { kind: 'release', id: requestSha256 };
    await deps.writeAudit(tx, { tenantId, at, actor, outcome: 'done', eventType: 'release.granted', target });
    await store.insertOutcome(tx, { ...about, outcome: 'granted', log_index: logIndex, sealed: came.sealed });
  });
}

/** Refuses a logged release for good, by a leaf. */
async function keepRefusal(
  tx: TenantTx,
  deps: ReleaseDeps,
  { due, logged, code }: { readonly due: Due; readonly logged: Omit<Logged, 'inner'>; readonly code: string },
): Promise<void> {
  const { tenantId, requestSha256, nowMs } = due;
  const at = new Date(nowMs);
  const by = requesterOf(logged.row);
  const name = (await store.namesOf(tx, tenantId, [by.uid])).get(by.uid) ?? by.uid;
  const refused = { archiveId: logged.request.archiveId, requestSha256, by, name, code };
  const logIndex = await logRefusal(tx, deps, { tenantId, at }, refused);
  const outcome = { tenant_id: tenantId, document_sha256: requestSha256, outcome: 'refused', at } as const;
  await store.insertOutcome(tx, { ...outcome, log_index: logIndex, code });
}
