/** Takes changes by cookie from pages of other sites. */
export const mutant = {
  file: 'apps/cloud/src/modules/identity/authenticate.ts',
  find: 'if (!fits || !isFromOurPage(',
  replace: 'if (!fits && !isFromOurPage(',
  test: 'apps/cloud/src/modules/identity/identity.db.test.ts',
};
