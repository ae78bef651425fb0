/** Has the token bind a secret to nothing. */
export const mutant = {
  file: 'apps/cloud/src/platform/token-keys.ts',
  find: 'associated.length, TAG_BYTES * 8',
  replace: '0, TAG_BYTES * 8',
  test: 'apps/cloud/src/platform/kms-pkcs11.test.ts',
};
