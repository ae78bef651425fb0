/** Takes any leaf over all heads for the one of a new day. */
export const mutant = {
  file: 'apps/agent/src/keylog/key-log-book.ts',
  find: "day > (this.seenDay()?.day ?? '')",
  replace: "day !== ''",
  test: 'apps/agent/src/keylog/lateness.test.ts',
};
