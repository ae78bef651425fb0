/** What the keystore keeps to judge releases by: rows that are only ever added, of which the newest count. */
import { emptyTree, parseRulesChange, releaseRequestSha256, type KeyHolder, type TreeState } from '@holdfast/trust';
import { sql } from 'kysely';
import type { TenantTx } from '../platform/postgres.ts';
import {
  bigint,
  bool,
  bytea,
  byteas,
  instant,
  integer,
  nullable,
  text,
  uuid,
  type Columns,
  type Rows,
} from '../platform/table.ts';
import type { UsedRequest, WaitingLeaf } from './judge-release.ts';
import type { RegisteredKey } from './key-register.ts';

/** The tables of releases; nothing but the keystore reads or writes them. */
export const releaseTables = {
  'keystore.followed_logs': { tenant_id: uuid, tree_size: bigint, peaks: byteas, followed_at: instant },
  'keystore.key_states': {
    tenant_id: uuid,
    public_key: text,
    log_index: bigint,
    holder_kind: text,
    holder_uid: uuid,
    first_seen_at: instant,
    is_trusted_at_once: bool,
    approves_since: nullable(instant),
    ended_at: nullable(instant),
  },
  'keystore.release_rules': {
    tenant_id: uuid,
    number: integer,
    log_index: bigint,
    change: text,
    known_since: instant,
  },
  'keystore.used_requests': { tenant_id: uuid, request_id: text, leaf_hash: bytea, used_at: instant },
  'keystore.waiting_leaves': { tenant_id: uuid, leaf_hash: bytea, since_at: instant },
} as const satisfies Readonly<Record<string, Columns>>;

type Tables = Rows<typeof releaseTables>;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/**
 * Lets one transaction of a tenant after the other judge and keep: what one of them kept, the next one knows.
 *
 * When it has ended, what it kept lies on the disk, whatever the database was set to.
 */
export async function lockTenant(tx: TenantTx, tenantId: string): Promise<void> {
  await sql`select set_config('synchronous_commit', 'on', true),
    pg_advisory_xact_lock(hashtextextended('keystore ' || ${tenantId}, 0))`.execute(db(tx));
}

