/** Follows a key log that does not continue the one it knew. */
export const mutant = {
  file: 'apps/agent/src/keylog/follow-key-log.ts',
  find: 'if (!isContinued) throw',
  replace: 'if (!isContinued && treeSize < 0) throw',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
