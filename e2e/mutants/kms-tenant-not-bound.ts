/** Opens a secret that was wrapped for another tenant. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms.ts',
  find: 'context.purpose, context.tenantId ?? null]',
  replace: 'context.purpose]',
  test: 'apps/cloud/src/platform/kms-file.test.ts',
};
