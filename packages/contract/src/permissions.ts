/**
 * What a principal may be allowed to do: the closed list that routes and roles both name.
 *
 * `noun.verb`; the text says what holding it means. Who holds which is decided by the roles table of the cloud.
 */
export const permissionTexts = {
  'customer.read': 'Read the name and the registration key of the tenant',
  'users.read': 'List and read users of the org and those below it',
  'orgs.read': 'List and read the org and those below it',
  'roles.read': 'List roles and see which a user holds',
  'roles.assign': 'Give and take roles whose every permission one holds',
  'policies.read': 'Read the settings of orgs and what they resolve to',
  'policies.write': 'Change the settings of orgs',
  'clients.read': 'List API clients',
  'clients.write': 'Create, rotate and revoke API clients',
  'audit.read': 'Read the audit log and its signed heads',
  'key_log.read': 'Read the key log: its leaves, its signed head and proofs',
  'sessions.own': 'List and end the sessions one signed in to oneself',
  'sessions.read': 'List the sessions of other users',
  'sessions.revoke': 'End the sessions of other users',
  'restore.personal': 'Restore the files of the devices one owns',
  'restore.web': 'Restore the files of the devices one owns in a browser',
  'enrollment.write': 'Create and revoke enrolment tokens',
  'devices.read': 'List and read devices of the org and those below it',
  'devices.write': 'Change, block, deauthorise and deactivate devices',
  'holds.read': 'List legal holds',
  'holds.write': 'Place and release legal holds',
  'key_log.own': 'As a device: follow the key log, and read the leaves that concern that device',
  'archive.own': 'As a device: write and read the archive of that device',
} as const satisfies Readonly<Record<string, string>>;

/** The name of one permission. */
export type Permission = keyof typeof permissionTexts;

/** Every permission, in the order of the list. */
export const permissions = Object.keys(permissionTexts) as readonly Permission[];
