/** Whether the key that signed a proof may hand an archive on: judged when a takeover begins, and again when it is done. */
import { takeoverErrors } from '@holdfast/contract';
import type { TakeoverClaim } from '@holdfast/trust';
import type { TenantTx } from '../../platform/postgres.ts';
import { findDevice } from '../devices/index.ts';
import { approvesSince } from '../keylog/index.ts';
import * as store from './store.ts';
import type { ArchiveToHandOn, HandOnArchives } from './take-over.ts';

/** What a proof leads to: the archive, and the device whose it is. */
export type Entitled = {
  readonly archive: ArchiveToHandOn;
  readonly device: NonNullable<Awaited<ReturnType<typeof findDevice>>>;
};

type Judging = {
  readonly tenantId: string;
  readonly claim: TakeoverClaim;
  readonly archives: HandOnArchives;
  readonly now: Date;
};

/** A new key waits so long before it counts. */
const KEY_WAIT_MS = 24 * 3_600_000;

/**
 * The archive that a signed claim may hand on; it stays locked until the transaction ends.
 *
 * What is not there and what may not be is refused in the same words: a proof is no way to ask what exists.
 * @throws takeover.proof_refused
 */
export async function expectEntitled(tx: TenantTx, judging: Judging): Promise<Entitled> {
  const { tenantId, claim, archives } = judging;
  const archiveId = claim.kind === 'recovery_code' ? await archiveOfCode(tx, judging) : claim.archiveId;
  const archive = archiveId === null ? undefined : await archives.lock(tx, tenantId, archiveId);
  const device = archive && (await findDevice(tx, tenantId, archive.deviceId));
  if (!archive || !device) throw refused();
  const isIt = claim.device === device.device_id || (claim.kind === 'recovery_code' && claim.device === device.name);
  if (!isIt) throw refused();
  const isSigners = await signerRules[claim.kind](tx, { ...judging, archive, device });
  if (!isSigners) throw refused();
  return { archive, device };
}

/** Archives whose recovery code it is; a code that was struck is in no newest keyring, which the rule of its kind looks at. */
async function archiveOfCode(tx: TenantTx, { tenantId, claim }: Judging): Promise<string | null> {
  const keyrings = await store.listKeyringsOfKey(tx, tenantId, claim.signerKey);
  const [first] = keyrings;
  // A code is made for one archive: a key in two of them was copied there by somebody else.
  return first && keyrings.every(({ archive_id: other }) => other === first.archive_id) ? first.archive_id : null;
}

type SignerRule = (tx: TenantTx, facts: Judging & Entitled) => Promise<boolean>;

const signerRules: Readonly<Record<TakeoverClaim['kind'], SignerRule>> = {
  /** Only the code that the newest keyring has a slot for: one that was struck opens nothing any more here either. */
  recovery_code: async (tx, { tenantId, claim, archive }) => {
    const keyrings = await store.listKeyringsOfKey(tx, tenantId, claim.signerKey);
    return keyrings.some(({ keyring_sha256: sha256 }) => sha256 === archive.keyring.sha256);
  },
  /** A device that ended, or that may restore nothing, hands nothing on. */
  hand_over: async (_, { claim, device }) =>
    device.state === 'active' && !device.blocked && device.public_jwk.x === claim.signerKey,
  /** A person who may approve, and could for a day: long enough for the leaf of the key to be seen. */
  approval: async (tx, { tenantId, claim, now }) => {
    const since = await approvesSince(tx, tenantId, claim.signerKey);
    return since !== undefined && since.getTime() + KEY_WAIT_MS <= now.getTime();
  },
};

function refused(): Error {
  return takeoverErrors.proof_refused();
}
