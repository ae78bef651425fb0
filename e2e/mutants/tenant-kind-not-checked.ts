/** Serves every kind of principal on every route. */
export const mutant = {
  file: 'apps/cloud/src/platform/mount.ts',
  find: 'if (!principalsOf(route).includes(principal.kind)) throw',
  replace: "if (principal.tenantId === '') throw",
  test: 'apps/cloud/src/contract.db.test.ts',
};
