/** Takes a key that can be exported. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms-vault.ts',
  find: 'type !== KEY_TYPE || exportable ||',
  replace: 'type !== KEY_TYPE ||',
  test: 'apps/cloud/src/platform/kms-vault.test.ts',
};
