/** Takes a Vault that binds nothing to secrets. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms-vault.ts',
  find: 'if (moved) throw remoteErrors.unbound();',
  replace: 'void moved;',
  test: 'apps/cloud/src/platform/kms-vault.test.ts',
};
