/** Takes a shorter key log for no news. */
export const mutant = {
  file: 'apps/agent/src/keylog/follow-key-log.ts',
  find: 'if (treeSize < known.size) throw',
  replace: 'if (treeSize < 0) throw',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
