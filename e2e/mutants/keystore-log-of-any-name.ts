/** Takes any key in a tenant's name for that of its log. */
export const mutant = {
  file: 'apps/cloud/src/keystore/make-tenant-keys.ts',
  find: 'parseVerifierKey(text).name === name',
  replace: "parseVerifierKey(text).name.startsWith(name.replace('audit', ''))",
  test: 'apps/cloud/src/keystore/keystore.db.test.ts',
};
