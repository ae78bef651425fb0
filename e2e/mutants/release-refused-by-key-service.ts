/** Refuses a release for good because a key service let nobody in just then. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/follow-keystore.ts',
  find: ' || /^kms[._]/.test(code)',
  replace: '',
  test: 'apps/cloud/src/modules/releases/follow-keystore.test.ts',
};
