/** Opens a secret that was wrapped for another tenant. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms-aws.ts',
  find: "    ...(tenantId !== undefined && { 'holdfast-tenant': tenantId }),\n",
  replace: "    ...(tenantId === '' && { 'holdfast-tenant': tenantId }),\n",
  test: 'apps/cloud/src/platform/kms-aws.test.ts',
};
