/** Reads as many leaves as a head says there are. */
export const mutant = {
  file: 'apps/agent/src/keylog/follow-key-log.ts',
  find: 'if (treeSize - known > MOST_GROWTH || treeSize > MOST_LEAVES) throw',
  replace: 'if (treeSize - known > Number.MAX_SAFE_INTEGER) throw',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
