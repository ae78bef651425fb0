/** Leaves the private keys of a tenant in memory once they are wrapped. */
export const mutant = {
  file: 'apps/cloud/src/keystore/make-tenant-keys.ts',
  find: 'for (const secret of [sealingSecret, signingSecret, der]) secret.fill(0);',
  replace: 'der.fill(0);',
  test: 'apps/cloud/src/keystore/keystore.db.test.ts',
};
