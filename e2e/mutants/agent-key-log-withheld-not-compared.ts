/** Forgets a head whose leaves never came without comparing it with the log that is followed. */
export const mutant = {
  file: 'apps/agent/src/keylog/follow-key-log.ts',
  find: 'if (read.parted) throw',
  replace: 'if (read.parted && head.treeSize < 0) throw',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
