/**
 * Identity: people, the roles they hold, signing in, and finding out who asks.
 *
 * Owns tables `users`, `role_assignments`, `sessions`, `known_browsers`, `attempt_counters`. Invariants: no password and
 * no cookie is stored; a wrong address, name or password look and take the same; nobody gives a role that holds more
 * than they do; every request asks again (within five seconds) whether its principal may still act.
 */
export { createAuthenticate, STATE_CACHE_MS, type AuthenticateDeps, type ReadState } from './authenticate.ts';
export { allPermissions, mayGrant, mayOver } from './grants.ts';
export { devicePermissions, isRoleId, permissionsOf, roles, type Role, type RoleId } from './roles.ts';
export { mountIdentity } from './routes.ts';
export {
  deleteBrowsersOf,
  deleteEndedSessions,
  deleteSessionsOf,
  deleteStaleCounters,
  deleteUnusedBrowsers,
} from './session-store.ts';
export { networkOf, signIn, type SignInDeps } from './sign-in.ts';
export {
  deleteAssignment,
  findUserByName,
  insertAssignment,
  listAssignments,
  tables as identityTables,
  updatePasswordHash,
  listUsernames,
} from './store.ts';
export {
  addUser,
  findUserIdByName,
  isUserActive,
  readGrants,
  readUserState,
  usernameKeyOf,
  type PrincipalState,
} from './users.ts';
