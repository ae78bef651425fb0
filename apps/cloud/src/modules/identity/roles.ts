import { permissions, type Permission } from '@holdfast/contract';

/** A role: a set of permissions, held over an org and everything below it. */
export type Role = {
  readonly name: string;
  /** `tenant`: always held over the whole tenant. `org`: held over the org of the person, and those below it. */
  readonly span: 'tenant' | 'org';
  readonly permissions: readonly Permission[];
};

const selfService = ['sessions.own', 'restore.personal'] as const satisfies readonly Permission[];
const devicesOnly: readonly Permission[] = ['archive.own', 'key_log.own'];

/** Who may do what: the one table. A permission that no role has can be used by nobody. */
export const roles = {
  'customer-cloud-admin': {
    name: 'Customer Cloud Administrator',
    span: 'tenant',
    permissions: permissions.filter((permission) => !devicesOnly.includes(permission)),
  },
  'org-admin': {
    name: 'Org Administrator',
    span: 'org',
    permissions: [
      ...selfService,
      'restore.web',
      'customer.read',
      'users.read',
      'orgs.read',
      'roles.read',
      'roles.assign',
      'policies.read',
      'policies.write',
      'sessions.read',
      'sessions.revoke',
      'enrollment.write',
      'devices.read',
      'devices.write',
    ],
  },
  'desktop-user': {
    name: 'Desktop User',
    span: 'org',
    permissions: [...selfService, 'restore.web'],
  },
  'desktop-user-no-web-restore': {
    name: 'Desktop User (No Web Restore)',
    span: 'org',
    permissions: selfService,
  },
} as const satisfies Readonly<Record<string, Role>>;

/** The id of a role, as existing clients know it. */
export type RoleId = keyof typeof roles;

/** What a device may do with its token; devices hold no role. */
export const devicePermissions: ReadonlySet<Permission> = new Set(devicesOnly);

/** Tells the id of a role from other text. */
export function isRoleId(text: string): text is RoleId {
  return Object.hasOwn(roles, text);
}

/** The permissions of a role; none for an id that is no role any more. */
export function permissionsOf(roleId: string): ReadonlySet<Permission> {
  return isRoleId(roleId) ? new Set<Permission>(roles[roleId].permissions) : new Set();
}
