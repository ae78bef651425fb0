/** Takes the commits of a writer from him by a keyring whose writer nobody introduced. */
export const mutant = {
  file: 'packages/archive/src/tree/choose-keyring.ts',
  find: 'if (sides.some(({ isIntroduced }) => isIntroduced)) return false;',
  replace: 'if (sides.length > 0) return false;',
  test: 'packages/archive/src/tree/forged-lives.test.ts',
};
