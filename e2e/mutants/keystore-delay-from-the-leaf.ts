/** Begins the delay before the leaf was seen. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-release.ts',
  find: '?.sinceMs ?? nowMs;',
  replace: '?.sinceMs ?? nowMs - 90 * 24 * 3_600_000;',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
