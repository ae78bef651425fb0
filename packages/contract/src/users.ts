import { defineErrors } from '@holdfast/base';
import { z } from 'zod';
import { defineRoute } from './route.ts';
import { Instant, QueryFlag, pageFromOne } from './shapes.ts';

/** A person of the tenant, in the words of existing clients. */
export const User = z.object({
  userId: z.uuid(),
  /** The number older interfaces use, as text. */
  legacyUserId: z.string(),
  username: z.string(),
  firstName: z.string().nullable(),
  lastName: z.string().nullable(),
  orgId: z.string(),
  legacyOrgId: z.string(),
  orgGuid: z.uuid(),
  orgName: z.string(),
  notes: z.string().nullable(),
  active: z.boolean(),
  blocked: z.boolean(),
  creationDate: Instant,
  modificationDate: Instant,
});
export type User = z.infer<typeof User>;

/** A role somebody holds. */
export const UserRole = z.object({
  roleId: z.string(),
  roleName: z.string(),
  creationDate: Instant.nullable(),
  modificationDate: Instant.nullable(),
  permissionIds: z.array(z.string()),
});
export type UserRole = z.infer<typeof UserRole>;

/** A role that exists. */
export const Role = z.object({
  roleId: z.string(),
  roleName: z.string(),
  creationDate: Instant.nullable(),
  modificationDate: Instant.nullable(),
  permissions: z.array(z.object({ permission: z.string(), description: z.string() })),
});
export type Role = z.infer<typeof Role>;

/** What a replacement of roles did. */
export const RoleChange = z.object({
  processedReplacementRoleIds: z.array(z.string()),
  newlyAssignedRolesIds: z.array(z.string()),
  unassignedRolesIds: z.array(z.string()),
  ignoredRolesIds: z.array(z.string()),
});
export type RoleChange = z.infer<typeof RoleChange>;

/** Failures about users and their roles. */
export const userErrors = defineErrors('users', {
  not_found: ['not_found', 'User not found'],
  role_not_found: ['not_found', 'Role not found'],
  role_exceeds_yours: ['forbidden', 'That role holds a permission you do not hold there'],
  last_administrator: ['conflict', 'Somebody must remain who may give roles'],
});

const oneUser = z.object({ userId: z.uuid() });

/** Routes of users. */
export const userRoutes = {
  list: defineRoute({
    method: 'GET',
    path: '/v1/users',
    summary: 'List users',
    permission: 'users.read',
    query: z.object({
      active: QueryFlag.optional(),
      blocked: QueryFlag.optional(),
      username: z.string().max(256).optional(),
      ...pageFromOne,
    }),
    status: 200,
    reply: z.object({ users: z.array(User), totalCount: z.number().int() }),
  }),
  roles: defineRoute({
    method: 'GET',
    path: '/v1/users/roles',
    summary: 'List the roles that exist',
    permission: 'roles.read',
    status: 200,
    reply: z.array(Role),
  }),
  role: defineRoute({
    method: 'GET',
    path: '/v1/users/roles/:roleId',
    summary: 'Read one role',
    permission: 'roles.read',
    params: z.object({ roleId: z.string().min(1).max(100) }),
    status: 200,
    reply: Role,
    errors: [userErrors.role_not_found],
  }),
  get: defineRoute({
    method: 'GET',
    path: '/v1/users/:userId',
    summary: 'Read one user',
    permission: 'users.read',
    params: oneUser,
    status: 200,
    reply: User,
    errors: [userErrors.not_found],
  }),
  rolesOf: defineRoute({
    method: 'GET',
    path: '/v1/users/:userId/roles',
    summary: 'List the roles a user holds',
    permission: 'roles.read',
    params: oneUser,
    status: 200,
    reply: z.array(UserRole),
    errors: [userErrors.not_found],
  }),
  setRoles: defineRoute({
    method: 'PUT',
    path: '/v1/users/:userId/roles',
    summary: 'Replace the roles a user holds in their org',
    permission: 'roles.assign',
    params: oneUser,
    body: z.object({ roleIds: z.array(z.string().max(100)).max(100) }),
    status: 200,
    reply: RoleChange,
    errors: [userErrors.not_found, userErrors.role_exceeds_yours, userErrors.last_administrator],
  }),
};
