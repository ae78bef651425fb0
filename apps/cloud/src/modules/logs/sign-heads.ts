import { type Clock, defineErrors } from '@holdfast/base';
import {
  emptyTree,
  openCheckpoint,
  parseVerifierKey,
  proveConsistency,
  readTreeState,
  rootOf,
  signCheckpoint,
  verifyConsistency,
  type HashSource,
  type TreeState,
  logKeyName,
} from '@holdfast/trust';
import type { Kms } from '../../platform/kms.ts';
import type { Log } from '../../platform/log.ts';
import type { Database, TenantTx } from '../../platform/postgres.ts';
import { openLogKey, originOf } from './log-keys.ts';
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
  inconsistent: ['corrupt', 'A log of the tenant no longer continues the head that was signed before'],
  no_log_key: ['corrupt', 'The tenant has no key for its logs'],
});

/** A head as it was signed. */
export type SignedHead = {
  readonly treeSize: number;
  readonly signedAt: Date;
  readonly note: string;
  /** The key that verifies the note. */
  readonly verifier: string;
};

/** Seconds between two signatures of a log that grows. */
export const SIGN_EVERY_SECONDS = 60;

/** Signs the heads of grown logs every `SIGN_EVERY_SECONDS` until the signal aborts; then the promise resolves. */
export async function keepSigningHeads(deps: SigningDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await signHeads(deps).catch((err: unknown) => deps.log.error({ err }, 'heads of logs could not be signed'));
    await deps.clock.sleep(SIGN_EVERY_SECONDS * 1000, signal).catch(() => undefined);
  }
}

/**
 * Signs the head of every log that has grown since it was last signed; returns how many were.
 *
 * A log that does not continue its last signed head is not signed again: that is reported, and the others go on.
 */
export async function signHeads(deps: SigningDeps): Promise<number> {
  const logs = await deps.database.withoutTenant((tx) => store.listLogsToSign(tx));
  let signed = 0;
  for (const of of logs) {
    try {
      await signHead(deps, of);
      signed++;
    } catch (err) {
      deps.log.error({ err, log: of.log }, 'the head of a log was not signed');
    }
  }
  return signed;
}

/**
 * The newest head of a log, signed: the last one where nothing has been added since, else a new one, which is kept.
 *
 * @throws audit.inconsistent, audit.no_log_key
 */
export async function signHead(deps: Omit<SigningDeps, 'log'>, of: store.TenantLog): Promise<SignedHead> {
  const { database, kms, clock, installationId } = deps;
  const { tenantId, log } = of;
  const origin = originOf(installationId, of);
  const found = await database.withTenant(tenantId, (tx) => readHead(tx, of, origin));
  const { head, last, verifier, wrappedPrivateKey } = found;
  if (last?.tree_size === head.size && last.verifier === verifier)
    return { treeSize: last.tree_size, signedAt: last.signed_at, note: last.note, verifier };
  const signer = await openLogKey(kms, logKeyName(installationId, tenantId), { tenantId, wrappedPrivateKey });
  const note = signCheckpoint({ origin, treeSize: head.size, root: rootOf(head) }, [signer]);
  const signedAt = new Date(clock.now());
  const row = { tenant_id: tenantId, log, tree_size: head.size, note, verifier, signed_at: signedAt };
  await database.withTenant(tenantId, (tx) => store.insertSignedHead(tx, row));
  return { treeSize: head.size, signedAt, note, verifier };
}

async function readHead(tx: TenantTx, of: store.TenantLog, origin: string) {
  // The signed one first: read after it, the head is the same or a later one, whoever appends and signs meanwhile.
  const [last] = await store.listSignedHeads(tx, of, 1);
  const row = await store.findHead(tx, of);
  const head: TreeState = row ? { size: row.tree_size, peaks: row.peaks } : emptyTree;
  if (last) await refuseInconsistent(nodeSource(tx, of), head, openHead(last, origin));
  const key = await store.findLogKey(tx, of.tenantId);
  if (!key) throw signingErrors.no_log_key();
  return { head, last, verifier: key.verifier, wrappedPrivateKey: key.wrapped_private_key };
}

function openHead(row: { note: string; verifier: string }, origin: string) {
  return openCheckpoint(row.note, origin, [parseVerifierKey(row.verifier)]);
}

/** The tree of a log as the database keeps it. */
export function nodeSource(tx: TenantTx, of: store.TenantLog): HashSource {
  return async (nodes) => {
    const rows = await store.findNodes(tx, of, nodes);
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
