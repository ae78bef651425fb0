/** Leaves read keys in memory. */
export const mutant = {
  file: 'apps/cloud/src/keystore/open-release.ts',
  find: 'for (const { data, metadata } of read) for (const key of [data, metadata]) key.fill(0);',
  replace: 'for (const { data, metadata } of read) for (const key of [data, metadata]) key.subarray(32);',
  test: 'apps/cloud/src/keystore/open-release.system.test.ts',
};
