import { createHash } from 'node:crypto';
import { parseKeyring, splitRecord } from '@holdfast/archive/keyring';
import { CodedError, defineErrors, newId, parseUuid } from '@holdfast/base';
import {
  escrowTriesRoot,
  openEscrowOuter,
  proverOfEscrowTries,
  type EscrowTry,
  type HpkeKey,
  type ProveEscrowTries,
} from '@holdfast/trust';
import type { Keystore } from '../../keystore/operations.ts';
import { releaseShapeBounds } from '../../keystore/release-shapes.ts';
import type { AuditActor, WriteAudit } from '../../platform/context.ts';
import type { Log } from '../../platform/log.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { appendKeyLogLeaf, showLeaf, underFollowedHead, type ShowDeps } from '../keylog/index.ts';
import { openLogSealingKey } from './escrow-keys.ts';
import { keepStandings } from './standings.ts';
import * as store from './tries-store.ts';

/** Reads the keyring of an archive that has this SHA-256 (hex), or says that it is not there. */
export type ReadKeyring = (
  of: { readonly tenantId: string; readonly archiveId: string },
  sha256: string,
) => Promise<Uint8Array | undefined>;

/** What trying escrow slots needs: the login that does the jobs, the `Kms` of the role api, the keystore, and the archives' keyrings. */
export type TryDeps = Omit<ShowDeps, 'keystore'> & {
  readonly keystore: Pick<Keystore, 'followed' | 'follow' | 'prove'>;
  readonly readKeyring: ReadKeyring;
  readonly writeAudit: WriteAudit;
  readonly log: Log;
};

/** Why a slot was not even shown to the keystore. */
export const slotTryErrors = defineErrors('escrow_try', {
  keyring_lost: ['corrupt', 'The newest keyring of the archive cannot be read'],
  keyring_too_long: ['corrupt', 'The newest keyring of the archive is too long for the keystore'],
  slot_lost: ['corrupt', 'The newest keyring of the archive has no such slot'],
});

const WEEK_MS = 7 * 24 * 3_600_000;
/** Runs are kept for a while, for whoever looks since when a slot does not open. */
const KEEP_MS = 12 * WEEK_MS;
/** A little less than a week, so that a job which comes some minutes earlier does not skip to the next hour every week. */
const EVERY_MS = WEEK_MS - 3_600_000;
/** Who tries slots, as the audit log has it. */
export const jobs: AuditActor = { kind: 'system', id: 'jobs', name: 'jobs of the server' };

/**
 * Tries every escrow slot of a tenant's newest keyrings once a week: a leaf over all of them first, then each is opened by the keystore,
 * a piece at a time. Nothing of what is opened comes back.
 *
 * A slot that does not open is an alert: an error in the log of the server, an entry in the tenant's audit log, a count in the metrics. What is
 * not done when `signal` aborts goes on at the next call.
 * @throws keystore.away and whatever keeps the keystore from trying at all: that says nothing of the slots
 */
export async function tryEscrowSlots(deps: TryDeps, tenantId: string, signal: AbortSignal): Promise<void> {
  const run = await findOrBeginRun(deps, tenantId);
  if (run) await doRun(deps, { tenantId, ...run }, KEEP_MS, signal);
}

/** A run of a tenant. */
export type RunOfTenant = store.EscrowRun & { readonly tenantId: string };

/** Tries what is left of a run; all of its kind that are older than `keepMs` are forgotten once it is done. */
export async function doRun(deps: TryDeps, run: RunOfTenant, keepMs: number, signal: AbortSignal): Promise<void> {
  const { tenantId } = run;
  const of = { tenantId, runId: run.runId };
  const all = await deps.database.withTenant(tenantId, (tx) => store.listTries(tx, of));
  const left = all.filter(({ outcome }) => outcome === null);
  const proofsOf = proverOfEscrowTries(left.length > 0 ? all : []);
  for (let at = 0; at < left.length;) {
    if (signal.aborted) return;
    const { shown, outcomes, taken } = await readPiece(deps, tenantId, left.slice(at, at + releaseShapeBounds.tries));
    const tried =
      shown.length > 0 && run.logIndex !== null
        ? await tryPiece(deps, { ...of, logIndex: run.logIndex, proofsOf }, shown)
        : [];
    await keepOutcomes(deps, of, [...outcomes, ...tried]);
    at += taken;
  }
  const now = deps.clock.now();
  const when = { at: new Date(now), forgetBefore: new Date(now - keepMs) };
  await deps.database.withTenant(tenantId, (tx) => store.finishRun(tx, run, when));
}

/** The run that is under way, or a new one where the last is a week old; undefined where there is nothing to do. */
async function findOrBeginRun({ database, clock }: TryDeps, tenantId: string): Promise<store.EscrowRun | undefined> {
  return database.withTenant(tenantId, async (tx) => {
    const newest = await store.findNewestRun(tx, tenantId, 'weekly');
    const now = clock.now();
    if (newest && newest.finishedAt === null) return newest;
    if (newest && now < newest.begunAt.getTime() + EVERY_MS) return undefined;
    const tries = await store.listNewestSlots(tx, tenantId);
    return beginRun(tx, { tenantId, kind: 'weekly', at: new Date(now) }, tries);
  });
}

