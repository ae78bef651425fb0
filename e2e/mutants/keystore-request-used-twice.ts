/** Takes a request a second time. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-release.ts',
  find: 'if (usedRequestIds.has(requestId))',
  replace: 'if (usedRequestIds.has(`${requestId}=`))',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
