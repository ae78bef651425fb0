/** Goes by the token and not by whether its principal may still act. */
export const mutant = {
  file: 'apps/cloud/src/modules/identity/authenticate.ts',
  find: 'if (!state?.isActive) throw authErrors.ended();',
  replace: 'if (!state) throw authErrors.ended();',
  test: 'apps/cloud/src/modules/identity/identity.db.test.ts',
};
