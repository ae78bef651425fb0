/** Refuses a release for good because a key service let nobody in just then. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/passing.ts',
  find: ' || /^kms[._]/.test(code)',
  replace: '',
  test: 'apps/cloud/src/modules/releases/passing.test.ts',
};
