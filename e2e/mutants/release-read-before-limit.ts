/** Reads a keyring for whoever asks, however often. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/request-release.ts',
  find: 'if (!isKept) await expectMayAsk',
  replace: 'if (isKept) await expectMayAsk',
  test: 'apps/cloud/src/modules/releases/limits.db.test.ts',
};
