import { CodedError, type Clock } from '@holdfast/base';
import {
  isAbout,
  proveConsistency,
  proveInclusion,
  subject,
  type Hash,
  type HashSource,
  type SignedText,
} from '@holdfast/trust';
import { keystoreErrors } from '../../keystore/errors.ts';
import { releaseShapeBounds } from '../../keystore/release-shapes.ts';
import { findLeafText, listOutlines } from '../keylog/index.ts';
import { nodeSource, signHead } from '../logs/index.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import type { ReleaseDeps } from './callers.ts';
import * as store from './store.ts';

type Following = Pick<ReleaseDeps, 'database' | 'kms' | 'installationId' | 'clock' | 'keystore'>;

/** The head that the keystore has followed to. */
type Followed = { readonly treeSize: number; readonly note: string };

/** A log that grows meanwhile is followed again. */
const TRIES = 5;

/** Shows the keystore all of a tenant's key log that is new to it; the head that it has followed to. @throws keystore.* */
export async function followLog(deps: Following, tenantId: string): Promise<Followed> {
  const { treeSize, note } = await signHead(deps, { tenantId, log: 'key' });
  let { treeSize: fromSize } = await deps.keystore.followed({ tenantUid: tenantId });
  while (fromSize < treeSize) {
    const piece = await deps.database.withTenant(tenantId, (tx) => readPiece(tx, { tenantId, fromSize, treeSize }));
    const followed = await deps.keystore.follow({
      tenantUid: tenantId,
      fromSize,
      head: { note, consistency: written(piece.consistency) },
      outlines: written(piece.outlines),
      texts: piece.texts,
    });
    if (followed.treeSize <= fromSize) throw keystoreErrors.not_followed({ treeSize: followed.treeSize });
    fromSize = followed.treeSize;
  }
  return { treeSize, note };
}

/** The next entries of a log, with the texts about the keystore, and the proof that the head goes on from them. */
async function readPiece(
  tx: TenantTx,
  { tenantId, fromSize, treeSize }: { readonly tenantId: string; readonly fromSize: number; readonly treeSize: number },
) {
  const { outlines: most, followedText } = releaseShapeBounds;
  const limit = Math.min(most, treeSize - fromSize);
  const rows = await listOutlines(tx, { tenantId, from: fromSize, limit, subjects: [subject.keystore] });
  const texts: { logIndex: number; text: string }[] = [];
  const outlines: Uint8Array[] = [];
  let characters = 0;
  for (const { outline, body } of rows) {
    const isFor = body !== undefined && isAbout(outline, [subject.keystore]);
    if (isFor) characters += body.length;
    if (characters > followedText && outlines.length > 0) break;
    if (isFor) texts.push({ logIndex: fromSize + outlines.length, text: body });
    outlines.push(outline);
  }
  const source: HashSource = nodeSource(tx, { tenantId, log: 'key' });
  const consistency = await proveConsistency(source, fromSize + outlines.length, treeSize);
  return { outlines, texts, consistency };
}

/** A logged release, as the keystore is asked to open it. */
export type LoggedRelease = {
  readonly tenantId: string;
  readonly logIndex: number;
  readonly request: SignedText;
  readonly keyring: Uint8Array;
  readonly inner: Uint8Array;
};

/** Has the keystore open a release, shown under the head that it has followed to. @throws keystore.*, escrow.*, slot.* */
export async function askKeystore(deps: Following, logged: LoggedRelease) {
  const { tenantId, logIndex, request, keyring, inner } = logged;
  for (let tries = 1; ; tries++) {
    try {
      const { treeSize, note } = await followLog(deps, tenantId);
      const leaf = await showLeaf(deps, { tenantId, logIndex, treeSize });
      const sealed = { keyring: base64Url(keyring), inner: base64Url(inner) };
      return await deps.keystore.release({ tenantUid: tenantId, note, leaf, request, ...sealed });
    } catch (error) {
      if (tries === TRIES || !(error instanceof CodedError) || !isOvertaken(error)) throw error;
    }
  }
}

/** Another process followed further meanwhile. */
function isOvertaken({ code }: CodedError): boolean {
  return [keystoreErrors.older_head, keystoreErrors.not_followed, keystoreErrors.forked_log].some(
    (maker) => maker.code === code,
  );
}

/** The text of a leaf and the proof that it stands in the log of a size. */
export async function showLeaf(
  { database }: Pick<ReleaseDeps, 'database'>,
  of: { readonly tenantId: string; readonly logIndex: number; readonly treeSize: number },
) {
  const { tenantId, logIndex, treeSize } = of;
  return database.withTenant(tenantId, async (tx) => {
    const text = await findLeafText(tx, tenantId, logIndex);
    if (text === undefined) throw new Error('the leaf of a release is gone');
    const inclusion = await proveInclusion(nodeSource(tx, { tenantId, log: 'key' }), logIndex, treeSize);
    return { text, logIndex, inclusion: written(inclusion) };
  });
}

/** How often the keystore is shown what is new: it dates keys and rules by when it sees them. */
const FOLLOW_EVERY_MS = 30_000;

/** Shows the keystore the key logs that have grown, until the signal aborts; then the promise resolves. */
export async function keepFollowing(
  deps: Following & Pick<ReleaseDeps, 'log'> & { readonly clock: Clock },
  signal: AbortSignal,
): Promise<void> {
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
      await followLog(deps, tenantId);
      sizes.set(tenantId, treeSize);
    } catch (error) {
      // A tenant without keys there, or a log that is wrong: the others go on. One that is away is away for all.
      if (error instanceof CodedError && error.kind === 'unavailable') throw error;
      if (error instanceof CodedError && error.code === keystoreErrors.tenant_unknown.code)
        sizes.set(tenantId, treeSize);
      else deps.log.error({ err: error }, 'the keystore did not follow the key log of a tenant');
    }
  }
}

function written(bytes: readonly (Uint8Array | Hash)[]): string[] {
  return bytes.map(base64Url);
}

function base64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
