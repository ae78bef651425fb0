import { newId } from '@holdfast/base';
import { takeoverErrors, type CommitName, type Takeover } from '@holdfast/contract';
import { openTakeoverProof, takeoverProofLifeMs, type TakeoverClaim, type TakeoverProof } from '@holdfast/trust';
import type { TxContext } from '../../platform/context.ts';
import { sha256 } from '../../platform/digest.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { findDevice } from '../devices/index.ts';
import { appendKeyLogLeaf } from '../keylog/index.ts';
import { expectEntitled, type Entitled } from './entitlement.ts';
import * as store from './store.ts';

/** An archive as it stands when it is handed on. */
export type ArchiveToHandOn = {
  readonly archiveId: string;
  readonly deviceId: string;
  readonly head: CommitName | null;
  readonly keyring: { readonly number: number; readonly sha256: string };
  readonly storedBytes: number;
  readonly modifiedAt: Date;
};

/** What takeovers need of the module that keeps archives, which stands above this one. */
export type HandOnArchives = {
  /** An archive that has a keyring; nobody else changes its row until the transaction ends. */
  readonly lock: (tx: TenantTx, tenantId: string, archiveId: string) => Promise<ArchiveToHandOn | undefined>;
  readonly hasArchive: (tx: TenantTx, tenantId: string, deviceId: string) => Promise<boolean>;
  /** Makes it another device's, whose next writer is the one with this key, and ends the session that is open. */
  readonly handOn: (tx: TenantTx, next: HandingOn) => Promise<void>;
};

/** Who has an archive from now on. */
export type HandingOn = {
  readonly tenantId: string;
  readonly archiveId: string;
  readonly deviceId: string;
  /** Ed25519, base64url. */
  readonly writerKey: string;
  readonly at: Date;
};

/** What takeovers need besides a transaction. */
export type TakeoverDeps = { readonly installationId: string; readonly archives: HandOnArchives };

/** How long a takeover may take from its proof to its end. */
const COMPLETE_WITHIN_MS = 24 * 3_600_000;
/** Takeovers of one archive that one device may begin in a day: each is a leaf that all devices of the tenant follow. */
const MAX_BEGUN_A_DAY = 32;
const DAY_MS = 24 * 3_600_000;
/** A proof is dated by the server's clock as its maker knows it. */
const CLOCK_SLACK_MS = 5 * 60_000;

/**
 * Begins a takeover: the device that asks has proved that it may take an archive over, and may read it.
 *
 * Sent again by the same device it is the same takeover, done or not.
 * @throws takeover.proof_invalid, takeover.proof_refused, takeover.proof_expired, takeover.proof_used, takeover.has_archive,
 * takeover.too_many
 */
export async function beginTakeover(ctx: TxContext, deps: TakeoverDeps, proof: TakeoverProof): Promise<Takeover> {
  const { tx, tenantId, principal, now } = ctx;
  const claim = read(proof);
  await expectForUs(ctx, deps, claim);
  const { signerKey, proofId } = claim;
  const used = await store.findByProof(tx, { tenantId, signerKey, proofId });
  if (used) return takeUp(ctx, deps, { used, proof });
  const expiresAtMs = Date.parse(claim.expiresAt);
  if (expiresAtMs <= now.getTime()) throw takeoverErrors.proof_expired({ expiresAt: claim.expiresAt });
  // One that is worth something for longer than its kind may be was not made by us.
  if (expiresAtMs > now.getTime() + takeoverProofLifeMs[claim.kind] + CLOCK_SLACK_MS)
    throw takeoverErrors.proof_refused({ field: 'expiresAt' });
  const entitled = await expectEntitled(tx, { tenantId, claim, archives: deps.archives, now });
  if (await deps.archives.hasArchive(tx, tenantId, principal.principalId)) throw takeoverErrors.has_archive();
  await expectNotTooMany(ctx, entitled.archive);
  const row = {
    tenant_id: tenantId,
    takeover_id: newId<'takeover'>(now.getTime()),
    archive_id: entitled.archive.archiveId,
    old_device_id: entitled.device.device_id,
    new_device_id: principal.principalId,
    proof: JSON.stringify({ text: proof.text, signature: proof.signature }),
    signer_key: signerKey,
    proof_id: proofId,
    begun_at: now,
    expires_at: new Date(now.getTime() + COMPLETE_WITHIN_MS),
  };
  if (!(await store.insertTakeover(tx, row))) throw takeoverErrors.proof_used();
  await tell(ctx, { ...row, completed_at: null }, { step: 'begun', claim, writerKey: null });
  return describe({ ...row, completed_at: null }, claim, entitled);
}

/** Counts while the archive's row is locked: no two count at once. @throws takeover.too_many */
async function expectNotTooMany({ tx, tenantId, principal, now }: TxContext, { archiveId }: ArchiveToHandOn) {
  const of = { tenantId, archiveId, deviceId: principal.principalId };
  const begun = await store.countBegun(tx, of, new Date(now.getTime() - DAY_MS));
  if (begun >= MAX_BEGUN_A_DAY) throw takeoverErrors.too_many();
}

