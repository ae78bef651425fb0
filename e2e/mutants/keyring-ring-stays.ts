/** Leaves the ring in memory that Node has freed. */
export const mutant = {
  file: 'packages/archive/src/keyring/open-keyring.ts',
  find: '    overwriteFreed(sealed.length);\n',
  replace: '',
  test: 'apps/cloud/src/keystore/open-release.system.test.ts',
};
