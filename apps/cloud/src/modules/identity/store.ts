import { sql } from 'kysely';
import type { TenantTx } from '../../platform/postgres.ts';
import {
  bigint,
  bool,
  bytea,
  defaulted,
  generated,
  instant,
  integer,
  nullable,
  text,
  uuid,
  type Columns,
  type Rows,
} from '../../platform/table.ts';
import type { orgTables } from '../orgs/index.ts';

/** Tables owned by this module. No other module reads or writes them. */
export const tables = {
  users: {
    tenant_id: uuid,
    user_id: uuid,
    legacy_id: generated(bigint),
    org_id: uuid,
    username: text,
    username_key: text,
    first_name: nullable(text),
    last_name: nullable(text),
    notes: nullable(text),
    password_hash: nullable(text),
    active: defaulted(bool),
    blocked: defaulted(bool),
    created_at: instant,
    modified_at: instant,
  },
  role_assignments: { tenant_id: uuid, principal_id: uuid, org_id: uuid, role_id: text, assigned_at: instant },
  sessions: {
    tenant_id: uuid,
    session_id: uuid,
    user_id: uuid,
    token_sha256: bytea,
    created_at: instant,
    last_seen_at: instant,
    idle_ends_at: instant,
    absolute_ends_at: instant,
    ended_at: nullable(instant),
    ip_address: text,
    user_agent: text,
  },
  known_browsers: { tenant_id: uuid, token_sha256: bytea, user_id: uuid, last_used_at: instant },
  attempt_counters: {
    tenant_id: uuid,
    subject_kind: text,
    subject_sha256: bytea,
    failures: integer,
    last_attempt_at: instant,
    blocked_until: instant,
  },
} as const satisfies Readonly<Record<string, Columns>>;

/** All this module's statements see: its own tables, and `orgs` to join. */
export type Tables = Rows<typeof tables & typeof orgTables>;
const db = (tx: TenantTx) => tx.withTables<Tables>();

/** Which users are wanted. */
export type UserFilter = {
  readonly tenantId: string;
  /** Only those in the subtrees of these orgs. */
  readonly reach: readonly string[];
  readonly active?: boolean | undefined;
  readonly blocked?: boolean | undefined;
  readonly usernameKey?: string | undefined;
  readonly userId?: string | undefined;
};

