import { permissionTexts, userErrors, type Role, type RoleChange, type UserRole } from '@holdfast/contract';
import type { TxContext } from '../../platform/context.ts';
import { findPath, findRootOrgId } from '../orgs/index.ts';
import { lockTenant } from '../tenants/index.ts';
import { mayGrant } from './grants.ts';
import { isRoleId, permissionsOf, roles, type RoleId } from './roles.ts';
import * as store from './store.ts';
import { findReachable } from './users.ts';

/** The roles that exist. */
export function listRoles(): Role[] {
  return Object.keys(roles).map((roleId) => toRole(roleId as RoleId));
}

/** One role. @throws users.role_not_found */
export function getRole(roleId: string): Role {
  if (!isRoleId(roleId)) throw userErrors.role_not_found();
  return toRole(roleId);
}

/** The roles a user holds. @throws users.not_found */
export async function listRolesOf(ctx: TxContext, userId: string): Promise<UserRole[]> {
  const user = await findReachable(ctx, userId);
  const held = await store.listAssignments(ctx.tx, ctx.tenantId, user.user_id);
  return held.flatMap(({ role_id: roleId, assigned_at: at }) => {
    if (!isRoleId(roleId)) return [];
    const date = at.toISOString();
    const permissionIds = [...roles[roleId].permissions];
    return [{ roleId, roleName: roles[roleId].name, creationDate: date, modificationDate: date, permissionIds }];
  });
}

/**
 * Replaces the roles a user holds; names of no role are ignored and reported.
 *
 * Nobody gives or takes a role with a permission they do not hold there, and somebody who may give roles must remain.
 * @throws users.not_found, users.role_exceeds_yours, users.last_administrator
 */
export async function setRoles(ctx: TxContext, userId: string, roleIds: readonly string[]): Promise<RoleChange> {
  await lockTenant(ctx.tx, ctx.tenantId);
  const user = await findReachable(ctx, userId);
  const held = await store.listAssignments(ctx.tx, ctx.tenantId, user.user_id);
  const wanted = [...new Set(roleIds.filter(isRoleId))];
  const given = wanted.filter((roleId) => !held.some((row) => row.role_id === roleId));
  const taken = held.filter((row) => !wanted.some((roleId) => roleId === row.role_id));
  for (const roleId of given) await give(ctx, user, roleId);
  for (const row of taken) {
    if (!mayGrant(ctx.principal.grants, row.role_id, row.org_path)) throw userErrors.role_exceeds_yours();
    const { org_id: orgId, role_id: roleId } = row;
    await store.deleteAssignment(ctx.tx, { tenantId: ctx.tenantId, principalId: user.user_id, orgId, roleId });
  }
  await requireAdministrator(ctx);
  const before = held.map((row) => row.role_id);
  await ctx.audit({ eventType: 'roles.replaced', target: { kind: 'user', id: userId }, before, after: wanted });
  return {
    processedReplacementRoleIds: wanted,
    newlyAssignedRolesIds: given,
    unassignedRolesIds: taken.map((row) => row.role_id),
    ignoredRolesIds: roleIds.filter((roleId) => !isRoleId(roleId)),
  };
}

async function give(ctx: TxContext, user: { user_id: string; org_id: string }, roleId: RoleId): Promise<void> {
  const orgId = roles[roleId].span === 'tenant' ? await findRootOrgId(ctx.tx, ctx.tenantId) : user.org_id;
  const path = orgId === undefined ? undefined : await findPath(ctx.tx, ctx.tenantId, orgId);
  if (!orgId || !path || !mayGrant(ctx.principal.grants, roleId, path)) throw userErrors.role_exceeds_yours();
  await store.insertAssignment(ctx.tx, {
    tenant_id: ctx.tenantId,
    principal_id: user.user_id,
    org_id: orgId,
    role_id: roleId,
    assigned_at: ctx.now,
  });
}

async function requireAdministrator(ctx: TxContext): Promise<void> {
  const rootOrgId = await findRootOrgId(ctx.tx, ctx.tenantId);
  const roleIds = Object.keys(roles).filter((roleId) => permissionsOf(roleId).has('roles.assign'));
  const wanted = { tenantId: ctx.tenantId, orgId: rootOrgId ?? '', roleIds };
  if ((await store.countActiveHolders(ctx.tx, wanted)) === 0) throw userErrors.last_administrator();
}

function toRole(roleId: RoleId): Role {
  const { name, permissions } = roles[roleId];
  return {
    roleId,
    roleName: name,
    creationDate: null,
    modificationDate: null,
    permissions: permissions.map((permission) => ({ permission, description: permissionTexts[permission] })),
  };
}
