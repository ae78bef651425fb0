/** Does not look at the places of entries. */
export const mutant = {
  file: 'apps/cloud/src/modules/audit/verify-audit.ts',
  find: 'if (logIndex !== tree.size) {',
  replace: 'if (logIndex < 0) {',
  test: 'apps/cloud/src/modules/audit/verify-audit.test.ts',
};
