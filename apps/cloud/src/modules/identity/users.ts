import { newId, type CodedError } from '@holdfast/base';
import { userErrors, type User } from '@holdfast/contract';
import type { Grant, TxContext } from '../../platform/context.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { grantsOf } from './grants.ts';
import * as store from './store.ts';

type UserRow = Awaited<ReturnType<ReturnType<typeof store.listUsers>['page']>>[number];

/** A user name as it is compared: Unicode spelled one way, lower case. */
export function usernameKeyOf(username: string): string {
  return username.normalize('NFKC').toLowerCase();
}

/** A page of the users the caller reaches; pages are counted from 1. */
export async function listUsers(
  ctx: TxContext,
  query: {
    page: number;
    pageSize: number;
    active?: boolean | undefined;
    blocked?: boolean | undefined;
    username?: string | undefined;
  },
): Promise<{ users: User[]; totalCount: number }> {
  const { active, blocked, username } = query;
  const usernameKey = username === undefined ? undefined : usernameKeyOf(username);
  const wanted = { tenantId: ctx.tenantId, reach: ctx.reach, active, blocked, usernameKey };
  const users = store.listUsers(ctx.tx, wanted);
  const rows = await users.page((query.page - 1) * query.pageSize, query.pageSize);
  return { users: rows.map(toUser), totalCount: await users.count() };
}

/** One user, if the caller reaches them. @throws users.not_found */
export async function getUser(ctx: TxContext, userId: string): Promise<User> {
  return toUser(await findReachable(ctx, userId));
}

/** The row of a user the caller reaches. @throws users.not_found */
export async function findReachable(ctx: TxContext, userId: string): Promise<UserRow> {
  const [row] = await store.listUsers(ctx.tx, { tenantId: ctx.tenantId, reach: ctx.reach, userId }).page(0, 1);
  if (!row) throw userErrors.not_found();
  return row;
}

/** The id of a user by name, however it is spelled. */
export async function findUserIdByName(tx: TenantTx, tenantId: string, username: string): Promise<string | undefined> {
  return (await store.findUserByName(tx, tenantId, usernameKeyOf(username)))?.user_id;
}

/** Adds a user; returns their id. The name must be free. */
export async function addUser(
  tx: TenantTx,
  user: {
    readonly tenantId: string;
    readonly orgId: string;
    readonly username: string;
    readonly passwordHash: string | null;
    readonly at: Date;
  },
): Promise<string> {
  const userId = newId<'user'>(user.at.getTime());
  await store.insertUser(tx, {
    tenant_id: user.tenantId,
    user_id: userId,
    org_id: user.orgId,
    username: user.username,
    username_key: usernameKeyOf(user.username),
    first_name: null,
    last_name: null,
    password_hash: user.passwordHash,
    created_at: user.at,
    modified_at: user.at,
  });
  return userId;
}

/** What a principal is at this moment, for deciding whether a request may go on. */
export type PrincipalState = {
  readonly name: string;
  readonly isActive: boolean;
  readonly grants: readonly Grant[];
  /** What one that is not active is told; `auth.ended` when absent. */
  readonly refusal?: () => CodedError;
};

/** The state of a user; undefined when there is none of that id. */
export async function readUserState(
  tx: TenantTx,
  tenantId: string,
  userId: string,
): Promise<PrincipalState | undefined> {
  const user = await store.findUser(tx, tenantId, userId);
  if (!user) return undefined;
  return {
    name: user.username,
    isActive: user.active && !user.blocked,
    grants: await readGrants(tx, tenantId, userId),
  };
}

/** Whether a user is there and not deactivated; every role may ask. */
export async function isUserActive(tx: TenantTx, tenantId: string, userId: string): Promise<boolean> {
  return (await store.findUserActivity(tx, tenantId, userId))?.active ?? false;
}

/** What a user or client holds, by org. */
export async function readGrants(tx: TenantTx, tenantId: string, principalId: string): Promise<readonly Grant[]> {
  const rows = await store.listAssignments(tx, tenantId, principalId);
  return grantsOf(rows.map((row) => ({ orgId: row.org_id, roleId: row.role_id })));
}

function toUser(row: UserRow): User {
  return {
    userId: row.user_id,
    legacyUserId: String(row.legacy_id),
    username: row.username,
    firstName: row.first_name,
    lastName: row.last_name,
    orgId: String(row.org_legacy_id),
    legacyOrgId: String(row.org_legacy_id),
    orgGuid: row.org_id,
    orgName: row.org_name,
    notes: row.notes,
    active: row.active,
    blocked: row.blocked,
    creationDate: row.created_at.toISOString(),
    modificationDate: row.modified_at.toISOString(),
  };
}
