/** Believes a head that does not go on from the last one. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-leaf.ts',
  find: 'if (!verifyConsistency(claim, consistency))',
  replace: 'if (head.treeSize < kept.treeSize)',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
