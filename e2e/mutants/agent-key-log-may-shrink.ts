/** Takes a shorter key log for no news. */
export const mutant = {
  file: 'apps/agent/src/keylog/follow-key-log.ts',
  find: 'if (head.treeSize < known.size) throw',
  replace: 'if (head.treeSize < 0) throw',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
