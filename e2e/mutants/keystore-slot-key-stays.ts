/** Leaves the slot key in memory. */
export const mutant = {
  file: 'apps/cloud/src/keystore/open-release.ts',
  find: '    slotKey.fill(0);',
  replace: '    slotKey.subarray(32);',
  test: 'apps/cloud/src/keystore/open-release.system.test.ts',
};
