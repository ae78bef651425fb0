/** Lets anybody who may place holds somewhere place one on every archive of the tenant. */
export const mutant = {
  file: 'apps/cloud/src/modules/holds/holds.ts',
  find: "return path !== undefined && mayOver(principal.grants, 'holds.write', path);",
  replace: 'return path !== undefined;',
  test: 'apps/cloud/src/modules/holds/holds.db.test.ts',
};
