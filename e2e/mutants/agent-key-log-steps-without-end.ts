/** Lets a log grow without end, step by step. */
export const mutant = {
  file: 'apps/agent/src/keylog/follow-key-log.ts',
  find: '|| treeSize > MOST_LEAVES) throw',
  replace: ') throw',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
