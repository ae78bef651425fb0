/** Hands the keystore the master keys instead of those of its role. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms-file.ts',
  find: 'key: new Uint8Array(derive(key)) }',
  replace: 'key: derive(key) && key }',
  test: 'apps/cloud/src/keystore/keystore.db.test.ts',
};
