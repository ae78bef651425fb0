import { CodedError, type Clock } from '@holdfast/base';
import { proveConsistency, type Hash } from '@holdfast/trust';
import type { AuditActor, WriteAudit } from '../../platform/context.ts';
import type { Database } from '../../platform/postgres.ts';
import { listSignedHeads, nodeSource } from '../logs/index.ts';
import { askWitness, type AskingWitnesses } from './ask-witness.ts';
import { witnessErrors } from './errors.ts';
import * as store from './store.ts';
import type { Witness } from './witness.ts';

/** What submitting heads needs. */
export type WitnessDeps = {
  readonly database: Database;
  readonly clock: Clock;
  readonly writeAudit: WriteAudit;
};

/** Who records what a witness has seen. */
const server: AuditActor = { kind: 'system', id: 'witnesses', name: 'the server' };

/** What a witness may say before it is not believed: another node of this server may submit heads at the same time. */
const MOST_ANSWERS = 5;

/** The head of a log as it was signed last. */
type Signed = { readonly treeSize: number; readonly note: string };

/**
 * Has a witness cosign the newest signed head of a tenant's key log, and keeps the cosignature; without effect where it has.
 *
 * Two nodes may do so at once: each head is submitted after it was kept, the witness says which one it has, and a cosignature
 * is kept once. @throws witness.* as `askWitness` does, and witness.set_back; what is corrupt was kept first
 */
export async function witnessHead(
  deps: WitnessDeps,
  asking: AskingWitnesses,
  { tenantId, witness }: { readonly tenantId: string; readonly witness: Witness },
): Promise<void> {
  try {
    await submit(deps, asking, { tenantId, witness });
  } catch (error) {
    if (error instanceof CodedError) await keepFault(deps, error, { tenantId, witness });
    throw error;
  }
}

async function submit(
  { database, clock }: WitnessDeps,
  asking: AskingWitnesses,
  { tenantId, witness }: { readonly tenantId: string; readonly witness: Witness },
): Promise<void> {
  const of = { tenantId, witness };
  let { head, oldSize } = await readState(database, of);
  for (let answers = 0; answers < MOST_ANSWERS; answers++) {
    if (!head || head.treeSize === 0) return;
    const proof = await prove(database, tenantId, { from: oldSize, to: head.treeSize });
    const answer = await askWitness(witness, { ...head, oldSize, proof }, asking);
    if (answer.outcome === 'cosigned') {
      const { cosignedAt: cosigned_at, line } = answer.cosignature;
      const received_at = new Date(clock.now());
      const row = {
        tenant_id: tenantId,
        witness: witness.keyText,
        tree_size: head.treeSize,
        cosigned_at,
        line,
        received_at,
      };
      await database.withTenant(tenantId, (tx) => store.insertCosignature(tx, row));
      return;
    }
    const { witnessSize } = answer;
    const about = { witness: witness.key.name, treeSize: head.treeSize, witnessSize };
    // Another node may have signed a longer head meanwhile; it was kept before it was submitted.
    if (witnessSize > head.treeSize) ({ head } = await readState(database, of));
    if (!head || witnessSize > head.treeSize) throw witnessErrors.set_back(about);
    if (witnessSize === oldSize && witnessSize === head.treeSize) throw witnessErrors.forked(about);
    oldSize = witnessSize;
  }
  throw witnessErrors.garbled({ witness: witness.key.name, problem: 'it goes on to name other sizes' });
}

/** The newest signed head, and the size of the one that the witness is known to have cosigned. */
async function readState(
  database: Database,
  { tenantId, witness }: { readonly tenantId: string; readonly witness: Witness },
): Promise<{ head: Signed | undefined; oldSize: number }> {
  return database.withTenant(tenantId, async (tx) => {
    const cosigned = await store.findNewestCosignature(tx, tenantId, witness.keyText);
    const [row] = await listSignedHeads(tx, { tenantId, log: 'key' }, 1);
    return { head: row && { treeSize: row.tree_size, note: row.note }, oldSize: cosigned?.tree_size ?? 0 };
  });
}

async function prove(
  database: Database,
  tenantId: string,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<readonly Hash[]> {
  if (from === 0 || from === to) return [];
  return database.withTenant(tenantId, (tx) => proveConsistency(nodeSource(tx, { tenantId, log: 'key' }), from, to));
}

/** Keeps that a witness has seen another log than there is here, for good, and says it in the tenant's audit log, once. */
async function keepFault(
  { database, clock, writeAudit }: WitnessDeps,
  error: CodedError,
  { tenantId, witness }: { readonly tenantId: string; readonly witness: Witness },
): Promise<void> {
  if (error.code !== witnessErrors.set_back.code && error.code !== witnessErrors.forked.code) return;
  const fault = error.code === witnessErrors.set_back.code ? 'set_back' : 'forked';
  const [treeSize, witnessSize] = [Number(error.details['treeSize'] ?? 0), Number(error.details['witnessSize'] ?? 0)];
  const at = new Date(clock.now());
  await database.withTenant(tenantId, async (tx) => {
    const row = {
      tenant_id: tenantId,
      witness: witness.keyText,
      fault,
      witness_size: witnessSize,
      tree_size: treeSize,
    };
    if (!(await store.insertFault(tx, { ...row, found_at: at }))) return;
    const facts = { witness: witness.keyText, fault, treeSize, witnessSize };
    await writeAudit(tx, {
      tenantId,
      at,
      actor: server,
      outcome: 'failed',
      eventType: 'key_log.witness_contradicted',
      facts,
    });
  });
}
