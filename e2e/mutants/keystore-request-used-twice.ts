/** Takes a request a second time, under another leaf. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-release.ts',
  find: 'if (before && !isAgain)',
  replace: 'if (before && !isAgain && nowMs < 0)',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
