import type { Permission } from '@holdfast/contract';
import type { Grant } from '../../platform/context.ts';
import { permissionsOf } from './roles.ts';

/** The grants that role assignments stand for: one for each org, with the permissions of all roles held over it. */
export function grantsOf(
  assignments: readonly { readonly orgId: string; readonly roleId: string }[],
): readonly Grant[] {
  const byOrg = Map.groupBy(assignments, ({ orgId }) => orgId);
  return [...byOrg].map(([orgId, held]) => ({
    orgId,
    permissions: new Set(held.flatMap(({ roleId }) => [...permissionsOf(roleId)])),
  }));
}

/** Whether grants hold a permission over an org, given the org's path from the root to itself. */
export function mayOver(grants: readonly Grant[], permission: Permission, orgPath: readonly string[]): boolean {
  return grants.some((grant) => orgPath.includes(grant.orgId) && grant.permissions.has(permission));
}

/** Whether grants hold every permission of a role over an org: nobody grants what they do not hold. */
export function mayGrant(grants: readonly Grant[], roleId: string, orgPath: readonly string[]): boolean {
  const needed = [...permissionsOf(roleId)];
  return needed.length > 0 && needed.every((permission) => mayOver(grants, permission, orgPath));
}

/** Grants cut down to some permissions, such as the scopes of a token. */
export function narrowGrants(grants: readonly Grant[], scopes: ReadonlySet<string>): readonly Grant[] {
  return grants.map(({ orgId, permissions }) => ({
    orgId,
    permissions: new Set([...permissions].filter((permission) => scopes.has(permission))),
  }));
}

/** Every permission the grants hold anywhere. */
export function allPermissions(grants: readonly Grant[]): readonly Permission[] {
  return [...new Set(grants.flatMap(({ permissions }) => [...permissions]))].toSorted();
}
