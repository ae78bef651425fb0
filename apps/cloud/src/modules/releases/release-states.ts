import { CodedError } from '@holdfast/base';
import { releasesErrors, type ReleaseState, type RulesChangeState } from '@holdfast/contract';
import { approvalsForRules, parseRulesChange, type ReleasePurpose } from '@holdfast/trust';
import type { TenantTx } from '../../platform/postgres.ts';
import { readKeystoreRules, readKnowledge, type KeystoreRules, type Knowledge } from '../persons/index.ts';
import type { ReleaseDeps } from './callers.ts';
import { countingApprovals, requesterOf } from './grant-release.ts';
import * as store from './store.ts';

type Place = { readonly tenantId: string; readonly nowMs: number };
type StateDeps = Pick<ReleaseDeps, 'installationId' | 'database' | 'keystore'>;
/** As the keystore knows them; undefined where it is away: then the leaves are what is shown by. */
type Rules = Pick<KeystoreRules, 'rulesAt'> | undefined;

/** How a release stands. @throws releases.not_found */
export async function readState(
  deps: StateDeps,
  { requestSha256, ...of }: Place & { readonly requestSha256: string },
): Promise<ReleaseState> {
  const { database } = deps;
  const row = await database.withTenant(of.tenantId, (tx) => store.findRequest(tx, of.tenantId, requestSha256));
  if (!row) throw releasesErrors.not_found();
  const [state] = await readStates(deps, { ...of, rows: [row] });
  return state!;
}

/** How releases stand. */
export async function readStates(
  deps: StateDeps,
  of: Place & { readonly rows: readonly store.RequestRow[] },
): Promise<readonly ReleaseState[]> {
  if (of.rows.length === 0) return [];
  const rules = await rulesToShow(deps, of.tenantId);
  return deps.database.withTenant(of.tenantId, (tx) => statesOf(tx, deps, { ...of, rules }));
}

/** The rules as the keystore knows them, to show how something stands by; undefined where it does not answer. */
export async function rulesToShow(deps: StateDeps, tenantId: string): Promise<KeystoreRules | undefined> {
  try {
    return await readKeystoreRules(deps, tenantId);
  } catch (error) {
    if (error instanceof CodedError) return undefined;
    throw error;
  }
}

async function statesOf(
  tx: TenantTx,
  { installationId }: StateDeps,
  { tenantId, nowMs, rows, rules }: Place & { readonly rows: readonly store.RequestRow[]; readonly rules: Rules },
): Promise<readonly ReleaseState[]> {
  const documents = rows.map((row) => row.request_sha256);
  const outcomes = await store.listOutcomes(tx, tenantId, documents);
  const approvals = await store.listApprovals(tx, tenantId, documents);
  const known = await readKnowledge(tx, { tenantUid: tenantId, installationId }, []);
  const knowledge = { ...known, rulesAt: (rules ?? known).rulesAt };
  const names = await store.namesOf(
    tx,
    tenantId,
    rows.map((row) => row.requester_uid),
  );
  const computers = new Map<string, string>();
  for (const id of new Set(rows.map((row) => row.archive_id)))
    computers.set(id, (await store.listArchivesCalled(tx, tenantId, id))[0]?.name ?? '');
  return rows.map((row) => ({
    ...factsOf(row, {
      outcomes: outcomes.filter((one) => one.document_sha256 === row.request_sha256),
      approvals: approvals.filter((one) => one.document_sha256 === row.request_sha256),
      knowledge,
      nowMs,
    }),
    requesterName: names.get(row.requester_uid) ?? row.requester_uid,
    deviceName: computers.get(row.archive_id) ?? '',
  }));
}

type Facts = {
  readonly outcomes: readonly store.OutcomeRow[];
  readonly approvals: readonly store.ApprovalRow[];
  readonly knowledge: Pick<Knowledge, 'keys' | 'rulesAt'>;
  readonly nowMs: number;
};

function factsOf(row: store.RequestRow, { outcomes, approvals, knowledge, nowMs }: Facts) {
  const find = (name: string) => outcomes.find(({ outcome }) => outcome === name);
  const [logged, refused] = [find('logged'), find('refused')];
  const purpose = row.purpose as ReleasePurpose;
  const rule = knowledge.rulesAt(nowMs)[purpose];
  const isExpired = row.expires_at.getTime() <= nowMs;
  const counting = logged ? approvals : keepCounting({ row, approvals, knowledge, nowMs });
  return {
    requestSha256: row.request_sha256,
    archiveId: row.archive_id,
    state: stateOf(outcomes, isExpired),
    purpose,
    requester: requesterOf(row),
    request: row.request,
    approvals: counting.map(shownApproval),
    approvalsNeeded: rule.approvals,
    askedAt: row.asked_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    opensAt: logged ? new Date(logged.at.getTime() + rule.delayHours * 3_600_000).toISOString() : null,
    logIndex: logged?.log_index ?? refused?.log_index ?? null,
    code: refused?.code ?? null,
  } as const;
}

function stateOf(outcomes: readonly store.OutcomeRow[], isExpired: boolean) {
  const has = (name: string) => outcomes.some(({ outcome }) => outcome === name);
  if (has('granted')) return 'granted';
  if (has('refused')) return 'refused';
  if (isExpired) return 'expired';
  return has('logged') ? 'logged' : 'asked';
}

function keepCounting({
  row,
  approvals,
  knowledge,
  nowMs,
}: Omit<Facts, 'outcomes'> & { readonly row: store.RequestRow }) {
  const texts = new Set(countingApprovals(knowledge, { approvals, row, nowMs }).map(({ text }) => text));
  return approvals.filter(({ approval }) => texts.has(approval));
}

function shownApproval({ user_id: userUid, username, approved_at: at }: store.ApprovalRow) {
  return { userUid, username, approvedAt: at.toISOString() };
}

const MOST_CHANGES = 100;

/** How the changes of the rules stand, the newest first. */
export async function readRuleChanges(
  tx: TenantTx,
  { tenantId, nowMs, rulesAt }: Place & Pick<KeystoreRules, 'rulesAt'>,
): Promise<readonly RulesChangeState[]> {
  const rows = await store.listRuleChanges(tx, tenantId, MOST_CHANGES);
  const documents = rows.map((row) => row.change_sha256);
  const outcomes = await store.listOutcomes(tx, tenantId, documents);
  const approvals = await store.listApprovals(tx, tenantId, documents);
  return rows.map((row) => {
    const { change_sha256: changeSha256, number, change } = row;
    const own = outcomes.filter((one) => one.document_sha256 === changeSha256);
    const logged = own.find(({ outcome }) => outcome === 'logged');
    const isRefused = own.some(({ outcome }) => outcome === 'refused');
    const given = approvals.filter((one) => one.document_sha256 === changeSha256);
    const { rules } = parseRulesChange(change);
    const approvalsNeeded = logged ? given.length : approvalsForRules(rulesAt(nowMs), rules);
    return {
      changeSha256,
      number,
      change,
      state: isRefused ? 'refused' : logged ? 'logged' : 'proposed',
      approvals: given.map(shownApproval),
      approvalsNeeded,
      proposedAt: row.proposed_at.toISOString(),
      logIndex: logged?.log_index ?? null,
    };
  });
}