/** Begins a run over these slots: its leaf and its slots are there together. */
export async function beginRun(
  tx: TenantTx,
  { tenantId, kind, at }: { readonly tenantId: string; readonly kind: store.RunKind; readonly at: Date },
  tries: readonly EscrowTry[],
): Promise<store.EscrowRun> {
  const leaf = {
    kind: 'escrow_tried',
    day: at.toISOString().slice(0, 10),
    slots: tries.length,
    root: Buffer.from(escrowTriesRoot(tries)).toString('hex'),
  } as const;
  const logIndex = tries.length === 0 ? null : (await appendKeyLogLeaf(tx, { tenantId, at }, leaf)).logIndex;
  const run = { runId: newId(at.getTime()), kind, begunAt: at, logIndex };
  await store.insertRun(tx, tenantId, run, tries);
  return { ...run, finishedAt: null };
}

type Placed = EscrowTry & { readonly place: number };
type ShownTry = Placed & { readonly keyring: Uint8Array; readonly inner: Uint8Array };
type Outcome = Placed & { readonly outcome: string };

/** Reads keyrings and takes their outer layers off, within the bounds of one question; at least one slot is taken. */
async function readPiece(deps: TryDeps, tenantId: string, tries: readonly Placed[]) {
  const logKey = await openLogSealingKey(deps, tenantId);
  const [shown, outcomes]: [ShownTry[], Outcome[]] = [[], []];
  let bytes = 0;
  let taken = 0;
  for (const one of tries) {
    const keyring = await deps.readKeyring({ tenantId, archiveId: one.archiveId }, one.keyringSha256);
    bytes += keyring?.length ?? 0;
    if (taken > 0 && bytes > releaseShapeBounds.triedBytes) break;
    taken++;
    try {
      shown.push({ ...one, ...openOuter(one, keyring, logKey) });
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      outcomes.push({ ...one, outcome: error.code });
    }
  }
  return { shown, outcomes, taken };
}

function openOuter(one: EscrowTry, keyring: Uint8Array | undefined, logKey: HpkeKey) {
  const isSame = keyring && createHash('sha256').update(keyring).digest('hex') === one.keyringSha256;
  if (!isSame) throw slotTryErrors.keyring_lost();
  if (keyring.length > releaseShapeBounds.keyringBytes) throw slotTryErrors.keyring_too_long();
  const slot = parseKeyring(splitRecord(keyring).open).slots.find(
    ({ slotId }) => Buffer.from(slotId).toString('hex') === one.slotId,
  );
  if (slot === undefined) throw slotTryErrors.slot_lost();
  return { keyring, inner: openEscrowOuter(slot, parseUuid(one.archiveId)!, logKey) };
}

async function tryPiece(
  deps: TryDeps,
  {
    tenantId,
    logIndex,
    proofsOf,
  }: { readonly tenantId: string; readonly logIndex: number; readonly proofsOf: ProveEscrowTries },
  shown: readonly ShownTry[],
): Promise<readonly Outcome[]> {
  const proofs = await proofsOf(shown.map(({ place }) => place));
  const tries = shown.map(({ place, archiveId, slotId, keyring, inner }, nth) => ({
    archiveId,
    slotId,
    keyring: encode(keyring),
    inner: encode(inner),
    among: { place, proof: proofs[nth]!.map(encode) },
  }));
  for (const { inner } of shown) inner.fill(0);
  const { outcomes } = await underFollowedHead(deps, tenantId, async ({ note, treeSize }) => {
    const leaf = await deps.database.withTenant(tenantId, (tx) => showLeaf(tx, { tenantId, logIndex, treeSize }));
    return deps.keystore.prove({ tenantUid: tenantId, note, leaf, tries });
  });
  return shown.map((one, nth) => {
    const said = outcomes[nth];
    return { ...one, outcome: said?.status === 'opens' ? 'opens' : (said?.code ?? slotTryErrors.slot_lost.code) };
  });
}

/** Keeps what became of slots; each that does not open is said where people look. */
async function keepOutcomes(
  { database, clock, log, writeAudit }: TryDeps,
  { tenantId, runId }: { readonly tenantId: string; readonly runId: string },
  outcomes: readonly Outcome[],
): Promise<void> {
  const at = new Date(clock.now());
  await database.withTenant(tenantId, async (tx) => {
    for (const { place, archiveId, slotId, keyringSha256, outcome } of outcomes) {
      await store.setOutcome(tx, { tenantId, runId, place }, outcome);
      if (outcome === 'opens') continue;
      const facts = { archiveId, slotId, keyringSha256, code: outcome };
      const about = { tenantId, at, actor: jobs, target: { kind: 'archive', id: archiveId } };
      await writeAudit(tx, { ...about, eventType: 'escrow.slot_rotten', outcome: 'failed', facts });
    }
    const archiveIds = new Set(outcomes.map(({ archiveId }) => archiveId));
    await keepStandings(tx, { tenantId, at }, await store.listTries(tx, { tenantId, runId }, archiveIds));
  });
  for (const { archiveId, slotId, outcome } of outcomes)
    if (outcome !== 'opens')
      log.error(
        { archiveId, slotId, code: outcome },
        'an escrow slot does not open: the archive cannot be recovered by it',
      );
}

function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
