/** Takes a second head of the same size for the one that was shown. */
export const mutant = {
  file: 'apps/agent/src/keylog/key-log-book.ts',
  find: 'Buffer.compare(same.root, root) === 0 ? undefined : same',
  replace: 'undefined',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
