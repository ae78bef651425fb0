import { type Clock, defineErrors } from '@holdfast/base';
import {
  openCheckpoint,
  parseVerifierKey,
  proveConsistency,
  readTreeState,
  rootOf,
  signCheckpoint,
  verifyConsistency,
  type HashSource,
  type TreeState,
} from '@holdfast/trust';
import type { Kms } from '../../platform/kms.ts';
import type { Log } from '../../platform/log.ts';
import type { Database, TenantTx } from '../../platform/postgres.ts';
import { auditOrigin, openLogKey } from './log-keys.ts';
import * as store from './store.ts';

/** What signing heads needs. */
export type SigningDeps = {
  readonly database: Database;
  readonly kms: Kms;
  readonly installationId: string;
  readonly clock: Clock;
  readonly log: Log;
};

/** Failures of signing a log's head. */
export const signingErrors = defineErrors('audit', {
  inconsistent: ['corrupt', 'The audit log no longer continues the head that was signed before'],
  no_log_key: ['corrupt', 'The tenant has no key for its log'],
});

/** Seconds between two signatures of a log that grows. */
export const SIGN_EVERY_SECONDS = 60;

/** Signs the heads of grown logs every `SIGN_EVERY_SECONDS` until the signal aborts; then the promise resolves. */
export async function keepSigningHeads(deps: SigningDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await signHeads(deps).catch((err: unknown) => deps.log.error({ err }, 'audit heads could not be signed'));
    await deps.clock.sleep(SIGN_EVERY_SECONDS * 1000, signal).catch(() => undefined);
  }
}

/**
 * Signs the head of every log that has grown since it was last signed; returns how many were.
 *
 * A log that does not continue its last signed head is not signed again: that is reported, and the others go on.
 */
export async function signHeads(deps: SigningDeps): Promise<number> {
  const tenantIds = await deps.database.withoutTenant((tx) => store.listTenantsToSign(tx));
  let signed = 0;
  for (const tenantId of tenantIds) {
    try {
      await signHead(deps, tenantId);
      signed++;
    } catch (err) {
      deps.log.error({ err }, 'the head of an audit log was not signed');
    }
  }
  return signed;
}

/** Signs one tenant's head. @throws audit.inconsistent, audit.no_log_key */
export async function signHead(deps: SigningDeps, tenantId: string): Promise<void> {
  const { database, kms, clock } = deps;
  const origin = auditOrigin(deps.installationId, tenantId);
  const found = await database.withTenant(tenantId, (tx) => readHead(tx, tenantId, origin));
  if (!found) return;
  const signer = await openLogKey(kms, origin, { tenantId, wrappedPrivateKey: found.wrappedPrivateKey });
  const { head } = found;
  const note = signCheckpoint({ origin, treeSize: head.size, root: rootOf(head) }, [signer]);
  const row = { tenant_id: tenantId, tree_size: head.size, note, verifier: found.verifier };
  await database.withTenant(tenantId, (tx) => store.insertSignedHead(tx, { ...row, signed_at: new Date(clock.now()) }));
}

async function readHead(tx: TenantTx, tenantId: string, origin: string) {
  const row = await store.findHead(tx, tenantId);
  if (!row) return undefined;
  const head: TreeState = { size: row.tree_size, peaks: row.peaks };
  const [last] = await store.listSignedHeads(tx, tenantId, 1);
  if (last) await refuseInconsistent(nodeSource(tx, tenantId), head, openHead(last, origin));
  const key = await store.findLogKey(tx, tenantId);
  if (!key) throw signingErrors.no_log_key();
  return { head, verifier: key.verifier, wrappedPrivateKey: key.wrapped_private_key };
}

function openHead(row: { note: string; verifier: string }, origin: string) {
  return openCheckpoint(row.note, origin, [parseVerifierKey(row.verifier)]);
}

/** The tree over a tenant's entries as the database keeps it. */
export function nodeSource(tx: TenantTx, tenantId: string): HashSource {
  return async (nodes) => {
    const rows = await store.findNodes(tx, tenantId, nodes);
    const hashes = new Map(rows.map((row) => [`${row.level}/${row.node_index}`, row.hash]));
    return nodes.map(({ level, index }) => {
      const hash = hashes.get(`${level}/${index}`);
      if (!hash) throw signingErrors.inconsistent({ missingNode: `${level}/${index}` });
      return hash;
    });
  };
}

async function refuseInconsistent(
  source: HashSource,
  head: TreeState,
  last: { readonly treeSize: number; readonly root: Uint8Array },
): Promise<void> {
  if (head.size < last.treeSize) throw signingErrors.inconsistent({ from: last.treeSize, to: head.size });
  const stored = rootOf(await readTreeState(source, head.size));
  const proof = await proveConsistency(source, last.treeSize, head.size);
  const toRoot = rootOf(head);
  const claim = { fromSize: last.treeSize, fromRoot: last.root, toSize: head.size, toRoot };
  const continues = verifyConsistency(claim, proof) && Buffer.compare(stored, toRoot) === 0;
  if (!continues) throw signingErrors.inconsistent({ from: last.treeSize, to: head.size });
}
