/** Has the keystore judge a release that waits whenever somebody asks for it. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/grant-release.ts',
  find: 'if (due.nowMs < opensAtMs) return',
  replace: 'if (due.nowMs < -opensAtMs) return',
  test: 'apps/cloud/src/modules/releases/releases.db.test.ts',
};
