/** Releases under a head whose leaves it has not seen. */
export const mutant = {
  file: 'apps/cloud/src/keystore/release.ts',
  find: 'isFollowed: true,',
  replace: 'isFollowed: false,',
  test: 'apps/cloud/src/keystore/releases.db.test.ts',
};
