/** Counts texts of one step alone: a server fills the disk step by step. */
export const mutant = {
  file: 'apps/agent/src/keylog/read-leaves.ts',
  find: 'let text = keptText;',
  replace: 'let text = 0;',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
