/** Takes whatever log key it is told for a tenant it knows. */
export const mutant = {
  file: 'apps/cloud/src/keystore/make-tenant-keys.ts',
  find: 'if (known !== logVerifier) throw keystoreErrors.other_log();',
  replace: '',
  test: 'apps/cloud/src/keystore/keystore.db.test.ts',
};
