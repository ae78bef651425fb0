import { sql } from 'kysely';
import type { TenantTx } from '../../platform/postgres.ts';
import {
  bigint,
  bytea,
  instant,
  integer,
  nullable,
  text,
  uuid,
  type Columns,
  type Rows,
} from '../../platform/table.ts';

/** Tables owned by this module. No other module reads or writes them. */
export const tables = {
  release_requests: {
    tenant_id: uuid,
    request_sha256: text,
    archive_id: uuid,
    requester_kind: text,
    requester_uid: uuid,
    purpose: text,
    request: text,
    signature: text,
    expires_at: instant,
    asked_at: instant,
  },
  release_approvals: {
    tenant_id: uuid,
    document_sha256: text,
    user_id: uuid,
    approval: text,
    signature: text,
    approved_at: instant,
  },
  release_rule_changes: {
    tenant_id: uuid,
    change_sha256: text,
    number: integer,
    change: text,
    proposed_at: instant,
  },
  release_outcomes: {
    tenant_id: uuid,
    document_sha256: text,
    outcome: text,
    log_index: bigint,
    code: nullable(text),
    sealed: nullable(bytea),
    at: instant,
  },
  release_refusals: {
    tenant_id: uuid,
    log_index: bigint,
    by_kind: text,
    by_uid: uuid,
    document_sha256: text,
    code: text,
    at: instant,
  },
  release_waits: { tenant_id: uuid, document_sha256: text, since_at: instant },
  archive_owners: { tenant_id: uuid, archive_id: uuid, signature: text, stated_at: instant },
} as const satisfies Readonly<Record<string, Columns>>;

/** Archives and users; other modules' tables, read only. */
type Others = {
  archives: { tenant_id: string; archive_id: string; device_id: string };
  devices: { tenant_id: string; device_id: string; name: string };
  users: { tenant_id: string; user_id: string; username: string };
};
type Tables = Rows<typeof tables> & Others;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** A request as it was kept. */
export type RequestRow = NonNullable<Awaited<ReturnType<typeof findRequest>>>;
/** What became of a document. */
export type OutcomeRow = Awaited<ReturnType<typeof listOutcomes>>[number];
/** An approval as it was kept, with its person. */
export type ApprovalRow = Awaited<ReturnType<typeof listApprovals>>[number];

/**
 * Has transactions about a document of a tenant wait for one another: what becomes of it is decided once.
 */
