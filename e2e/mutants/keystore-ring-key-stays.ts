/** Leaves the ring key in memory. */
export const mutant = {
  file: 'apps/cloud/src/keystore/open-release.ts',
  find: '    ringKey.fill(0);',
  replace: '    ringKey.subarray(32);',
  test: 'apps/cloud/src/keystore/open-release.system.test.ts',
};