/** How far a tenant's key log was followed. */
export async function findFollowed(tx: TenantTx, tenantId: string): Promise<TreeState> {
  const row = await db(tx)
    .selectFrom('keystore.followed_logs')
    .select(['tree_size', 'peaks'])
    .where('tenant_id', '=', tenantId)
    .orderBy('tree_size', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row ? { size: row.tree_size, peaks: row.peaks.map((peak) => new Uint8Array(peak)) } : emptyTree;
}

/** Keeps how far a tenant's key log was followed. */
export async function insertFollowed(
  tx: TenantTx,
  { size, peaks }: TreeState,
  of: { readonly tenantId: string; readonly at: Date },
): Promise<void> {
  const row = { tenant_id: of.tenantId, tree_size: size, peaks: peaks.map((peak) => Buffer.from(peak)) };
  await db(tx)
    .insertInto('keystore.followed_logs')
    .values({ ...row, followed_at: of.at })
    .execute();
}

/**
 * Keys of a tenant as they are: those that are named, and the first one of all, where there is any.
 *
 * With the first one always among them, whoever judges by them knows whether a key is the first.
 */
export async function listKeys(
  tx: TenantTx,
  { tenantId, publicKeys, persons }: { tenantId: string; publicKeys: readonly string[]; persons: boolean },
): Promise<readonly RegisteredKey[]> {
  const rows = await db(tx)
    .selectFrom('keystore.key_states as k')
    .distinctOn('k.public_key')
    .selectAll()
    .where('k.tenant_id', '=', tenantId)
    .where((where) =>
      where.or([
        where('k.public_key', 'in', (inner) =>
          inner
            .selectFrom('keystore.key_states as f')
            .select('f.public_key')
            .where('f.tenant_id', '=', tenantId)
            .orderBy('f.log_index')
            .limit(1),
        ),
        ...(publicKeys.length > 0 ? [where('k.public_key', 'in', [...publicKeys])] : []),
        ...(persons ? [where('k.holder_kind', '=', 'person')] : []),
      ]),
    )
    .orderBy('k.public_key')
    .orderBy('k.log_index', 'desc')
    .execute();
  return rows.map((row) => ({
    publicKey: row.public_key,
    holder: { kind: row.holder_kind as KeyHolder['kind'], uid: row.holder_uid },
    firstSeenMs: row.first_seen_at.getTime(),
    isTrustedAtOnce: row.is_trusted_at_once,
    approvesSinceMs: row.approves_since?.getTime() ?? null,
    endedMs: row.ended_at?.getTime() ?? null,
  }));
}

/** A key as a leaf leaves it. */
export type KeyState = { readonly logIndex: number; readonly key: RegisteredKey };

/** Keeps what leaves say of keys. */
export async function insertKeyStates(tx: TenantTx, tenantId: string, states: readonly KeyState[]): Promise<void> {
  if (states.length === 0) return;
  const dateOf = (ms: number | null) => (ms === null ? null : new Date(ms));
  const rows = states.map(({ logIndex, key }) => ({
    tenant_id: tenantId,
    public_key: key.publicKey,
    log_index: logIndex,
    holder_kind: key.holder.kind,
    holder_uid: key.holder.uid,
    first_seen_at: new Date(key.firstSeenMs),
    is_trusted_at_once: key.isTrustedAtOnce,
    approves_since: dateOf(key.approvesSinceMs),
    ended_at: dateOf(key.endedMs),
  }));
  await db(tx).insertInto('keystore.key_states').values(rows).execute();
}

/** The changes of a tenant's rules that count, by rising number. */
export async function listRules(tx: TenantTx, tenantId: string) {
  const rows = await db(tx)
    .selectFrom('keystore.release_rules')
    .select(['number', 'change', 'known_since'])
    .where('tenant_id', '=', tenantId)
    .orderBy('number')
    .execute();
  return rows.map(({ number, change, known_since: since }) => ({
    number,
    changeSha256: releaseRequestSha256(change),
    rules: parseRulesChange(change).rules,
    knownSinceMs: since.getTime(),
  }));
}

/** A change of the rules that counts. */
export type TakenRules = { readonly number: number; readonly logIndex: number; readonly change: string };

/** Keeps changes of the rules. */
export async function insertRules(
  tx: TenantTx,
  changes: readonly TakenRules[],
  of: { readonly tenantId: string; readonly at: Date },
): Promise<void> {
  if (changes.length === 0) return;
  const rows = changes.map(({ number, logIndex, change }) => ({
    tenant_id: of.tenantId,
    number,
    log_index: logIndex,
    change,
    known_since: of.at,
  }));
  await db(tx).insertInto('keystore.release_rules').values(rows).execute();
}

/** The use of a request; none or one. */
export async function listUses(tx: TenantTx, tenantId: string, requestId: string): Promise<readonly UsedRequest[]> {
  const rows = await db(tx)
    .selectFrom('keystore.used_requests')
    .select(['request_id', 'leaf_hash', 'used_at'])
    .where('tenant_id', '=', tenantId)
    .where('request_id', '=', requestId)
    .execute();
  return rows.map((row) => ({
    requestId: row.request_id,
    leafHash: row.leaf_hash.toString('hex'),
    usedMs: row.used_at.getTime(),
  }));
}

/** Keeps the use of a request. */
export async function insertUse(tx: TenantTx, tenantId: string, use: UsedRequest): Promise<void> {
  const leafHash = Buffer.from(use.leafHash, 'hex');
  const row = { tenant_id: tenantId, request_id: use.requestId, leaf_hash: leafHash, used_at: new Date(use.usedMs) };
  await db(tx).insertInto('keystore.used_requests').values(row).execute();
}

/** Since when a leaf waits; none or one. */
export async function listWaiting(tx: TenantTx, tenantId: string, leafHash: string): Promise<readonly WaitingLeaf[]> {
  const rows = await db(tx)
    .selectFrom('keystore.waiting_leaves')
    .select('since_at')
    .where('tenant_id', '=', tenantId)
    .where('leaf_hash', '=', Buffer.from(leafHash, 'hex'))
    .execute();
  return rows.map((row) => ({ leafHash, sinceMs: row.since_at.getTime() }));
}

/** Keeps that a leaf waits; where that is known, since when stays as it is. */
export async function insertWaiting(tx: TenantTx, tenantId: string, waiting: WaitingLeaf): Promise<void> {
  const leafHash = Buffer.from(waiting.leafHash, 'hex');
  await db(tx)
    .insertInto('keystore.waiting_leaves')
    .values({ tenant_id: tenantId, leaf_hash: leafHash, since_at: new Date(waiting.sinceMs) })
    .onConflict((c) => c.doNothing())
    .execute();
}
