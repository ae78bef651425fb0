/** Takes a request that was made for another tenant. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-release.ts',
  find: '  if (request.installationId !== tenant.installationId || request.tenantUid !== tenant.tenantUid)\n    throw keystoreErrors.other_tenant();\n',
  replace: '',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
