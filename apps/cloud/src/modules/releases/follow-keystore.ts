import { CodedError } from '@holdfast/base';
import type { SignedText } from '@holdfast/trust';
import { keystoreErrors } from '../../keystore/errors.ts';
import { keepFollowedHead, showLeaf, underFollowedHead } from '../keylog/index.ts';
import type { ReleaseDeps } from './callers.ts';
import * as store from './store.ts';

type Following = Pick<ReleaseDeps, 'database' | 'kms' | 'installationId' | 'clock' | 'keystore'>;

/** A logged release, as the keystore is asked to open it. */
export type LoggedRelease = {
  readonly tenantId: string;
  readonly logIndex: number;
  readonly request: SignedText;
  readonly keyring: Uint8Array;
  readonly inner: Uint8Array;
};

/** Has the keystore open a release, shown under the head that it has followed to. @throws keystore.*, escrow.*, slot.* */
export function askKeystore(deps: Following, logged: LoggedRelease) {
  const { tenantId, logIndex, request } = logged;
  const [keyring, inner] = [logged.keyring, logged.inner].map((bytes) => Buffer.from(bytes).toString('base64url'));
  return underFollowedHead(deps, tenantId, async ({ treeSize, note }) => {
    const leaf = await deps.database.withTenant(tenantId, (tx) => showLeaf(tx, { tenantId, logIndex, treeSize }));
    return deps.keystore.release({ tenantUid: tenantId, note, leaf, request, keyring: keyring!, inner: inner! });
  });
}

/** How often the keystore is shown what is new: it dates keys and rules by when it sees them. */
const FOLLOW_EVERY_MS = 30_000;

/** Shows the keystore the key logs that have grown, and keeps the heads that it signs, until the signal aborts; then the promise resolves. */
export async function keepFollowing(deps: Following & Pick<ReleaseDeps, 'log'>, signal: AbortSignal): Promise<void> {
  const sizes = new Map<string, number>();
  while (!signal.aborted) {
    await followAll(deps, sizes, signal).catch((err: unknown) =>
      deps.log.warn({ err }, 'the keystore was not shown what is new in key logs'),
    );
    await deps.clock.sleep(FOLLOW_EVERY_MS, signal).catch(() => undefined);
  }
}

async function followAll(
  deps: Following & Pick<ReleaseDeps, 'log'>,
  sizes: Map<string, number>,
  signal: AbortSignal,
): Promise<void> {
  const logs = await deps.database.withoutTenant((tx) => store.listKeyLogSizes(tx));
  for (const { tenantId, treeSize } of logs) {
    if (signal.aborted) return;
    if (sizes.get(tenantId) === treeSize) continue;
    try {
      await keepFollowedHead(deps, tenantId);
      sizes.set(tenantId, treeSize);
    } catch (error) {
      // One that is away is away for all.
      if (error instanceof CodedError && error.kind === 'unavailable') throw error;
      const isUnknown = error instanceof CodedError && error.code === keystoreErrors.tenant_unknown.code;
      // A tenant that was made before there were escrow keys, and gets them later; a log that is wrong: the others go on.
      if (isUnknown) sizes.set(tenantId, treeSize);
      else deps.log.error({ err: error }, 'the keystore did not follow the key log of a tenant');
    }
  }
}

/** What may be otherwise the next time: the release stays as it is. */
const passing: readonly string[] = [
  keystoreErrors.away.code,
  keystoreErrors.busy.code,
  keystoreErrors.fault.code,
  keystoreErrors.not_followed.code,
  keystoreErrors.older_head.code,
  keystoreErrors.forked_log.code,
  // By its clock, which may have seen the key some seconds later.
  keystoreErrors.young_key.code,
  keystoreErrors.young_approver.code,
];

/**
 * Whether a refusal of the keystore says nothing of the release, which is asked for again then.
 *
 * What the keys at rest are kept in refuses (`kms.*` and its kinds) is the operator's to mend, and no judgement.
 */
export function isPassing({ code, kind }: Pick<CodedError, 'code' | 'kind'>): boolean {
  return kind === 'unavailable' || passing.includes(code) || /^kms[._]/.test(code);
}
