import {
  outlineHash,
  parseKeyLogLeaf,
  parseReleaseApproval,
  parseReleaseRequest,
  rootOf,
  writeKeyLogLeaf,
} from '@holdfast/trust';
import type { z } from 'zod';
import type { TenantTx } from '../platform/postgres.ts';
import { forgetSoon } from './forget.ts';
import { judgeRelease, type ReleaseVerdict } from './judge-release.ts';
import { openKeystoreKey } from './keystore-key.ts';
import { openGrantedRelease } from './open-release.ts';
import { defineOperation, type KeystoreContext } from './operation.ts';
import { innerKeyIdOf } from './read-keyring.ts';
import { ReleaseAnswer, ReleaseAsked } from './release-shapes.ts';
import * as kept from './release-store.ts';
import { expectLogVerifier } from './store.ts';

type Asked = z.output<typeof ReleaseAsked>;

/**
 * Releases keys of an archive to the recipient of a request, or says from when on it does.
 *
 * What was granted lies on the disk before anything is opened. Asked again with the same leaf within a day it answers again,
 * judged anew: the answer may have been lost, and it is sealed to the same recipient.
 * @throws keystore.*, of which each says why; kms.*, escrow.*, slot.*, archive.* where what was granted does not open
 */
export const release = defineOperation({
  request: ReleaseAsked,
  reply: ReleaseAnswer,
  maxBodyBytes: 2_097_152,
  isRepeatable: true,
  async work(context, asked): Promise<z.input<typeof ReleaseAnswer>> {
    const verdict = await context.database.withTenant(asked.tenantUid, (tx) => decide(tx, context, asked));
    if (verdict.status === 'waiting') {
      const since = isoOf(verdict.keep.waiting.sinceMs);
      return { status: 'waiting', since, opensAt: isoOf(verdict.opensAtMs) };
    }
    const { grant } = verdict;
    try {
      const keystoreKey = await openKeystoreKey(context, asked.tenantUid, innerKeyIdOf(grant));
      const sealed = openGrantedRelease(grant, { inner: asked.inner, keystoreKey, random: context.random });
      return { status: 'granted', sealed: Buffer.from(sealed).toString('base64url') };
    } finally {
      asked.inner.fill(0);
      forgetSoon();
    }
  },
});

const isoOf = (ms: number) => new Date(ms).toISOString();

/** Judges by what is kept, and keeps what follows; nobody else of this tenant does so meanwhile. */
async function decide(tx: TenantTx, context: KeystoreContext, asked: Asked): Promise<ReleaseVerdict> {
  const { installationId, clock } = context;
  const { tenantUid: tenantId, request, note, leaf, keyring } = asked;
  await kept.lockTenant(tx, tenantId);
  const logVerifier = await expectLogVerifier(tx, tenantId);
  const followed = await kept.findFollowed(tx, tenantId);
  const known = await findKnown(tx, tenantId, leaf.text);
  const verdict = judgeRelease({
    ...known,
    tenant: { installationId, tenantUid: tenantId },
    nowMs: clock.now(),
    logVerifier,
    kept: { treeSize: followed.size, root: rootOf(followed) },
    isFollowed: true,
    head: { note, consistency: [] },
    leaf,
    request,
    keyring,
  });
  // The head is that which was followed, and kept then.
  if (verdict.status === 'waiting') await kept.insertWaiting(tx, tenantId, verdict.keep.waiting);
  else if (verdict.keep.use) await kept.insertUse(tx, tenantId, verdict.keep.use);
  return verdict;
}

/** What is kept of all that a leaf names; the judge says what is wrong with one that names nothing. */
async function findKnown(tx: TenantTx, tenantId: string, leafText: string) {
  const { publicKeys, requestId, leafHash } = namedBy(leafText);
  return {
    keys: await kept.listKeys(tx, { tenantId, publicKeys, persons: false }),
    rules: await kept.listRules(tx, tenantId),
    used: await kept.listUses(tx, tenantId, requestId),
    waiting: await kept.listWaiting(tx, tenantId, leafHash),
  };
}

function namedBy(leafText: string): { publicKeys: readonly string[]; requestId: string; leafHash: string } {
  try {
    const leaf = parseKeyLogLeaf(leafText);
    if (leaf.kind === 'release') {
      const { requesterKey, requestId } = parseReleaseRequest(leaf.request.text);
      const approverKeys = leaf.approvals.map(({ text }) => parseReleaseApproval(text).approverKey);
      const leafHash = Buffer.from(outlineHash(writeKeyLogLeaf(leaf).outline)).toString('hex');
      return { publicKeys: [requesterKey, ...approverKeys], requestId, leafHash };
    }
  } catch {
    // It is no leaf, which the judge says more precisely.
  }
  return { publicKeys: [], requestId: '', leafHash: '' };
}
