/** Refuses without a leaf. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/request-release.ts',
  find: `await logRefusal(tx, deps, { tenantId, at }, refused);
      return judged.code;`,
  replace: `if (refused.code === '') await logRefusal(tx, deps, { tenantId, at }, refused);
      return judged.code;`,
  test: 'apps/cloud/src/modules/releases/releases.db.test.ts',
};
