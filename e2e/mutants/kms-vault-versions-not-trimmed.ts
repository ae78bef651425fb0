/** Leaves removed versions of keys in the Vault. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms-vault.ts',
  find: "await done(calls.call('POST', `${path}/trim`, { min_available_version: least }));",
  replace: 'void path;',
  test: 'apps/cloud/src/platform/kms-vault.test.ts',
};