export async function lockDocument(tx: TenantTx, tenantId: string, documentSha256: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(
    hashtextextended('release ' || ${tenantId}::text || ' ' || ${documentSha256}::text, 0))`.execute(db(tx));
}

/** Keeps a request; one that is there stays. */
export async function insertRequest(tx: TenantTx, row: RequestRow): Promise<void> {
  await db(tx)
    .insertInto('release_requests')
    .values(row)
    .onConflict((c) => c.doNothing())
    .execute();
}

/** A request by the hash of its text. */
export function findRequest(tx: TenantTx, tenantId: string, requestSha256: string) {
  return db(tx)
    .selectFrom('release_requests')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('request_sha256', '=', requestSha256)
    .executeTakeFirst();
}

/** The newest requests: all, or one requester's. */
export function listRequests(
  tx: TenantTx,
  filter: { readonly tenantId: string; readonly requesterUid?: string | undefined; readonly limit: number },
) {
  const { requesterUid } = filter;
  return db(tx)
    .selectFrom('release_requests')
    .selectAll()
    .where('tenant_id', '=', filter.tenantId)
    .$if(requesterUid !== undefined, (query) => query.where('requester_uid', '=', requesterUid ?? ''))
    .orderBy('asked_at', 'desc')
    .limit(filter.limit)
    .execute();
}

/** How many requests and refusals of somebody there were since an instant. */
export async function countSince(
  tx: TenantTx,
  { tenantId, uid, since }: { readonly tenantId: string; readonly uid: string; readonly since: Date },
): Promise<{ readonly requests: number; readonly refusals: number }> {
  const requests = await db(tx)
    .selectFrom('release_requests')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('tenant_id', '=', tenantId)
    .where('requester_uid', '=', uid)
    .where('asked_at', '>', since)
    .executeTakeFirstOrThrow();
  const refusals = await db(tx)
    .selectFrom('release_refusals')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('tenant_id', '=', tenantId)
    .where('by_uid', '=', uid)
    .where('at', '>', since)
    .executeTakeFirstOrThrow();
  return { requests: requests.count, refusals: refusals.count };
}

/** Keeps an approval; false where the person has approved the document before. */
export async function insertApproval(
  tx: TenantTx,
  row: {
    readonly tenant_id: string;
    readonly document_sha256: string;
    readonly user_id: string;
    readonly approval: string;
    readonly signature: string;
    readonly approved_at: Date;
  },
): Promise<boolean> {
  const result = await db(tx)
    .insertInto('release_approvals')
    .values(row)
    .onConflict((c) => c.doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

/** The approvals of documents, in their order, with who gave them. */
export function listApprovals(tx: TenantTx, tenantId: string, documents: readonly string[]) {
  return db(tx)
    .selectFrom('release_approvals as a')
    .innerJoin('users as u', (join) =>
      join.onRef('u.tenant_id', '=', 'a.tenant_id').onRef('u.user_id', '=', 'a.user_id'),
    )
    .selectAll('a')
    .select('u.username')
    .where('a.tenant_id', '=', tenantId)
    .where('a.document_sha256', 'in', [...documents, ''])
    .orderBy('a.approved_at')
    .execute();
}

/** Keeps a proposed change of the rules; one that is there stays. */
export async function insertRuleChange(
  tx: TenantTx,
  row: {
    readonly tenant_id: string;
    readonly change_sha256: string;
    readonly number: number;
    readonly change: string;
    readonly proposed_at: Date;
  },
): Promise<void> {
  await db(tx)
    .insertInto('release_rule_changes')
    .values(row)
    .onConflict((c) => c.doNothing())
    .execute();
}

/** The newest changes of the rules. */
export function listRuleChanges(tx: TenantTx, tenantId: string, limit: number) {
  return db(tx)
    .selectFrom('release_rule_changes')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .orderBy('proposed_at', 'desc')
    .limit(limit)
    .execute();
}

/** The changes of the rules that stand in the log, and were not refused. */
export function listLoggedChanges(tx: TenantTx, tenantId: string) {
  return db(tx)
    .selectFrom('release_rule_changes as c')
    .innerJoin('release_outcomes as o', (join) =>
      join.onRef('o.tenant_id', '=', 'c.tenant_id').onRef('o.document_sha256', '=', 'c.change_sha256'),
    )
    .select(['c.number', 'c.change_sha256', 'o.log_index'])
    .where('c.tenant_id', '=', tenantId)
    .where('o.outcome', '=', 'logged')
    .where((not) =>
      not.not(
        not.exists((inner) =>
          inner
            .selectFrom('release_outcomes as r')
            .select('r.outcome')
            .whereRef('r.tenant_id', '=', 'c.tenant_id')
            .whereRef('r.document_sha256', '=', 'c.change_sha256')
            .where('r.outcome', '=', 'refused'),
        ),
      ),
    )
    .orderBy('c.number')
    .execute();
}

/** Keeps what became of a document. */
export async function insertOutcome(
  tx: TenantTx,
  row: {
    readonly tenant_id: string;
    readonly document_sha256: string;
    readonly outcome: 'logged' | 'granted' | 'refused';
    readonly log_index: number;
    readonly code?: string;
    readonly sealed?: Uint8Array;
    readonly at: Date;
  },
): Promise<void> {
  const { code = null, sealed, ...rest } = row;
  await db(tx)
    .insertInto('release_outcomes')
    .values({ ...rest, code, sealed: sealed === undefined ? null : Buffer.from(sealed) })
    .execute();
}

/** What became of documents. */
export function listOutcomes(tx: TenantTx, tenantId: string, documents: readonly string[]) {
  return db(tx)
    .selectFrom('release_outcomes')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('document_sha256', 'in', [...documents, ''])
    .execute();
}

/** Keeps since when a release waits at the keystore; what is known stays. */
export async function insertWait(
  tx: TenantTx,
  row: { readonly tenant_id: string; readonly document_sha256: string; readonly since_at: Date },
): Promise<void> {
  await db(tx)
    .insertInto('release_waits')
    .values(row)
    .onConflict((c) => c.doNothing())
    .execute();
}

/** Since when a release waits at the keystore, as it said itself. */
export function findWait(tx: TenantTx, tenantId: string, documentSha256: string) {
  return db(tx)
    .selectFrom('release_waits')
    .select('since_at')
    .where('tenant_id', '=', tenantId)
    .where('document_sha256', '=', documentSha256)
    .executeTakeFirst();
}

/** Keeps that somebody was refused something. */
export async function insertRefusal(
  tx: TenantTx,
  row: {
    readonly tenant_id: string;
    readonly log_index: number;
    readonly by_kind: string;
    readonly by_uid: string;
    readonly document_sha256: string;
    readonly code: string;
    readonly at: Date;
  },
): Promise<void> {
  await db(tx).insertInto('release_refusals').values(row).execute();
}

/** Keeps the statement of whose archive it is; false where it is known. */
export async function insertOwner(
  tx: TenantTx,
  row: {
    readonly tenant_id: string;
    readonly archive_id: string;
    readonly signature: string;
    readonly stated_at: Date;
  },
): Promise<boolean> {
  const result = await db(tx)
    .insertInto('archive_owners')
    .values(row)
    .onConflict((c) => c.doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

/** The newest statement of whose archive it is, and how many there are. */
export async function findOwner(tx: TenantTx, tenantId: string, archiveId: string) {
  const rows = await db(tx)
    .selectFrom('archive_owners')
    .select(['signature', 'stated_at'])
    .where('tenant_id', '=', tenantId)
    .where('archive_id', '=', archiveId)
    .orderBy('stated_at', 'desc')
    .limit(MOST_OWNERS)
    .execute();
  return { signature: rows[0]?.signature, statements: rows.length };
}

/** So many statements of one archive are kept: a writer makes one in its life. */
export const MOST_OWNERS = 1_000;

/** Archives with their computers: by their id, or by the id or the name of the computer. */
export function listArchivesCalled(tx: TenantTx, tenantId: string, name: string) {
  return db(tx)
    .selectFrom('archives as a')
    .innerJoin('devices as d', (join) =>
      join.onRef('d.tenant_id', '=', 'a.tenant_id').onRef('d.device_id', '=', 'a.device_id'),
    )
    .select(['a.archive_id', 'a.device_id', 'd.name'])
    .where('a.tenant_id', '=', tenantId)
    .where((or) =>
      or.or([
        or(sql<string>`a.archive_id::text`, '=', name),
        or(sql<string>`a.device_id::text`, '=', name),
        or('d.name', '=', name),
      ]),
    )
    .limit(2)
    .execute();
}

/** The names of people and computers by their ids. */
export async function namesOf(
  tx: TenantTx,
  tenantId: string,
  uids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (uids.length === 0) return new Map();
  const people = await db(tx)
    .selectFrom('users')
    .select(['user_id as uid', 'username as name'])
    .where('tenant_id', '=', tenantId)
    .where('user_id', 'in', [...uids])
    .execute();
  const computers = await db(tx)
    .selectFrom('devices')
    .select(['device_id as uid', 'name'])
    .where('tenant_id', '=', tenantId)
    .where('device_id', 'in', [...uids])
    .execute();
  return new Map([...people, ...computers].map(({ uid, name }) => [uid, name]));
}

/** How long the key log of each tenant is. Asked without a tenant. */
export async function listKeyLogSizes(tx: TenantTx): Promise<readonly { tenantId: string; treeSize: number }[]> {
  const { rows } = await sql<{
    tenant_id: string;
    tree_size: number;
  }>`select tenant_id, tree_size from key_log_sizes()`.execute(db(tx));
  return rows.map((row) => ({ tenantId: row.tenant_id, treeSize: row.tree_size }));
}
