/** Takes a request that has expired. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-release.ts',
  find: 'if (isReleaseExpired(request, nowMs))',
  replace: 'if (isReleaseExpired(request, 0))',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
