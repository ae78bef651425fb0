import { sql } from 'kysely';
import type { TenantTx } from '../../platform/postgres.ts';
import { bigint, bytea, generated, nullable, text, uuid, type Columns, type Rows } from '../../platform/table.ts';

/** Tables owned by this module. No other module reads or writes them. */
export const tables = {
  key_log_leaves: {
    tenant_id: uuid,
    /** Set by the database. */
    log_index: generated(bigint),
    body: text,
    kind: generated(text),
    outline: bytea,
    /** Of leaves about a keyring. */
    keyring_sha256: generated(nullable(text)),
  },
  key_log_subjects: { tenant_id: uuid, subject: text, log_index: bigint },
  key_log_followed_heads: { tenant_id: uuid, tree_size: bigint, note: text },
  key_log_daily_heads: { tenant_id: uuid, day: text, heads: text },
} as const satisfies Readonly<Record<string, Columns>>;

/** Where archives lie and what their newest commits are; another module's table, read only. */
type Archives = {
  archives: {
    tenant_id: string;
    archive_id: string;
    device_id: string;
    log_state: { readonly head?: { readonly number: number; readonly sha256: string } };
  };
};
type Tables = Rows<typeof tables> & Archives;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/**
 * Adds a leaf and says its place; the log's head is locked until the transaction ends.
 *
 * One statement: with every further one the others would wait longer.
 */
export async function insertLeaf(
  tx: TenantTx,
  row: { tenant_id: string; body: string; outline: Uint8Array },
  subjects: readonly [string, ...string[]],
): Promise<number> {
  const { rows } = await sql<{ log_index: number }>`
    with placed as (
      insert into key_log_leaves (tenant_id, body, outline)
      values (${row.tenant_id}, ${row.body}, ${Buffer.from(row.outline)}) returning tenant_id, log_index)
    insert into key_log_subjects (tenant_id, subject, log_index)
    select p.tenant_id, s.subject, p.log_index from placed p, unnest(${[...subjects]}::text[]) as s(subject)
    returning log_index`.execute(db(tx));
  return rows[0]!.log_index;
}

/** Leaves from a place on, in their order; those about one subject where it is named. */
export function listLeaves(
  tx: TenantTx,
  filter: { tenantId: string; from: number; limit: number; subject?: string | undefined },
) {
  const { subject } = filter;
  return db(tx)
    .selectFrom('key_log_leaves as l')
    .select(['l.log_index', 'l.outline', 'l.body'])
    .where('l.tenant_id', '=', filter.tenantId)
    .where('l.log_index', '>=', filter.from)
    .$if(subject !== undefined, (query) =>
      query.where('l.log_index', 'in', (inner) =>
        inner
          .selectFrom('key_log_subjects as s')
          .select('s.log_index')
          .where('s.tenant_id', '=', filter.tenantId)
          .where('s.subject', '=', subject ?? ''),
      ),
    )
    .orderBy('l.log_index')
    .limit(filter.limit)
    .execute();
}

/** Outlines from a place on, in their order, and the bodies of the leaves about any of some subjects. */
export async function listOutlines(
  tx: TenantTx,
  filter: { tenantId: string; from: number; limit: number; subjects: readonly string[] },
) {
  const { tenantId, from, limit, subjects } = filter;
  const outlines = await db(tx)
    .selectFrom('key_log_leaves')
    .select(['log_index', 'outline'])
    .where('tenant_id', '=', tenantId)
    .where('log_index', '>=', from)
    .orderBy('log_index')
    .limit(limit)
    .execute();
  const last = outlines.at(-1);
  if (!last) return [];
  const shown = await db(tx)
    .selectFrom('key_log_leaves as l')
    .innerJoin('key_log_subjects as s', (join) =>
      join.onRef('s.tenant_id', '=', 'l.tenant_id').onRef('s.log_index', '=', 'l.log_index'),
    )
    .select(['l.log_index', 'l.body'])
    .where('l.tenant_id', '=', tenantId)
    .where('l.log_index', '>=', from)
    .where('l.log_index', '<=', last.log_index)
    .where('s.subject', 'in', [...subjects])
    .execute();
  const bodies = new Map(shown.map(({ log_index, body }) => [log_index, body]));
  return outlines.map(({ log_index, outline }) => ({ outline, body: bodies.get(log_index) }));
}

/** Kinds of leaves by which persons may ask and approve, and under what rules. */
const personKinds = ['person_key_registered', 'person_key_ended', 'key_vouched', 'release_rules'] as const;

/**
 * The texts of the leaves by which it is judged who may ask for keys, in their order: of the first key of the tenant, of all
 * persons, vouches and rules, and of some devices.
 */
