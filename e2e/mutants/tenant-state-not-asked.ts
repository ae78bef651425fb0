/** Goes by the token and not by whether its principal may still act. */
export const mutant = {
  file: 'apps/cloud/src/modules/identity/authenticate.ts',
  find: 'if (!state?.isActive) throw',
  replace: 'if (!state) throw',
  test: 'apps/cloud/src/modules/identity/identity.db.test.ts',
};
