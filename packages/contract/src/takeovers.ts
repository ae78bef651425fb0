import { defineErrors } from '@holdfast/base';
import { z } from 'zod';
import { deviceErrors } from './devices.ts';
import { defineRoute } from './route.ts';
import { base64UrlBytes, Instant, Sha256Hex } from './shapes.ts';
import { ArchiveId, CommitName } from './storage.ts';

/** Failures of taking another computer's archive over. */
export const takeoverErrors = defineErrors('takeover', {
  proof_invalid: ['invalid', 'What was sent is no proof for taking an archive over'],
  proof_refused: ['forbidden', 'The proof does not let this computer take over an archive'],
  proof_expired: ['conflict', 'The proof for taking an archive over has expired'],
  proof_used: ['conflict', 'The proof for taking an archive over was used before'],
  has_archive: ['conflict', 'This computer has an archive of its own already'],
  too_many: ['exhausted', 'This computer has begun as many takeovers of the archive in a day as it may'],
  not_begun: ['not_found', 'There is no such takeover by this computer, or it was begun too long ago'],
  keyring_changed: ['conflict', 'The archive has another keyring than the one that was read'],
});

/** A takeover, and the archive as it stands: shown to whoever has proved that they may go on with it. */
export const Takeover = z.object({
  takeoverUid: z.uuid(),
  archiveId: ArchiveId,
  proof: z.enum(['hand_over', 'recovery_code', 'approval']),
  /** The computer whose archive it was. */
  device: z.object({
    deviceUid: z.uuid(),
    name: z.string(),
    os: z.string().nullable(),
    lastSeenAt: Instant.nullable(),
  }),
  head: CommitName.nullable(),
  keyring: z.object({ number: z.number().int(), sha256: Sha256Hex }),
  storedBytes: z.number().int(),
  /** When a record last came in. */
  modifiedAt: Instant,
  /** Until then it can be completed. */
  expiresAt: Instant,
  /** Since then the archive is this computer's; null before. */
  completedAt: Instant.nullable(),
});
export type Takeover = z.infer<typeof Takeover>;

const ours = { permission: 'archive.own', principals: ['device'], status: 200, reply: Takeover } as const;

/** Routes of a new computer that goes on with the archive of an old one. */
export const takeoverRoutes = {
  begin: defineRoute({
    ...ours,
    method: 'POST',
    path: '/v1/takeovers',
    summary: "Prove that this device may take another device's archive over; it may read it from then on",
    body: z.strictObject({
      /** Canonical JSON, signed: see `openTakeoverProof` of the package trust. */
      text: z.string().min(1).max(2_048),
      signature: base64UrlBytes(64),
    }),
    maxBodyBytes: 8_192,
    status: 201,
    errors: [
      deviceErrors.deauthorized,
      takeoverErrors.proof_invalid,
      takeoverErrors.proof_refused,
      takeoverErrors.proof_expired,
      takeoverErrors.proof_used,
      takeoverErrors.has_archive,
      takeoverErrors.too_many,
    ],
  }),
  complete: defineRoute({
    ...ours,
    method: 'POST',
    path: '/v1/takeovers/:takeoverUid/complete',
    summary: "Take the archive over: it is this device's from then on, and the old one writes no more",
    params: z.object({ takeoverUid: z.uuid() }),
    body: z.strictObject({
      /** Ed25519: who signs the next keyring and the commits after it. */
      writerKey: base64UrlBytes(32),
      /** Of the newest keyring as it was read: it must still be the newest. */
      keyringSha256: Sha256Hex,
    }),
    errors: [
      deviceErrors.deauthorized,
      takeoverErrors.not_begun,
      takeoverErrors.proof_refused,
      takeoverErrors.has_archive,
      takeoverErrors.keyring_changed,
    ],
  }),
};