export async function listJudgingLeaves(
  tx: TenantTx,
  { tenantId, subjects }: { readonly tenantId: string; readonly subjects: readonly string[] },
): Promise<readonly string[]> {
  const columns = ['log_index', 'body'] as const;
  const ofPersons = await db(tx)
    .selectFrom('key_log_leaves')
    .select(columns)
    .where('tenant_id', '=', tenantId)
    .where('kind', 'in', [...personKinds])
    .execute();
  const found = (await indexesAbout(tx, tenantId, ['keystore']).orderBy('log_index').limit(1).execute()).concat(
    subjects.length === 0 ? [] : await indexesAbout(tx, tenantId, subjects).execute(),
  );
  const others = await db(tx)
    .selectFrom('key_log_leaves')
    .select(columns)
    .where('tenant_id', '=', tenantId)
    .where('log_index', 'in', [-1, ...found.map((row) => row.log_index)])
    .execute();
  const bodies = new Map([...ofPersons, ...others].map(({ log_index, body }) => [log_index, body]));
  return [...bodies].toSorted(([one], [other]) => one - other).map(([, body]) => body);
}

function indexesAbout(tx: TenantTx, tenantId: string, subjects: readonly string[]) {
  return db(tx)
    .selectFrom('key_log_subjects')
    .select('log_index')
    .where('tenant_id', '=', tenantId)
    .where('subject', 'in', [...subjects]);
}

/** Has the database say which slots a keyring has, as the storage role may. @throws what the database says of a wrong one */
export async function sayKeyringAdded(
  tx: TenantTx,
  keyring: {
    readonly archiveId: string;
    readonly keyringNumber: number;
    readonly keyringSha256: Uint8Array;
    readonly slots: readonly { readonly slotId: Uint8Array; readonly kind: number }[];
    readonly nonce: Uint8Array;
  },
): Promise<'added' | 'known' | 'too_many'> {
  const { archiveId, keyringNumber, slots } = keyring;
  const [keyringSha256, nonce] = [Buffer.from(keyring.keyringSha256), Buffer.from(keyring.nonce)];
  const ids = slots.map(({ slotId }) => Buffer.from(slotId));
  const kinds = slots.map(({ kind }) => kind);
  const { rows } = await sql<{ outcome: 'added' | 'known' | 'too_many' }>`select say_keyring_added(${archiveId}::uuid,
    ${keyringNumber}::int8, ${keyringSha256}::bytea, ${ids}::bytea[], ${kinds}::int4[], ${nonce}::bytea) as outcome`.execute(
    db(tx),
  );
  return rows[0]!.outcome;
}

/** The archives of a device: one, or none. */
export async function findArchiveIds(tx: TenantTx, tenantId: string, deviceId: string): Promise<readonly string[]> {
  const rows = await db(tx)
    .selectFrom('archives')
    .select('archive_id')
    .where('tenant_id', '=', tenantId)
    .where('device_id', '=', deviceId)
    .execute();
  return rows.map((row) => row.archive_id);
}

/** The newest commit of every archive that has one, by rising archive id. */
export async function listArchiveHeads(tx: TenantTx, tenantId: string) {
  const rows = await db(tx)
    .selectFrom('archives')
    .select(['archive_id', 'log_state'])
    .where('tenant_id', '=', tenantId)
    .orderBy('archive_id')
    .execute();
  return rows.flatMap(({ archive_id: archiveId, log_state: { head } }) =>
    head ? [{ archiveId, commitNumber: head.number, commitSha256: head.sha256 }] : [],
  );
}

/** The newest head that the keystore has followed and signed. */
export function findFollowedHead(tx: TenantTx, tenantId: string) {
  return db(tx)
    .selectFrom('key_log_followed_heads')
    .select(['tree_size', 'note'])
    .where('tenant_id', '=', tenantId)
    .executeTakeFirst();
}

/** Keeps such a head in place of a shorter one. */
export async function keepFollowedHead(
  tx: TenantTx,
  row: { readonly tenant_id: string; readonly tree_size: number; readonly note: string },
): Promise<void> {
  await db(tx)
    .insertInto('key_log_followed_heads')
    .values(row)
    .onConflict((c) =>
      c
        .column('tenant_id')
        .doUpdateSet({ tree_size: row.tree_size, note: row.note })
        .where('key_log_followed_heads.tree_size', '<', row.tree_size),
    )
    .execute();
}

/** Keeps the heads of a day; false when the day has some already. */
export async function insertDailyHeads(
  tx: TenantTx,
  row: { tenant_id: string; day: string; heads: string },
): Promise<boolean> {
  const result = await db(tx)
    .insertInto('key_log_daily_heads')
    .values(row)
    .onConflict((c) => c.doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}
