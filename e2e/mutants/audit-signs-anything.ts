/** Signs a head that does not continue the one before. */
export const mutant = {
  file: 'apps/cloud/src/modules/logs/sign-heads.ts',
  find: 'if (!continues) throw',
  replace: 'if (!continues && head.size < 0) throw',
  test: 'apps/cloud/src/modules/audit/audit.db.test.ts',
};
