/** Leaves what was opened to a collector that does not come. */
export const mutant = {
  file: 'apps/cloud/src/keystore/supervise.ts',
  find: "'--expose-gc',",
  replace: "'--no-expose-gc',",
  test: 'apps/cloud/src/keystore/releases.system.test.ts',
};
