/** Sends the token to whoever answers. */
export const mutant = {
  file: 'apps/cloud/src/platform/vault-calls.ts',
  find: 'agent: false as const }',
  replace: 'agent: false as const, rejectUnauthorized: false }',
  test: 'apps/cloud/src/platform/kms-vault.test.ts',
};
