/** Releases of keys, as this computer asks for them with its own key. */
import { parseUuid } from '@holdfast/base';
import { formatReadKeyFile } from '@holdfast/trust';
import { z } from 'zod';
import type { AgentParts } from '../agent.ts';
import { cloudErrors } from '../cloud/errors.ts';
import { releaseClientErrors } from '../releases/errors.ts';
import type { ReleaseClient } from '../releases/release-client.ts';

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'it must be the SHA-256 of a request');

/** What `key.release-request` is asked with. */
export const AskRelease = z.strictObject({
  reason: z.string().min(1).max(1_000),
  epochs: z.union([z.literal('all'), z.array(z.number().int().min(0).max(65_535)).min(1).max(1_000)]),
  caseId: z.string().min(1).max(100).nullable(),
  days: z.number().int().min(1).max(59),
  dryRun: z.boolean().optional(),
});

/** What names one release. */
export const OneRelease = z.strictObject({ requestSha256: Sha256 });

/** `key.release-request`: asks for what reads this computer's archive. */
export async function answerReleaseRequest(
  { releases }: AgentParts,
  { dryRun, ...wanted }: z.infer<typeof AskRelease>,
): Promise<object> {
  const client = expectEnrolled(releases);
  if (dryRun) return { dryRun: true, ...(await client.describe()) };
  return client.request({ ...wanted, scope: 'read' });
}

/** `key.release-list`: what this computer asked for. */
export async function answerReleaseList({ releases }: AgentParts): Promise<object> {
  return { releases: await expectEnrolled(releases).list() };
}

/** `key.release-take`: what was released, as the text of a file of read keys. */
export async function answerReleaseTake(
  { releases }: AgentParts,
  { requestSha256 }: z.infer<typeof OneRelease>,
): Promise<object> {
  const { keys, leaf, wipe } = await expectEnrolled(releases).take(requestSha256);
  try {
    if (keys.scope === 'ring') throw releaseClientErrors.is_a_ring();
    const { archiveId } = leaf;
    const readKeys = formatReadKeyFile({ archiveId: parseUuid(archiveId)!, epochs: keys.epochs });
    return { archiveId, epochs: keys.epochs.map(({ epoch }) => epoch), readKeys };
  } finally {
    wipe();
  }
}

/** `key.release-forget`: what was taken is where it is used, and what opens it is removed. */
export function answerReleaseForget({ releases }: AgentParts, { requestSha256 }: z.infer<typeof OneRelease>): object {
  expectEnrolled(releases).forget(requestSha256);
  return { forgotten: requestSha256 };
}

function expectEnrolled(releases: ReleaseClient | undefined): ReleaseClient {
  if (!releases) throw cloudErrors.not_enrolled();
  return releases;
}
