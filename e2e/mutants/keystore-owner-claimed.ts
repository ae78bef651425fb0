/** Believes whoever says that an archive is its own. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-release.ts',
  find: 'if (!isArchiveOwner(owned, { writerKey, signature }))',
  replace: "if (!isArchiveOwner(owned, { writerKey, signature }) && signature === '')",
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
