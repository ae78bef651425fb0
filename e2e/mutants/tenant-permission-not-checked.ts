/** Asks no permission of who has proved who they are. */
export const mutant = {
  file: 'apps/cloud/src/platform/mount.ts',
  find: 'if (reachOf(principal, route).length === 0) throw authErrors.missing_permission',
  replace: "if (principal.tenantId === '') throw authErrors.missing_permission",
  test: 'apps/cloud/src/contract.db.test.ts',
};
