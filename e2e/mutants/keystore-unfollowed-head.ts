/** Releases under a head whose leaves were not all seen. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-leaf.ts',
  find: 'if (isFollowed && head.treeSize > kept.treeSize)',
  replace: 'if (isFollowed && head.treeSize < kept.treeSize)',
  test: 'apps/cloud/src/keystore/follow-log.test.ts',
};
