import { escrowSlotKind, type EscrowTry } from '@holdfast/trust';
import { sql } from 'kysely';
import type { TenantTx } from '../../platform/postgres.ts';
import type { Rows } from '../../platform/table.ts';
import type { tables } from './store.ts';

type Tables = Rows<Pick<typeof tables, 'escrow_runs' | 'escrow_tries'>>;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** The slots of a leaf `l` about a keyring; of any other, which is looked at where the planner thinks so, there are none. */
export const slotsOfLeaf = sql`jsonb_array_elements(
  case l.kind when 'keyring_added' then l.body::jsonb -> 'slots' else '[]'::jsonb end)`;

/** Why slots are tried: once a week all of them, or those of keyrings that have come since. */
export type RunKind = 'weekly' | 'new';

/** A run as it stands. */
export type EscrowRun = {
  readonly runId: string;
  readonly kind: RunKind;
  readonly begunAt: Date;
  readonly logIndex: number | null;
  readonly finishedAt: Date | null;
};

/** The newest run of a kind in a tenant. */
export async function findNewestRun(tx: TenantTx, tenantId: string, kind: RunKind): Promise<EscrowRun | undefined> {
  const row = await db(tx)
    .selectFrom('escrow_runs')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('kind', '=', kind)
    .orderBy('begun_at', 'desc')
    .limit(1)
    .executeTakeFirst();
  return (
    row && { kind, runId: row.run_id, begunAt: row.begun_at, logIndex: row.log_index, finishedAt: row.finished_at }
  );
}

/**
 * The escrow slots of every archive's newest keyring, by rising archive id, as the key log says them: a keyring is said before it
 * takes effect.
 */
export async function listNewestSlots(tx: TenantTx, tenantId: string): Promise<readonly EscrowTry[]> {
  const { rows } = await sql<{ archive_id: string; sha256: string; slot_id: string }>`
    select a.archive_id, l.keyring_sha256 as sha256, slot ->> 'slotId' as slot_id
    from archives a
    join key_log_subjects s on s.tenant_id = a.tenant_id and s.subject = 'archive:' || a.archive_id
    join key_log_leaves l on l.tenant_id = s.tenant_id and l.log_index = s.log_index
      and l.keyring_sha256 = a.log_state -> 'keyring' ->> 'sha256'
    cross join ${slotsOfLeaf} slot
    where a.tenant_id = ${tenantId} and (slot ->> 'slotKind')::int = ${escrowSlotKind}
    order by a.archive_id, slot_id`.execute(db(tx));
  return rows.map((row) => ({ archiveId: row.archive_id, slotId: row.slot_id, keyringSha256: row.sha256 }));
}

/** Begins a run, before its leaf is appended. */
export async function insertRun(
  tx: TenantTx,
  tenantId: string,
  run: Omit<EscrowRun, 'finishedAt'>,
  tries: readonly EscrowTry[],
): Promise<void> {
  const { runId, kind, begunAt, logIndex } = run;
  await db(tx)
    .insertInto('escrow_runs')
    .values({ tenant_id: tenantId, run_id: runId, kind, begun_at: begunAt, log_index: logIndex })
    .execute();
  await sql`insert into escrow_tries (tenant_id, run_id, place, archive_id, slot_id, keyring_sha256)
    select ${tenantId}, ${runId}, t.nth - 1, t.archive_id, t.slot_id, t.sha256
    from unnest(${tries.map((one) => one.archiveId)}::uuid[], ${tries.map((one) => one.slotId)}::text[],
      ${tries.map((one) => one.keyringSha256)}::text[]) with ordinality as t(archive_id, slot_id, sha256, nth)`.execute(
    db(tx),
  );
}

/** A slot of a run, and what became of it; null until it was tried. */
export type PlacedTry = EscrowTry & { readonly place: number; readonly outcome: string | null };

