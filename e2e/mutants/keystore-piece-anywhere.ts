/** Takes a piece of the log in that does not begin where it is. */
export const mutant = {
  file: 'apps/cloud/src/keystore/follow.ts',
  find: 'if (fromSize !== before.size) return',
  replace: 'if (fromSize < 0) return',
  test: 'apps/cloud/src/keystore/releases-kept.db.test.ts',
};