/** Users that fit, with their org, by user name. */
export function listUsers(tx: TenantTx, filter: UserFilter) {
  return {
    page: (offset: number, limit: number) =>
      usersThatFit(tx, filter)
        .selectAll('u')
        .select(['o.name as org_name', 'o.legacy_id as org_legacy_id', 'o.path as org_path'])
        .orderBy('u.username_key')
        .offset(offset)
        .limit(limit)
        .execute(),
    count: async () => {
      const row = await usersThatFit(tx, filter)
        .select((select) => select.fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow();
      return row.count;
    },
  };
}

function usersThatFit(tx: TenantTx, filter: UserFilter) {
  let query = db(tx)
    .selectFrom('users as u')
    .innerJoin('orgs as o', (join) => join.onRef('o.tenant_id', '=', 'u.tenant_id').onRef('o.org_id', '=', 'u.org_id'))
    .where('u.tenant_id', '=', filter.tenantId)
    .where(sql<boolean>`o.path && ${[...filter.reach]}::uuid[]`);
  if (filter.active !== undefined) query = query.where('u.active', '=', filter.active);
  if (filter.blocked !== undefined) query = query.where('u.blocked', '=', filter.blocked);
  if (filter.usernameKey !== undefined) query = query.where('u.username_key', '=', filter.usernameKey);
  if (filter.userId !== undefined) query = query.where('u.user_id', '=', filter.userId);
  return query;
}

/** A user by name, for signing in. */
export function findUserByName(tx: TenantTx, tenantId: string, usernameKey: string) {
  return db(tx)
    .selectFrom('users')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('username_key', '=', usernameKey)
    .executeTakeFirst();
}

/** The names of some users, by id. */
export async function listUsernames(
  tx: TenantTx,
  tenantId: string,
  userIds: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (userIds.length === 0) return new Map();
  const rows = await db(tx)
    .selectFrom('users')
    .select(['user_id', 'username'])
    .where('tenant_id', '=', tenantId)
    .where('user_id', 'in', [...userIds])
    .execute();
  return new Map(rows.map((row) => [row.user_id, row.username]));
}

/** A user by id, wherever they are. */
export function findUser(tx: TenantTx, tenantId: string, userId: string) {
  return db(tx)
    .selectFrom('users')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('user_id', '=', userId)
    .executeTakeFirst();
}

/** Whether a user is active: of their row, what the role storage may read. */
export function findUserActivity(tx: TenantTx, tenantId: string, userId: string) {
  return db(tx)
    .selectFrom('users')
    .select('active')
    .where('tenant_id', '=', tenantId)
    .where('user_id', '=', userId)
    .executeTakeFirst();
}

/** Adds a user. */
export async function insertUser(
  tx: TenantTx,
  row: {
    tenant_id: string;
    user_id: string;
    org_id: string;
    username: string;
    username_key: string;
    first_name: string | null;
    last_name: string | null;
    password_hash: string | null;
    created_at: Date;
    modified_at: Date;
  },
) {
  await db(tx).insertInto('users').values(row).execute();
}

/** Replaces the hash of a user's password. */
export async function updatePasswordHash(
  tx: TenantTx,
  row: { tenantId: string; userId: string; passwordHash: string; at: Date },
) {
  await db(tx)
    .updateTable('users')
    .set({ password_hash: row.passwordHash, modified_at: row.at })
    .where('tenant_id', '=', row.tenantId)
    .where('user_id', '=', row.userId)
    .execute();
}

/** The roles somebody holds, and over which orgs. */
export function listAssignments(tx: TenantTx, tenantId: string, principalId: string) {
  return db(tx)
    .selectFrom('role_assignments as a')
    .innerJoin('orgs as o', (join) => join.onRef('o.tenant_id', '=', 'a.tenant_id').onRef('o.org_id', '=', 'a.org_id'))
    .select(['a.org_id', 'a.role_id', 'a.assigned_at', 'o.path as org_path'])
    .where('a.tenant_id', '=', tenantId)
    .where('a.principal_id', '=', principalId)
    .orderBy('a.role_id')
    .execute();
}

/** Gives a role, unless it is held already. */
export async function insertAssignment(
  tx: TenantTx,
  row: { tenant_id: string; principal_id: string; org_id: string; role_id: string; assigned_at: Date },
) {
  await db(tx)
    .insertInto('role_assignments')
    .values(row)
    .onConflict((c) => c.doNothing())
    .execute();
}

/** Takes a role held over one org. */
export async function deleteAssignment(
  tx: TenantTx,
  row: { tenantId: string; principalId: string; orgId: string; roleId: string },
) {
  await db(tx)
    .deleteFrom('role_assignments')
    .where('tenant_id', '=', row.tenantId)
    .where('principal_id', '=', row.principalId)
    .where('org_id', '=', row.orgId)
    .where('role_id', '=', row.roleId)
    .execute();
}

/** How many active people hold one of the roles over an org. */
export async function countActiveHolders(
  tx: TenantTx,
  wanted: { tenantId: string; orgId: string; roleIds: readonly string[] },
): Promise<number> {
  const row = await db(tx)
    .selectFrom('role_assignments as a')
    .innerJoin('users as u', (join) =>
      join.onRef('u.tenant_id', '=', 'a.tenant_id').onRef('u.user_id', '=', 'a.principal_id'),
    )
    .select((select) => select.fn.count<number>('u.user_id').distinct().as('count'))
    .where('a.tenant_id', '=', wanted.tenantId)
    .where('a.org_id', '=', wanted.orgId)
    .where('a.role_id', 'in', [...wanted.roleIds])
    .where('u.active', '=', true)
    .where('u.blocked', '=', false)
    .executeTakeFirstOrThrow();
  return row.count;
}