/** All slots of a run by their places, or those of some archives. */
export async function listTries(
  tx: TenantTx,
  { tenantId, runId }: { readonly tenantId: string; readonly runId: string },
  archiveIds?: ReadonlySet<string>,
): Promise<readonly PlacedTry[]> {
  const ofRun = db(tx)
    .selectFrom('escrow_tries')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('run_id', '=', runId)
    .orderBy('place');
  const rows = await (archiveIds ? ofRun.where('archive_id', 'in', [...archiveIds]) : ofRun).execute();
  return rows.map(({ place, archive_id: archiveId, slot_id: slotId, keyring_sha256: keyringSha256, outcome }) => ({
    place,
    archiveId,
    slotId,
    keyringSha256,
    outcome,
  }));
}

/** Notes what became of a try. */
export async function setOutcome(
  tx: TenantTx,
  of: { readonly tenantId: string; readonly runId: string; readonly place: number },
  outcome: string,
): Promise<void> {
  await db(tx)
    .updateTable('escrow_tries')
    .set({ outcome })
    .where('tenant_id', '=', of.tenantId)
    .where('run_id', '=', of.runId)
    .where('place', '=', of.place)
    .execute();
}

/** Ends a run, and forgets those of its kind that began before an instant. */
export async function finishRun(
  tx: TenantTx,
  { tenantId, runId, kind }: { readonly tenantId: string; readonly runId: string; readonly kind: RunKind },
  { at, forgetBefore }: { readonly at: Date; readonly forgetBefore: Date },
): Promise<void> {
  const runs = db(tx).updateTable('escrow_runs').set({ finished_at: at });
  await runs.where('tenant_id', '=', tenantId).where('run_id', '=', runId).execute();
  await db(tx)
    .deleteFrom('escrow_runs')
    .where('tenant_id', '=', tenantId)
    .where('run_id', '!=', runId)
    .where('kind', '=', kind)
    .where('begun_at', '<', forgetBefore)
    .execute();
}

/** How many escrow slots of newest keyrings did not open when they were last tried, in all tenants; for a login that sees all of them. */
export async function countRottenSlots(tx: TenantTx): Promise<number> {
  const { rows } = await sql<{ slots: number }>`
    select count(*)::int as slots from (
      select distinct on (t.archive_id, t.slot_id) t.outcome
      from escrow_tries t join escrow_runs r using (tenant_id, run_id)
      join archives a on a.tenant_id = t.tenant_id and a.archive_id = t.archive_id
        and a.log_state -> 'keyring' ->> 'sha256' = t.keyring_sha256
      where t.outcome is not null order by t.archive_id, t.slot_id, r.begun_at desc) newest
    where outcome <> 'opens'`.execute(db(tx));
  return rows[0]?.slots ?? 0;
}

/** What was tried of an archive because it had a new keyring. */
export type TriedLately = { readonly archiveId: string; readonly runs: number; readonly slots: number };

/** How much was tried of archives because they had a new keyring, since an instant. */
export async function countTriedSince(
  tx: TenantTx,
  { tenantId, since }: { readonly tenantId: string; readonly since: Date },
): Promise<readonly TriedLately[]> {
  const rows = await db(tx)
    .selectFrom('escrow_tries')
    .innerJoin('escrow_runs', (join) =>
      join
        .onRef('escrow_runs.tenant_id', '=', 'escrow_tries.tenant_id')
        .onRef('escrow_runs.run_id', '=', 'escrow_tries.run_id'),
    )
    .select(({ fn }) => [
      'escrow_tries.archive_id',
      fn.count<string>('escrow_tries.run_id').distinct().as('runs'),
      fn.countAll<string>().as('slots'),
    ])
    .where('escrow_runs.tenant_id', '=', tenantId)
    .where('escrow_runs.kind', '=', 'new')
    .where('escrow_runs.begun_at', '>', since)
    .groupBy('escrow_tries.archive_id')
    .execute();
  return rows.map((row) => ({ archiveId: row.archive_id, runs: Number(row.runs), slots: Number(row.slots) }));
}
