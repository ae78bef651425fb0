/** Counts attempts made at once as one. */
export const mutant = {
  file: 'apps/cloud/src/modules/identity/session-store.ts',
  find: '    .forUpdate()\n',
  replace: '\n',
  test: 'apps/cloud/src/modules/identity/sign-in.db.test.ts',
};
