/** Takes a request that somebody else signed. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-release.ts',
  find: 'return openReleaseRequest(signed);',
  replace: 'return parseReleaseRequest(signed.text);',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
