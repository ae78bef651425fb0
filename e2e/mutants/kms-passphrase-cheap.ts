/** Works out whatever little a key file asks for: whoever changes it makes the passphrase easy to guess. */
export const mutant = {
  file: 'apps/cloud/src/platform/master-key-file.ts',
  find: 'z.int().min(19_456)',
  replace: 'z.int().min(8)',
  test: 'apps/cloud/src/platform/kms-file.test.ts',
};
