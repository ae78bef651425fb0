/** Releases by the leaf of another request. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-release.ts',
  find: '  expectSame(asked, leaf.request);',
  replace: '',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