/** The takeover that this proof began before; the same device may go on with it, and nobody begins another by it. */
async function takeUp(
  ctx: TxContext,
  deps: TakeoverDeps,
  { used, proof }: { readonly used: store.TakeoverRow; readonly proof: TakeoverProof },
): Promise<Takeover> {
  const { tx, tenantId, principal } = ctx;
  const claim = claimOf(used);
  const archive = await deps.archives.lock(tx, tenantId, used.archive_id);
  const isStillSo = archive?.deviceId === (used.completed_at ? used.new_device_id : used.old_device_id);
  const isOurs = used.new_device_id === principal.principalId && isSame(used, proof);
  if (!archive || !isOurs || !isStillSo) throw takeoverErrors.proof_used();
  if (!used.completed_at && used.expires_at <= ctx.now) throw takeoverErrors.proof_expired();
  const device = await findDevice(tx, tenantId, used.old_device_id);
  if (!device) throw takeoverErrors.proof_used();
  await ctx.audit({ eventType: 'archive.takeover_resumed', target: { kind: 'archive', id: used.archive_id } });
  return describe(used, claim, { archive, device });
}

/**
 * Takes the archive over: from the end of this transaction on it is the device's that asks, and the old one is refused.
 *
 * What entitled to it is judged again. Done again it changes nothing.
 * @throws takeover.not_begun, takeover.proof_refused, takeover.has_archive, takeover.keyring_changed
 */
export async function completeTakeover(
  ctx: TxContext,
  deps: TakeoverDeps,
  asked: { readonly takeoverUid: string; readonly writerKey: string; readonly keyringSha256: string },
): Promise<Takeover> {
  const { tx, tenantId, principal, now: at } = ctx;
  const { takeoverUid: takeoverId, writerKey, keyringSha256 } = asked;
  const { principalId: deviceId } = principal;
  const row = await store.findTakeover(tx, { tenantId, newDeviceId: deviceId, takeoverId });
  if (!row) throw takeoverErrors.not_begun();
  if (row.completed_at) return takeUp(ctx, deps, { used: row, proof: proofIn(row) });
  if (row.expires_at <= at) throw takeoverErrors.not_begun();
  const claim = claimOf(row);
  const entitled = await expectEntitled(tx, { tenantId, claim, archives: deps.archives, now: at });
  const { archive } = entitled;
  if (archive.archiveId !== row.archive_id || archive.deviceId !== row.old_device_id)
    throw takeoverErrors.proof_refused();
  if (archive.keyring.sha256 !== keyringSha256) throw takeoverErrors.keyring_changed();
  if (await deps.archives.hasArchive(tx, tenantId, deviceId)) throw takeoverErrors.has_archive();
  await deps.archives.handOn(tx, { tenantId, archiveId: archive.archiveId, deviceId, writerKey, at });
  await store.setCompleted(tx, { tenantId, takeoverId, at });
  const done = { ...row, completed_at: at };
  await tell(ctx, done, { step: 'done', claim, writerKey });
  return describe(done, claim, entitled);
}

function read(proof: TakeoverProof): TakeoverClaim {
  try {
    return openTakeoverProof(proof);
  } catch (error) {
    throw takeoverErrors.proof_invalid({}, error);
  }
}

/** @throws takeover.proof_refused for another installation, tenant or key than that of the device that asks */
async function expectForUs({ tx, tenantId, principal }: TxContext, deps: TakeoverDeps, claim: TakeoverClaim) {
  const own = await findDevice(tx, tenantId, principal.principalId);
  const isHere = claim.installationId === deps.installationId && claim.tenantUid === tenantId;
  if (!isHere || claim.newDeviceKey !== own?.public_jwk.x) throw takeoverErrors.proof_refused();
}

/** Writes the step down: in the audit log, and last in the key log, where all whom it concerns see it. */
async function tell(
  ctx: TxContext,
  row: store.TakeoverRow,
  {
    step,
    claim,
    writerKey,
  }: { readonly step: 'begun' | 'done'; readonly claim: TakeoverClaim; readonly writerKey: string | null },
): Promise<void> {
  const { archive_id: archiveId, old_device_id: deviceUid, new_device_id: newDeviceUid } = row;
  const proofSha256 = sha256(proofIn(row).text).toString('hex');
  const { kind: proof, signerKey, newDeviceKey } = claim;
  await ctx.audit({
    eventType: step === 'begun' ? 'archive.takeover_begun' : 'archive.taken_over',
    target: { kind: 'archive', id: archiveId },
    before: { deviceUid },
    after: { deviceUid: newDeviceUid },
    facts: { takeoverUid: row.takeover_id, proof, signerKey, proofSha256 },
  });
  const said = { archiveId, deviceUid, newDeviceUid, newDeviceKey, proof, proofSha256, writerKey };
  await appendKeyLogLeaf(ctx.tx, { tenantId: ctx.tenantId, at: ctx.now }, { kind: 'archive_takeover', step, ...said });
}

function proofIn({ proof }: store.TakeoverRow): TakeoverProof {
  return JSON.parse(proof) as TakeoverProof;
}

function claimOf(row: store.TakeoverRow): TakeoverClaim {
  return openTakeoverProof(proofIn(row));
}

function isSame(row: store.TakeoverRow, { text, signature }: TakeoverProof): boolean {
  const kept = proofIn(row);
  return kept.text === text && kept.signature === signature;
}

function describe(row: store.TakeoverRow, { kind: proof }: TakeoverClaim, { archive, device }: Entitled): Takeover {
  return {
    takeoverUid: row.takeover_id,
    archiveId: archive.archiveId,
    proof,
    device: {
      deviceUid: device.device_id,
      name: device.name,
      os: device.os,
      lastSeenAt: device.last_seen_at?.toISOString() ?? null,
    },
    head: archive.head,
    keyring: archive.keyring,
    storedBytes: archive.storedBytes,
    modifiedAt: archive.modifiedAt.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    completedAt: row.completed_at?.toISOString() ?? null,
  };
}
