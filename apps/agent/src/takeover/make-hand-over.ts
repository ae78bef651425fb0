/** What the old computer signs and seals for the new one. */
import { createPrivateKey, sign } from 'node:crypto';
import { type Introduction, introductionMessage } from '@holdfast/archive';
import { formatUuid, type Random } from '@holdfast/base';
import { signTakeoverProof, takeoverProofLifeMs } from '@holdfast/trust';
import type { DeviceArchive } from '../archive/device-archive.ts';
import type { Enrollment } from '../cloud/enrollment-store.ts';
import { isRightfulWriter } from '../destinations/take-over.ts';
import { writersOf } from '../keys/archive-keyring.ts';
import { takeoverErrors } from './errors.ts';
import { fingerprintOf, formatHandOver, type HandOverMaking, type HandOverRequest } from './hand-over-documents.ts';

/** A hand-over as its maker is shown it. */
export type MadeHandOver = {
  /** The document: for the new computer alone, and worth something once. */
  readonly document: string;
  /** What the new computer's screen says, too. */
  readonly fingerprint: string;
  readonly expiresAt: string;
};

/**
 * This computer goes on until the archive is taken over, and the new one comes in behind its newest commit then: so many
 * first commits are introduced. At a commit every 15 seconds they last longer than the document.
 */
const introducedCommits = 4_096;

/**
 * Makes the document by which the computer of a request goes on with this one's archive. Nothing changes here, and nobody
 * is told, until it is used.
 *
 * @throws agent_takeover.for_another where the request names another tenant, archive or device;
 * agent_takeover.not_the_writer where another life of this device writes
 */
export function makeHandOver(
  { archive, enrollment }: { readonly archive: DeviceArchive; readonly enrollment: Enrollment },
  request: HandOverRequest,
  { nowMs, random }: { readonly nowMs: number; readonly random: Random },
): MadeHandOver {
  expectMeant(request, enrollment);
  if (!isRightfulWriter(archive.stored) || archive.isOverrun) throw takeoverErrors.not_the_writer();
  const { installationId, tenantUid, deviceUid, deviceKey } = enrollment;
  const key = createPrivateKey({ key: { ...deviceKey }, format: 'jwk' });
  const expiresAt = new Date(nowMs + takeoverProofLifeMs.hand_over).toISOString();
  const claim = {
    kind: 'hand_over',
    installationId,
    tenantUid,
    archiveId: formatUuid(archive.archiveId),
    device: deviceUid,
    newDeviceKey: request.newDeviceKey,
    signerKey: deviceKey.x,
    expiresAt,
    proofId: Buffer.from(random(16)).toString('base64url'),
  } as const;
  const proof = signTakeoverProof(claim, (message) => sign(null, message, key));
  const { ring } = archive.stored.keys;
  const signAsWriter = writerOf(archive);
  const writerKey = new Uint8Array(Buffer.from(request.writerKey, 'base64url'));
  const introductions = introduce(archive, writerKey, signAsWriter);
  const { recipientKey } = request;
  const document = formatHandOver({ proof, ring, introductions }, { recipientKey, signAsWriter, random });
  return { document, fingerprint: fingerprintOf(request), expiresAt };
}

function expectMeant(request: HandOverRequest, { installationId, tenantUid, deviceUid, deviceKey }: Enrollment): void {
  const isHere = request.installationId === installationId && request.tenantUid === tenantUid;
  if (!isHere || request.device !== deviceUid || request.newDeviceKey === deviceKey.x)
    throw takeoverErrors.for_another({ device: request.device, thisDevice: deviceUid });
}

function writerOf({ stored }: DeviceArchive): HandOverMaking['signAsWriter'] {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), stored.keys.signingSeed]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return (message) => new Uint8Array(sign(null, message, key));
}

function introduce(
  { archiveId, index, stored }: DeviceArchive,
  publicKey: Uint8Array,
  signAsWriter: HandOverMaking['signAsWriter'],
): readonly Introduction[] {
  const number = writersOf(stored).at(-1)!.number + 1;
  const next = index.head().number + 1;
  return Array.from({ length: introducedCommits }, (_, place) => {
    const firstCommit = next + place;
    return { firstCommit, signature: signAsWriter(introductionMessage(archiveId, { number, publicKey, firstCommit })) };
  });
}
