/** Takes a request for used where another requester used its number. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-release.ts',
  find: 'one.requestId === requestId && isOfRequester(one)',
  replace: 'one.requestId === requestId && (isOfRequester(one) || true)',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
