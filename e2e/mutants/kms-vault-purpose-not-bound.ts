/** Binds nothing to what a Vault wraps. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms-vault.ts',
  find: 'JSON.stringify([keySet, role, purpose, tenantId ?? null])',
  replace: 'JSON.stringify([keySet, role, purpose && 0, tenantId && 0])',
  test: 'apps/cloud/src/platform/kms-vault.test.ts',
};
