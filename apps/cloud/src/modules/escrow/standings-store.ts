import { escrowSlotKind, type EscrowTry } from '@holdfast/trust';
import { sql } from 'kysely';
import type { TenantTx } from '../../platform/postgres.ts';
import type { Rows } from '../../platform/table.ts';
import type { tables } from './store.ts';
import { slotsOfLeaf } from './tries-store.ts';

type Tables = Rows<Pick<typeof tables, 'escrow_standings'>>;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** Takes down which archives have a newest keyring with an escrow slot that was not looked at: it is unproved from now on. */
export async function noteNewKeyrings(
  tx: TenantTx,
  { tenantId, at }: { readonly tenantId: string; readonly at: Date },
): Promise<void> {
  await sql`insert into escrow_standings as known (tenant_id, archive_id, keyring_sha256, unproved_since)
    select a.tenant_id, a.archive_id, a.log_state -> 'keyring' ->> 'sha256', ${at}
    from archives a left join escrow_standings s using (tenant_id, archive_id)
    where a.tenant_id = ${tenantId} and a.log_state -> 'keyring' ->> 'sha256' is distinct from s.keyring_sha256
    and exists (select from key_log_subjects c
      join key_log_leaves l on l.tenant_id = c.tenant_id and l.log_index = c.log_index
      cross join ${slotsOfLeaf} slot
      where c.tenant_id = a.tenant_id and c.subject = 'archive:' || a.archive_id
      and l.keyring_sha256 = a.log_state -> 'keyring' ->> 'sha256' and (slot ->> 'slotKind')::int = ${escrowSlotKind})
    on conflict (tenant_id, archive_id) do update set keyring_sha256 = excluded.keyring_sha256, outcome = null,
      unproved_since = coalesce(known.unproved_since, excluded.unproved_since)`.execute(db(tx));
}

/** The archives whose newest keyring was not tried, and since when they have none that was proved; the longest first. */
export async function listUntried(tx: TenantTx, tenantId: string): Promise<readonly { readonly archiveId: string }[]> {
  const { rows } = await sql<{ archive_id: string }>`
    select s.archive_id from escrow_standings s join archives a using (tenant_id, archive_id)
    where s.tenant_id = ${tenantId} and s.outcome is null and a.log_state -> 'keyring' ->> 'sha256' = s.keyring_sha256
    order by s.unproved_since, s.archive_id`.execute(db(tx));
  return rows.map((row) => ({ archiveId: row.archive_id }));
}

/** Notes that the keyring of a try opens an archive, unless it has a newer one by now: commits are taken again. */
export async function noteProved(
  tx: TenantTx,
  tenantId: string,
  { archiveId, keyringSha256 }: Omit<EscrowTry, 'slotId'>,
): Promise<void> {
  await db(tx)
    .updateTable('escrow_standings')
    .set({ outcome: 'opens', unproved_since: null, told_at: null, refused_code: null })
    .where('tenant_id', '=', tenantId)
    .where('archive_id', '=', archiveId)
    .where('keyring_sha256', '=', keyringSha256)
    .execute();
}

/** Notes that no slot of the keyring of a try opens an archive, and whether commits are refused for that. */
export async function noteFailed(
  tx: TenantTx,
  of: { readonly tenantId: string; readonly at: Date },
  failed: Omit<EscrowTry, 'slotId'> & { readonly code: string; readonly isRefused: boolean },
): Promise<void> {
  const { archiveId, keyringSha256, code, isRefused } = failed;
  await db(tx)
    .updateTable('escrow_standings')
    .set((set) => ({
      outcome: code,
      unproved_since: set.fn.coalesce('unproved_since', set.val(of.at)),
      ...(isRefused && { refused_code: code }),
    }))
    .where('tenant_id', '=', of.tenantId)
    .where('archive_id', '=', archiveId)
    .where('keyring_sha256', '=', keyringSha256)
    .execute();
}

/** An archive whose newest keyring nobody could try for long. */
export type LongUnproved = { readonly archiveId: string; readonly keyringSha256: string; readonly since: Date };

/** Takes out the archives that are untried since before an instant and were not told of yet. */
export async function takeLongUnproved(
  tx: TenantTx,
  { tenantId, at, before }: { readonly tenantId: string; readonly at: Date; readonly before: Date },
): Promise<readonly LongUnproved[]> {
  const { rows } = await sql<{ archive_id: string; keyring_sha256: string; unproved_since: Date }>`
    update escrow_standings s set told_at = ${at} from archives a
    where s.tenant_id = ${tenantId} and s.told_at is null and s.outcome is null and s.unproved_since < ${before}
    and a.tenant_id = s.tenant_id and a.archive_id = s.archive_id
    and a.log_state -> 'keyring' ->> 'sha256' = s.keyring_sha256
    returning s.archive_id, s.keyring_sha256, s.unproved_since`.execute(db(tx));
  return rows.map((row) => ({
    archiveId: row.archive_id,
    keyringSha256: row.keyring_sha256,
    since: row.unproved_since,
  }));
}

/** How many archives have been untried since before an instant, in all tenants; for a login that sees all of them. */
export async function countLongUnproved(tx: TenantTx, before: Date): Promise<number> {
  const { rows } = await sql<{ archives: number }>`
    select count(*)::int as archives from escrow_standings s join archives a using (tenant_id, archive_id)
    where s.outcome is null and s.unproved_since < ${before}
    and a.log_state -> 'keyring' ->> 'sha256' = s.keyring_sha256`.execute(db(tx));
  return rows[0]?.archives ?? 0;
}

/** Why an archive takes no commits where its escrow is asked for; undefined where it does. */
export async function findRefusal(
  tx: TenantTx,
  { tenantId, archiveId }: { readonly tenantId: string; readonly archiveId: string },
): Promise<string | undefined> {
  const row = await db(tx)
    .selectFrom('escrow_standings')
    .select('refused_code')
    .where('tenant_id', '=', tenantId)
    .where('archive_id', '=', archiveId)
    .executeTakeFirst();
  return row?.refused_code ?? undefined;
}
