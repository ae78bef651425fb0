/** Takes any key in the log for its own. */
export const mutant = {
  file: 'apps/agent/src/keylog/learn.ts',
  find: 'place > 0 || publicKey !== own',
  replace: 'place < 0 && publicKey !== own',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
