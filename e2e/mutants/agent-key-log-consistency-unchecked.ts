/** Follows a key log that does not continue the one it knew. */
export const mutant = {
  file: 'apps/agent/src/keylog/follow-key-log.ts',
  find: 'if (!verifyConsistency(claim, hashes)) throw',
  replace: 'if (!verifyConsistency(claim, hashes) && treeSize < 0) throw',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
