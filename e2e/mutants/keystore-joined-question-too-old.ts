/** Takes the answer to a question that was asked before the key was there. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms.ts',
  find: ' ?? find(await source.newest()) ?? find(await source.newest());',
  replace: ' ?? find(await source.newest());',
  test: 'apps/cloud/src/keystore/follow-access.test.ts',
};
