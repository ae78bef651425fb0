/** Opens a secret that was wrapped for another purpose. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms.ts',
  find: 'JSON.stringify([keyId, role, context.purpose, context.tenantId ?? null])',
  replace: 'JSON.stringify([keyId, role, context.tenantId ?? null])',
  test: 'apps/cloud/src/platform/kms-file.test.ts',
};
